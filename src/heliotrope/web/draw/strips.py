"""Heat strips: sites × hours as SVG, with planned runs as boxes. Pure: what is asked for in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import msgspec

from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch
from heliotrope.web.draw import ramp


class Box(msgspec.Struct, frozen=True):
    """A planned or finished stretch of running over [start_s, end_s)."""

    start_s: float
    end_s: float
    title: str
    style: str = "plan"


class Row(msgspec.Struct, frozen=True):
    """One zone or site. `values` are g/kWh of steps of `step_s` from `start_s`; `chosen` is set where work goes."""

    label: str
    note: str
    start_s: int
    step_s: int
    values: Sequence[float]
    boxes: tuple[Box, ...] = ()
    chosen: bool = False
    shown: str = ""


class Picture(msgspec.Struct, frozen=True):
    """Rows drawn over one common time span, ready for a template."""

    rows: tuple[tuple[Row, str], ...]
    axis: str
    legend: str


def picture(rows: Sequence[Row], start_s: int, end_s: int, *, now_s: float | None = None) -> Picture:
    """All rows over [start_s, end_s); hours after `now_s` are drawn fainter, since they are expected, not known."""
    return Picture(
        tuple((row, _strip(row, start_s, end_s, now_s)) for row in rows),
        _axis(start_s, end_s),
        _legend(),
    )


def _strip(row: Row, start_s: int, end_s: int, now_s: float | None) -> str:
    span = end_s - start_s
    parts = [
        f'<svg class="strip" role="img" aria-label="{escape(_sentence(row))}" width="100%" height="24">',
        '<g shape-rendering="crispEdges">',
    ]
    ends = min(row.start_s + row.step_s * len(row.values), end_s)
    for first, last, level in _runs(row.values):
        left = max(row.start_s + first * row.step_s, start_s)
        if min(row.start_s + last * row.step_s, end_s) > left:
            # Each reaches to the row's end and the next covers it: no seam at any width.
            place = f'x="{_percent(left - start_s, span)}" width="{_percent(ends - left, span)}"'
            parts.append(f'<rect {place} height="100%" fill="{ramp.colour(level)}"/>')
    parts.append("</g>")
    if now_s is not None and start_s < now_s < end_s:
        at = _percent(now_s - start_s, span)
        parts.append(f'<rect class="ahead" x="{at}" width="100%" height="100%"/>')
        parts.append(f'<line class="now" x1="{at}" x2="{at}" y1="0" y2="100%"/>')
    for box in row.boxes:
        opens, closes = max(box.start_s, start_s), min(box.end_s, end_s)
        if closes > opens:
            width = max(closes - opens, span * 0.004)
            parts.append(
                f'<rect class="box {box.style}" x="{_percent(opens - start_s, span)}" y="1.5" '
                f'width="{_percent(width, span)}" height="21" rx="2"><title>{escape(box.title)}</title></rect>'
            )
    parts.append("</svg>")
    return "".join(parts)


def _runs(values: Sequence[float]) -> list[tuple[int, int, int]]:
    """Neighbours of one colour become one cell."""
    found: list[tuple[int, int, int]] = []
    for i, value in enumerate(values):
        level = ramp.level(value)
        if found and found[-1][2] == level:
            found[-1] = (found[-1][0], i + 1, level)
        else:
            found.append((i, i + 1, level))
    return found


def _sentence(row: Row) -> str:
    """What the strip shows, for those who hear the page."""
    if not len(row.values):
        return f"{row.label}: no values"
    least = min(range(len(row.values)), key=lambda i: row.values[i])
    most = max(range(len(row.values)), key=lambda i: row.values[i])
    said = (
        f"{row.label}: from {row.values[least]:.0f} g/kWh on {_when(row.start_s + least * row.step_s)}"
        f" to {row.values[most]:.0f} on {_when(row.start_s + most * row.step_s)}"
    )
    return said + "".join(f"; {box.title}" for box in row.boxes)


def _axis(start_s: int, end_s: int) -> str:
    """Labels stand exactly where their day or hour begins; as many as there is room for."""
    span = end_s - start_s
    step_s = next(
        (s for s in (S_PER_HOUR, 3 * S_PER_HOUR, 6 * S_PER_HOUR, 12 * S_PER_HOUR) if span / s <= 9), S_PER_DAY
    )
    while span / step_s > 9:
        step_s += S_PER_DAY
    parts = ['<svg class="axis" width="100%" height="22" aria-hidden="true">']
    first = -(-start_s // step_s) * step_s
    for at in range(first, end_s, step_s):
        x = _percent(at - start_s, span)
        when = from_epoch(at)
        label = f"{when:%a} {when.day}" if at % S_PER_DAY == 0 else f"{when:%H:%M}"
        anchor = "start" if (at - start_s) / span < 0.96 else "end"
        odd = ' class="odd"' if (at - first) // step_s % 2 else ""
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="0" y2="4"/><text{odd} x="{x}" y="17" text-anchor="{anchor}">{label}</text>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _legend() -> str:
    """Fixed: the same colour means the same grams on every page."""
    cells = "".join(
        f'<rect x="{_percent(i, ramp.LEVELS + 1)}" width="{_percent(1.1, ramp.LEVELS + 1)}" height="100%"'
        f' fill="{ramp.colour(i)}"/>'
        for i in range(ramp.LEVELS + 1)
    )
    return (
        f'<span class="legend"><span>0</span><svg width="200" height="10" shape-rendering="crispEdges" role="img" '
        f'aria-label="Colours from 0, light, to {ramp.TOP_G_PER_KWH:.0f} gCO2e per kWh, dark">{cells}</svg>'
        f"<span>{ramp.TOP_G_PER_KWH:.0f} gCO₂e/kWh</span></span>"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.4g}%"


def _when(at_s: float) -> str:
    when = from_epoch(at_s)
    return f"{when:%A} {when.day} {when:%B} {when:%H:%M} UTC"
