"""What every loop does with time: adds up intensity over it, and writes down who runs when."""

from __future__ import annotations

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Floats, Ints, Jobs, Lines, Pieces
from heliotrope.units import J_PER_KWH

# Seconds below which nothing is left to run: what rounding leaves over.
NOTHING_S = 1e-7


@compiled
def integral(lines: Lines, z: int, start: float, end: float) -> float:
    """(g/kWh)·s of zone `z` over [start, end)."""
    values, area, step = lines
    a = int(start / step)
    b = int(end / step)
    parts = values[z, b] * (end - b * step) - values[z, a] * (start - a * step)
    return float(area[z, b] - area[z, a] + parts)


@compiled
def slot_grams(lines: Lines, zone: Ints, start: Floats, end: Floats, job: Ints, watts: Floats, out: Floats) -> None:
    """Grams of each slot: the integral of intensity over it, times its draw."""
    for i in range(len(zone)):
        out[i] = integral(lines, zone[i], start[i], end[i]) * watts[job[i]] / J_PER_KWH


@compiled
def grams_at_once(lines: Lines, home: Ints, jobs: Jobs) -> float:
    """Grams of all jobs, each at home from the moment it came."""
    total = 0.0
    for i in range(len(home)):
        begin = jobs.submitted[i]
        total += integral(lines, home[i], begin, begin + jobs.length[i]) * jobs.watts[i]
    return total / J_PER_KWH


@compiled
def write(out: Pieces, opened: int, at: int, j: int, z: int, begin: float, close: float) -> int:
    """Job `j`, whose pieces begin at row `opened`, runs in zone `z` over [begin, close): the next free row.

    What touches the piece before is one with it.
    """
    if at > opened and out.end[at - 1] >= begin - NOTHING_S:
        out.end[at - 1] = close
        return at
    out.job[at] = j
    out.zone[at] = z
    out.start[at] = begin
    out.end[at] = close
    return at + 1
