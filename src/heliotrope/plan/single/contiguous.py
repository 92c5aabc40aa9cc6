"""The best unbroken window: exact, because the cost of a start is piecewise linear between known breakpoints."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.single.timeline import Segment, Timeline

# Costs within this share of each other are a tie; the earlier start wins.
TIE = 1e-12
TOUCH_S = 1e-6


def best_window(line: Timeline, length: float) -> tuple[float, Segment]:
    """Least cost and its window. Breakpoints: where the start or the end crosses a step; the caller checks it fits."""
    latest = max(line.start, line.end - length)
    starts = np.concatenate((line.edges, line.edges - length, (latest,)))
    starts = np.sort(starts[(starts >= line.start) & (starts <= latest)])
    if line.busy:
        starts = starts[line.held_s(starts, length) <= TOUCH_S]
    costs = np.interp(starts + length, line.edges, line.cumulative) - np.interp(starts, line.edges, line.cumulative)
    least = float(costs.min())
    chosen = int(np.argmax(costs <= least + TIE * max(abs(least), float(line.cumulative[-1]))))
    start = float(starts[chosen])
    return float(costs[chosen]), (start, start + length)
