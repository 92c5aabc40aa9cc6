"""The best unbroken window: exact, because the cost of a start is piecewise linear between known breakpoints."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.timeline import Segment, Timeline

# Costs within this share of each other are a tie; the earlier start wins.
TIE = 1e-12
TOUCH_S = 1e-6
# When it should be done, in the line's seconds, and the cost of each second later.
Due = tuple[float, float]


def best_window(line: Timeline, length: float, due: Due | None = None) -> tuple[float, Segment]:
    """Least cost and its window. Breakpoints: where the start or the end crosses a step; the caller checks it fits."""
    edges, latest = line.edges, max(line.start, line.end - length)
    begins = edges[: edges.searchsorted(latest, "right")]
    ends = edges[edges.searchsorted(line.start + length) :]
    starts = np.concatenate((begins, ends - length, (latest,), () if due is None else (due[0] - length,)))
    np.minimum(np.maximum(starts, line.start, out=starts), latest, out=starts)
    if line.busy:
        starts = starts[line.held_s(starts, length) <= TOUCH_S]
    costs = np.interp(starts + length, edges, line.cumulative) - np.interp(starts, edges, line.cumulative)
    if due is not None:
        costs += due[1] * np.clip(starts + length - due[0], 0.0, None)
    least = float(costs.min())
    tied = costs <= least + TIE * max(abs(least), line.cumulative.item(-1))
    start = float(starts[tied].min())
    return least, (start, start + length)
