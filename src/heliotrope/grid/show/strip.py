"""A series as a strip of cells in the terminal: darker is more, and every day its own row, with a fixed legend."""

from __future__ import annotations

from heliotrope.model import Signal
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, show_number

SHADES = "·░▒▓█"
# Near white to dark brown in even steps of lightness: readable without colour sight; 256-colour codes.
RAMP = (230, 229, 222, 179, 172, 130, 94, 52)
MARGIN = 12


def draw(signal: Signal, *, colour: bool, columns: int = 80) -> str:
    """One row a UTC day, one cell an hour (two columns wide where the screen is), the range and the source below."""
    wide = 2 if columns >= MARGIN + 2 * 24 else 1
    low, high = float(signal.values.min()), float(signal.values.max())
    rows: dict[int, list[tuple[int, float]]] = {}
    for i, value in enumerate(signal.values.tolist()):
        at = signal.start_s + i * signal.step_s
        rows.setdefault(at // S_PER_DAY, []).append((at % S_PER_DAY // S_PER_HOUR, value))
    hours = "".join(f"{hour:<{6 * wide}}" for hour in range(0, 24, 6))
    lines = [" " * MARGIN + hours.rstrip() + " UTC"]
    for day, cells in sorted(rows.items()):
        shown = dict(cells)
        row = "".join(_cell(shown.get(hour), low, high, colour, wide) for hour in range(24))
        lines.append(f"{from_epoch(day * S_PER_DAY):%a %d %b}".ljust(MARGIN) + row.rstrip())
    lines.append(" " * MARGIN + legend(low, high, signal.kind.unit, colour))
    least = from_epoch(signal.start_s + int(signal.values.argmin()) * signal.step_s)
    reach = f"; bounds (90 %) from {show_number(signal.low.min())} to {show_number(signal.high.max())}"
    lines.append(f"least at {least:%a %d %b %H:%M} UTC{reach if (signal.low < signal.high).any() else ''}")
    issued = signal.quality.issued_at_s
    when = "" if issued is None else f", issued {from_epoch(issued):%Y-%m-%d %H:%M} UTC"
    lines.append(f"{signal.zone}: {signal.kind}, {signal.quality.kind.value}, {signal.quality.source}{when}")
    lines.extend(f"note: {flag}" for flag in signal.quality.flags)
    return "\n".join(lines)


def now(signal: Signal, *, colour: bool, columns: int = 80) -> str:
    """Its first hour in words, before the strip."""
    value, low, high = (show_number(part[0]) for part in (signal.values, signal.low, signal.high))
    lower = int((signal.values < signal.values[0]).sum())
    said = (
        f"{signal.zone}  {value} {signal.kind.unit}  ({low} to {high}, {signal.quality.kind.value})  "
        f"{lower} of the next {len(signal.values) - 1} hours are lower"
    )
    return f"{said}\n{draw(signal, colour=colour, columns=columns)}"


def _cell(value: float | None, low: float, high: float, colour: bool, wide: int) -> str:
    if value is None:
        return " " * wide
    return paint((value - low) / (high - low) if high > low else 0.0, colour, wide)


def paint(level: float, colour: bool, wide: int = 2) -> str:
    """`level` from 0 (least) to 1 (most)."""
    if colour:
        return f"\x1b[48;5;{RAMP[min(int(level * len(RAMP)), len(RAMP) - 1)]}m{' ' * wide}\x1b[0m"
    return SHADES[min(int(level * len(SHADES)), len(SHADES) - 1)] * wide


def legend(low: float, high: float, unit: str, colour: bool) -> str:
    steps = len(RAMP) if colour else len(SHADES)
    ramp = "".join(paint((i + 0.5) / steps, colour) for i in range(steps))
    return f"{show_number(low)} {ramp} {show_number(high)} {unit}"
