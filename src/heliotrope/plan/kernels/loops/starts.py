"""Starts as GAIA looks for them: the lowest step, or the best of evenly spaced starts."""

from __future__ import annotations

from heliotrope.plan.kernels.jit import compiled
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
def stepped(lines: Lines, every: float, home: Ints, jobs: Jobs, assumed: Floats, per_time: bool, out: Floats) -> None:
    """Of the starts submitted + k·every, the one of least carbon for a job of the `assumed` length;
    `per_time`: of most carbon saved per second until done. A start whose assumed end passes the grid's is left out.
    """
    values, area, step = lines
    submitted, slack = jobs.submitted, jobs.slack
    limit = (values.shape[1] - 1) * step
    stride = int(every / step)
    aligned = stride * step == every
    for i in range(len(submitted)):
        z, now, length = home[i], submitted[i], assumed[i]
        out[i] = now
        if now + length > limit:
            continue
        g, h = int(now / step), int((now + length) / step)
        before, after = now - g * step, now + length - h * step
        at_once = area[z, h] - area[z, g] + values[z, h] * after - values[z, g] * before
        best = 0.0 if per_time else at_once
        chosen = 0
        for k in range(1, min(int(slack[i] / every), int((limit - now - length) / every)) + 1):
            if aligned:
                g += stride
                h += stride
            else:
                start = now + k * every
                g, h = int(start / step), int((start + length) / step)
                before, after = start - g * step, start + length - h * step
            score = area[z, h] - area[z, g] + values[z, h] * after - values[z, g] * before
            if per_time:
                score = (score - at_once) / (k * every + length)
            if score < best - TIE * abs(best):
                best = score
                chosen = k
        out[i] = now + chosen * every
