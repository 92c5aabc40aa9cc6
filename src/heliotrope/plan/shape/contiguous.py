"""The best unbroken window: exact, because the cost of a start is piecewise linear between known breakpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from heliotrope.plan.timeline import Segment, Timeline

# Costs within this share of each other are a tie; the earlier start wins.
TIE = 1e-12
TOUCH_S = 1e-6
# Seconds after its start at which a phase of it ends, and the share of cases that run through that phase.
Turns = Sequence[tuple[float, float]]
# When it should be done, in the line's seconds, and the cost of each second later.
Due = tuple[float, float]


def best_window(line: Timeline, turns: Turns, due: Due | None = None) -> tuple[float, Segment]:
    """Least cost and its window. Breakpoints: where the start or a turn crosses a step; the caller checks it fits."""
    edges, length = line.edges, turns[-1][0]
    latest = max(line.start, line.end - length)
    found = [edges[: edges.searchsorted(latest, "right")], np.array([latest])]
    found += [edges[edges.searchsorted(line.start + turn) :] - turn for turn, _ in turns]
    found += [] if due is None else [np.array([due[0] - turn for turn, _ in turns])]
    starts = np.concatenate(found)
    np.minimum(np.maximum(starts, line.start, out=starts), latest, out=starts)
    if line.busy:
        starts = starts[line.held_s(starts, length) <= TOUCH_S]
    totals = [np.interp(starts + turn, edges, line.cumulative) for turn in (0.0, *(turn for turn, _ in turns))]
    costs = (totals[1] - totals[0]) * turns[0][1]
    for (_, share), before, after in zip(turns[1:], totals[1:], totals[2:], strict=False):
        costs += (after - before) * share
    if due is not None:
        for (turn, share), (_, later) in pairwise((*turns, (length, 0.0))):
            costs += due[1] * (share - later) * np.clip(starts + turn - due[0], 0.0, None)
    least = float(costs.min())
    tied = costs <= least + TIE * max(abs(least), line.cumulative.item(-1))
    start = float(starts[tied].min())
    return least, (start, start + length)
