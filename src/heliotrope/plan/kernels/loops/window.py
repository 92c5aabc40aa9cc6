"""The best unbroken window of each job."""

from __future__ import annotations

import math

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import integral
from heliotrope.plan.kernels.shapes import Floats, Ints, Jobs, Lines

# Two costs closer than this, relatively, are a tie: the earlier start wins, and nobody waits for rounding.
TIE = 1e-9


@compiled
def least_window(lines: Lines, z: int, submitted: float, length: float, slack: float) -> float:
    """The least integral of intensity over any start in [submitted, submitted+slack].

    The cost of a start is piecewise linear, so a best one lies at an end of the range, or where the job's
    start or end meets a step's edge: two families, each a straight sweep.
    """
    values, area, step = lines
    last = submitted + slack
    whole = int(length / step)
    rest = length - whole * step
    best = min(integral(lines, z, submitted, submitted + length), integral(lines, z, last, last + length))
    for h in range(math.ceil(submitted / step), int(last / step) + 1):
        best = min(best, area[z, h + whole] - area[z, h] + rest * values[z, h + whole])
    for e in range(math.ceil((submitted + length) / step), int((last + length) / step) + 1):
        best = min(best, area[z, e] - area[z, e - whole] + rest * values[z, e - whole - 1])
    return best


@compiled
def best_window(lines: Lines, z: int, submitted: float, length: float, slack: float) -> tuple[float, float]:
    """The earliest start whose cost ties with the least, and that cost."""
    least = least_window(lines, z, submitted, length, slack)
    enough = least + TIE * abs(least)
    at_once = integral(lines, z, submitted, submitted + length)
    if at_once <= enough:
        return submitted, at_once
    values, area, step = lines
    start = submitted + slack
    cost = integral(lines, z, start, start + length)
    whole = int(length / step)
    rest = length - whole * step
    for h in range(math.ceil(submitted / step), int(start / step) + 1):
        found = area[z, h + whole] - area[z, h] + rest * values[z, h + whole]
        if found <= enough:
            start = h * step
            cost = found
            break
    for e in range(math.ceil((submitted + length) / step), int((start + length) / step) + 1):
        if e * step - length >= start:
            break
        found = area[z, e] - area[z, e - whole] + rest * values[z, e - whole - 1]
        if found <= enough:
            return e * step - length, found
    return start, cost


@compiled
def windows(lines: Lines, jobs: Jobs, start: Floats, zone: Ints) -> None:
    """Best window of each job over its zones; ties: the zone named first, then the earliest start."""
    for i in range(len(jobs.submitted)):
        best = np.inf
        for k in range(jobs.sets_ptr[jobs.places[i]], jobs.sets_ptr[jobs.places[i] + 1]):
            begin, found = best_window(lines, jobs.sets[k], jobs.submitted[i], jobs.length[i], jobs.slack[i])
            if found < best - TIE * abs(best) or best == np.inf:
                best = found
                start[i] = begin
                zone[i] = jobs.sets[k]
