"""What the power sensor of a GPU sees of the truth: how often it looks, for how long, and what may hide meanwhile."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from heliotrope import facts

Z90 = 1.645
ENOUGH = 5  # looks before their spread says anything
STEADY = 0.02  # relative spread below which looks are alike


class Sensor(NamedTuple):
    """It looks for `window_s` of every `period_s`; a window longer than the period is a running mean."""

    period_s: float
    window_s: float
    source: str

    @property
    def seen(self) -> float:
        """Share of the time that it sees."""
        return min(1.0, self.window_s / self.period_s)


class Integral(NamedTuple):
    """Joules between two looks, 90 % between low and high; `why` says what widened them."""

    energy_j: float
    low_j: float
    high_j: float
    why: str = ""


def sensor_of(model: str) -> Sensor:
    """By the name of the chip; one that nobody has published about is taken to see everything, once every 100 ms."""
    for row in facts.table("gpu_sensors"):
        if re.search(rf"\b(?:{row.name})\b", model):
            return Sensor(row.value / 1e3, float(row.more["window_ms"]) / 1e3, row.source)
    row = facts.fact("gpu_sensors", "other")
    return Sensor(row.value / 1e3, float(row.more["window_ms"]) / 1e3, row.source)


def integrate(
    looks: Sequence[tuple[float, float]],
    elapsed_s: float,
    sensor: Sensor,
    *,
    limit_w: float,
    busy: float | None = None,
    recent: Sequence[float] = (),
) -> Integral:
    """Energy of `elapsed_s` from looks (second, watts) at it.

    The mean of the looks is the mean of the power: a load that does not keep step with the sensor is seen at all its
    phases. How far that mean may be off is told by the spread of the `recent` watts (these looks and some before), and
    by how much of the time was seen. With too few, or looks that are all alike though the GPU was busy only part of
    the time (`busy`, 0 to 1: then the load may keep step with the sensor), anything from nothing to the power limit
    may have hidden in what was not seen.
    """
    watts = [power_w for _, power_w in looks]
    mean_w = _time_mean(looks, elapsed_s)
    energy_j = mean_w * elapsed_s
    lowest_j, highest_j = min(watts) * elapsed_s, max(watts) * elapsed_s
    # Of the periods that passed, `len(looks)` were read, and of each the sensor saw its window.
    seen = min(1.0, len(looks) * sensor.window_s / elapsed_s) if elapsed_s > 0 else 1.0
    if seen >= 0.9:
        return Integral(energy_j, energy_j, energy_j)
    known = recent if len(recent) > len(watts) else watts
    usual_w = sum(known) / len(known)
    spread_w = math.sqrt(sum((power_w - usual_w) ** 2 for power_w in known) / max(1, len(known) - 1))
    in_step = busy is not None and 0.05 < busy < 0.95 and spread_w < STEADY * max(usual_w, 1.0)
    if len(known) >= ENOUGH and not in_step:
        error_j = Z90 * (1 + 1.6 / len(known)) * spread_w * math.sqrt((1 - seen) / len(watts)) * elapsed_s
        return Integral(energy_j, max(0.0, energy_j - error_j), energy_j + error_j)
    if sensor.seen >= 0.9 and not in_step:
        # It sees everything, we only asked seldom: between two readings the draw may have been either.
        return Integral(energy_j, lowest_j, highest_j)
    hidden_j = (1 - sensor.seen) * elapsed_s * limit_w
    why = "the load may keep step with its sensor" if in_step else f"its sensor sees {sensor.seen:.0%} of the time"
    return Integral(
        energy_j, min(lowest_j, sensor.seen * energy_j), max(highest_j, sensor.seen * energy_j + hidden_j), why
    )


def _time_mean(looks: Sequence[tuple[float, float]], elapsed_s: float) -> float:
    """Each look stands for the time since the one before; alike where times do not tell."""
    if len(looks) < 3:
        return sum(power_w for _, power_w in looks) / len(looks)
    pairs = list(itertools.pairwise(looks))
    spans = [later[0] - earlier[0] for earlier, later in pairs]
    if min(spans) <= 0 or sum(spans) > 2 * elapsed_s:
        return sum(power_w for _, power_w in looks) / len(looks)
    return sum((a[1] + b[1]) / 2 * (b[0] - a[0]) for a, b in pairs) / sum(spans)
