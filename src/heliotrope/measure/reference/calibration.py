"""Corrects a machine's meters by a plug meter, a PDU or a BMC: one factor, one constant draw, how sure they are."""

from __future__ import annotations

import math
import platform
from pathlib import Path
from typing import NamedTuple

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.measure.records.recovery import laps
from heliotrope.measure.reference import series
from heliotrope.measure.sampling.recorder import Z90

LEAST_POINTS = 5
APPLIED = "calibrated by "  # how the flag of a corrected reading begins


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reference watts = `factor` x metered node watts + `base_w`; `spread`: a window's relative standard error.

    `meters`: whose readings it corrects; `machine`: whose they are; `shift_s`: how far the reference's clock was ahead.
    """

    factor: float
    base_w: float
    spread: float
    points: int
    source: str
    meters: tuple[str, ...] = ()
    machine: str = ""
    shift_s: float = 0.0

    def corrected_j(self, metered_j: float, elapsed_s: float) -> tuple[float, float, float]:
        """What the reference would have said of the node: value, low, high (90 %)."""
        return self._bounded(self.factor * metered_j + self.base_w * elapsed_s)

    def scaled(self, metered_j: float) -> tuple[float, float, float]:
        """The part of it that follows the meters."""
        return self._bounded(self.factor * metered_j)

    def _bounded(self, value: float) -> tuple[float, float, float]:
        return value, value * max(0.0, 1 - Z90 * self.spread), value * (1 + Z90 * self.spread)


class Line(NamedTuple):
    """A straight line through windows, and how far a new window may lie from it."""

    factor: float
    base_w: float
    spread: float
    points: int


def fit(journal: Path, reference: Path, *, window_s: float = 10.0) -> Calibration:
    """The line through all windows in which both were there, the reference's clock put right where that is plain."""
    points = series.read(reference)
    metered, meters = _metered(journal)
    lines = {shift_s: _line(_windows(metered, points, window_s, shift_s)) for shift_s in _shifts(window_s)}
    straight = lines[0.0]
    if straight is None:
        raise InvalidInput(
            "the journal and the reference share too little time",
            file=str(reference),
            found=f"{len(_windows(metered, points, window_s, 0.0))} windows of {window_s:g} s",
            allowed=f"{LEAST_POINTS} or more",
        )
    # Another clock is believed only where it makes the fit much better, and no fewer windows are left than half.
    best_s, best = 0.0, straight
    for shift_s, line in lines.items():
        if (
            line is not None
            and line.points >= straight.points / 2
            and line.spread < min(best.spread, straight.spread / 2)
        ):
            best_s, best = shift_s, line
    return Calibration(*best, reference.name, meters, platform.node(), best_s)


def _shifts(window_s: float) -> list[float]:
    """Clocks are off by seconds, time zones aside: up to three windows either way are tried."""
    step_s = max(1.0, window_s / 10)
    return [0.0, *(sign * step_s * n for n in range(1, round(3 * window_s / step_s) + 1) for sign in (1, -1))]


def _line(windows: list[tuple[float, float]]) -> Line | None:
    """Least squares; a base below zero is not believed and left out. None for too few windows."""
    n = len(windows)
    if n < LEAST_POINTS:
        return None
    # Watt-meters err in proportion to what they read: each window weighs as the inverse square of its draw.
    weights = [1 / max(y, 1e-9) ** 2 for _, y in windows]
    whole = sum(weights)
    mean_x, mean_y = (sum(w * v for w, v in zip(weights, c, strict=True)) / whole for c in zip(*windows, strict=True))
    across = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, windows, strict=True))
    along = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, windows, strict=True))
    factor = along / across if across > 1e-9 * whole * mean_x**2 else 0.0
    base_w = mean_y - factor * mean_x
    if factor <= 0 or base_w < 0:
        # One level of load, or none of the reference's draw without load: a factor alone is all that can be told.
        factor = sum(x * y for x, y in windows) / sum(x * x for x, _ in windows)
        base_w = 0.0
    errors = [(y - factor * x - base_w) / y for x, y in windows if y > 0]
    # Of a new window: its own error and that of the two fitted numbers, and few windows tell a spread poorly.
    freedom = max(1, len(errors) - 2)
    spread = math.sqrt(sum(error * error for error in errors) / freedom * (1 + 2 / n)) * (1 + 1.6 / freedom)
    return Line(factor, base_w, spread, n)


def _metered(journal: Path) -> tuple[list[tuple[float, float, float]], tuple[str, ...]]:
    """Start, end and joules of the node of every sample; and the meters that told them."""
    samples = []
    meters: dict[str, None] = {}
    for lap in laps(journal):
        energy_j = 0.0
        for meter, _, _, counted, part, flags in lap.samples:
            if any(flag.startswith(APPLIED) for flag in flags):
                raise InvalidInput(
                    "this journal is corrected already",
                    file=str(journal),
                    found=next(flag for flag in flags if flag.startswith(APPLIED)),
                    hint="move calibration.json out of HELIO_HOME, measure again, and fit that",
                )
            if counted:
                energy_j += part.node_j
                meters[meter] = None
        samples.append((lap.start_s, lap.end_s, energy_j))
    return samples, tuple(sorted(meters))


def _windows(
    metered: list[tuple[float, float, float]], points: list[tuple[float, float]], window_s: float, shift_s: float
) -> list[tuple[float, float]]:
    """Mean watts of the meters and of the reference over each window that both cover."""
    slots: dict[int, tuple[float, float]] = {}
    for start_s, end_s, energy_j in metered:
        slot = int((start_s + end_s) / 2 // window_s)
        before = slots.get(slot, (0.0, 0.0))
        slots[slot] = (before[0] + energy_j, before[1] + end_s - start_s)
    referred: dict[int, list[float]] = {}
    for at_s, watts in points:
        referred.setdefault(int((at_s - shift_s) // window_s), []).append(watts)
    return [
        (energy_j / span_s, sum(referred[slot]) / len(referred[slot]))
        for slot, (energy_j, span_s) in sorted(slots.items())
        if slot in referred and span_s > 0.8 * window_s and energy_j > 0
    ]


def load(path: Path) -> Calibration | None:
    """None where this machine has none: homes are shared by machines, corrections are not."""
    if not path.is_file():
        return None
    try:
        fitted = msgspec.json.decode(path.read_bytes(), type=Calibration)
        return fitted if fitted.machine in {"", platform.node()} else None
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(
            "not a calibration", file=str(path), cause=str(error), hint="helio meter calibrate makes it"
        ) from error


def save(calibration: Calibration, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")
