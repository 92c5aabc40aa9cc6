"""Starts as GAIA looks for them: the lowest step, or the best of evenly spaced starts."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import integral
from heliotrope.plan.kernels.loops.window import TIE
from heliotrope.plan.kernels.shapes import Floats, Ints, Jobs, Lines


@compiled
def lowest_slot(lines: Lines, home: Ints, jobs: Jobs, out: Floats) -> None:
    """Starts with the first step of least intensity that begins within the slack (or the one under way)."""
    values, step = lines.values, lines.step
    for i in range(len(jobs.submitted)):
        z = home[i]
        first = int(jobs.submitted[i] / step)
        last = int((jobs.submitted[i] + jobs.slack[i]) / step)
        at = first
        for h in range(first, last + 1):
            if values[z, h] < values[z, at]:
                at = h
        out[i] = max(jobs.submitted[i], at * step)


@compiled
def _by_steps(
    before: Floats, after: Floats, from_start: Floats, to_end: Floats, head: float, tail: float, cost: Floats
) -> float:
    """The start moves on by whole steps: the parts of a step at either end stay as long as they are."""
    least = np.inf
    for k in range(len(cost)):
        cost[k] = to_end[k] - from_start[k] + after[k] * tail - before[k] * head
        least = min(least, cost[k])
    return least


@compiled
def _grams_later(lines: Lines, z: int, start: float, length: float, every: float, cost: Floats) -> float:
    """Fills cost[k] with the integral of intensity over a job that starts k·every later than `start`: the least."""
    values, area, step = lines
    g, h = int(start / step), int((start + length) / step)
    head, tail = start - g * step, start + length - h * step
    stride = int(every / step)
    if every == step:  # apart from the next, so that this one is compiled for numbers that lie side by side
        return _by_steps(values[z, g:], values[z, h:], area[z, g:], area[z, h:], head, tail, cost)
    if stride * step == every:
        by = slice(0, None, stride)
        return _by_steps(values[z, g:][by], values[z, h:][by], area[z, g:][by], area[z, h:][by], head, tail, cost)
    least = np.inf
    for k in range(len(cost)):
        cost[k] = integral(lines, z, start + k * every, start + k * every + length)
        least = min(least, cost[k])
    return least


@compiled
def stepped(
    lines: Lines,
    every: float,
    home: Ints,
    jobs: Jobs,
    assumed: Floats,
    per_time: bool,
    scratch: Floats,
    out: Floats,
) -> None:
    """Of the starts submitted + k·every, the one of least carbon for a job of the `assumed` length;
    `per_time`: of most carbon saved per second until done. A start whose assumed end passes the grid's is left out.

    `scratch`: a number for each start.
    """
    limit = (lines.values.shape[1] - 1) * lines.step
    for i in range(len(jobs.submitted)):
        now, length = jobs.submitted[i], assumed[i]
        out[i] = now
        if now + length > limit:
            continue
        cost = scratch[: min(int(jobs.slack[i] / every), int((limit - now - length) / every)) + 1]
        least = _grams_later(lines, home[i], now, length, every, cost)
        if per_time:
            at_once, least = cost[0], 0.0
            for k in range(len(cost)):
                cost[k] = (cost[k] - at_once) / (k * every + length)
                least = min(least, cost[k])
        enough = least + TIE * abs(least)
        k = 0
        while cost[k] > enough:
            k += 1
        out[i] = now + k * every
