"""Corrects a machine's meters by a plug meter, a PDU or a BMC: one factor, one constant draw, how sure they are."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.measure import series
from heliotrope.measure.recorder import Z90
from heliotrope.measure.recovery import laps

LEAST_POINTS = 5


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reference watts = `factor` x metered node watts + `base_w`; `spread`: a window's relative standard error."""

    factor: float
    base_w: float
    spread: float
    points: int
    source: str

    def corrected_j(self, metered_j: float, elapsed_s: float) -> tuple[float, float, float]:
        """What the reference would have said of the node: value, low, high (90 %)."""
        return self._bounded(self.factor * metered_j + self.base_w * elapsed_s)

    def scaled(self, metered_j: float) -> tuple[float, float, float]:
        """The part of it that follows the meters."""
        return self._bounded(self.factor * metered_j)

    def _bounded(self, value: float) -> tuple[float, float, float]:
        return value, value * max(0.0, 1 - Z90 * self.spread), value * (1 + Z90 * self.spread)


def fit(journal: Path, reference: Path, *, window_s: float = 10.0) -> Calibration:
    """Least squares over windows in which both were there; a base below zero is not believed and left out."""
    points = series.read(reference)
    windows = _windows(journal, points, window_s)
    if len(windows) < LEAST_POINTS:
        raise InvalidInput(
            "the journal and the reference share too little time",
            file=str(reference),
            found=f"{len(windows)} windows of {window_s:g} s",
            allowed=f"{LEAST_POINTS} or more",
        )
    n = len(windows)
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
    return Calibration(factor, base_w, spread, n, reference.name)


def _windows(journal: Path, points: list[tuple[float, float]], window_s: float) -> list[tuple[float, float]]:
    """Mean watts of the meters and of the reference over each window that both cover."""
    metered: dict[int, tuple[float, float]] = {}
    for lap in laps(journal):
        slot = int(((lap.start_s + lap.end_s) / 2) // window_s)
        energy_j = sum(flat[4] + flat[7] + flat[8] for flat in lap.samples if flat[3])
        before = metered.get(slot, (0.0, 0.0))
        metered[slot] = (before[0] + energy_j, before[1] + lap.end_s - lap.start_s)
    referred: dict[int, list[float]] = {}
    for at_s, watts in points:
        referred.setdefault(int(at_s // window_s), []).append(watts)
    return [
        (energy_j / span_s, sum(referred[slot]) / len(referred[slot]))
        for slot, (energy_j, span_s) in sorted(metered.items())
        if slot in referred and span_s > 0.8 * window_s and energy_j > 0
    ]


def load(path: Path) -> Calibration | None:
    """None where this machine has none."""
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(
            "not a calibration", file=str(path), cause=str(error), hint="helio meter calibrate makes it"
        ) from error


def save(calibration: Calibration, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")
