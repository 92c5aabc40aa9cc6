"""Work whose length nobody knows: what an hour of it costs is weighed by the chance that it is still running then.

The only news on the way is that it has not ended, so a policy is one schedule for the longest case; a shorter one
stops on the way. The expected cost of a schedule is a sum over phases of work, each with its share of cases alive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from heliotrope.model import Length
from heliotrope.plan.timeline import Segment, Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# (seconds of work, the share of cases that run through them), in order.
Phases = tuple[tuple[float, float], ...]
_PARTS = 3  # phases between the least and the expected length, and again up to the most
_MOST_CELLS = 1500
_EPS = 1e-9
_TIE = 1e-7


def phases(length: Length, done_s: float = 0.0) -> Phases:
    """What is left of it where it still runs after `done_s`. Two uniform parts, split so that the mean is right."""
    low, mean, high = length.low_s, length.expected_s, length.high_s
    marks = [low + (mean - low) * k / _PARTS for k in range(_PARTS + 1)]
    marks += [mean + (high - mean) * k / _PARTS for k in range(1, _PARTS + 1)]
    edges = [done_s, *(mark for mark in marks if mark > done_s + _EPS)]
    now = _alive(length, done_s)
    found: list[tuple[float, float]] = []
    for begin, end in pairwise(edges):
        share = _alive(length, (begin + end) / 2) / now if now > 0 else 1.0
        if found and abs(found[-1][1] - share) <= _EPS:
            found[-1] = (found[-1][0] + end - begin, share)
        elif end - begin > _EPS:
            found.append((end - begin, share))
    return tuple(found)


def _alive(length: Length, work_s: float) -> float:
    """The share of cases longer than `work_s`: linear between the least, the expected and the most."""
    low, mean, high = length.low_s, length.expected_s, length.high_s
    if work_s <= low:
        return 1.0
    below = (high - mean) / (high - low)
    if work_s < mean:
        return 1 - below * (work_s - low) / (mean - low)
    return max(0.0, (1 - below) * (high - work_s) / (high - mean)) if high > mean else 0.0


def best_cells(
    line: Timeline,
    expected: Phases,
    pause_cost: float,
    *,
    first_cost: float = 0.0,
    running: bool = False,
    step: float,
) -> list[Segment] | None:
    """Least expected cost of pieces that begin and end on cells of `step` seconds: (on or off, work done) by cells.

    A resume takes whole cells; what it leaves of them does work, so a plan ends no later than it was reckoned to.
    """
    begin = line.start if running else line.start + (line.edges.item(1) - line.start) % step
    step = max(step, (line.end - begin) / _MOST_CELLS)
    cells = int((line.end - begin) / step + _EPS)
    edges: Floats = begin + step * np.arange(cells + 1, dtype=np.float64)
    total = np.interp(edges, line.edges, line.cumulative)
    held = np.zeros(cells + 1, dtype=np.int64)
    np.cumsum(line.held_s(edges[:-1], step) > 0, out=held[1:])
    need = sum(seconds for seconds, _ in expected)
    count = math.ceil(need / step - _EPS)
    weight = _weights(expected, step, count)
    if running:
        first_cost = pause_cost  # of what runs already and is stopped before it does more
    # By whether work was done before: cells that the first start takes, and any later one.
    lags = (math.ceil(first_cost / step - _EPS), math.ceil(pause_cost / step - _EPS))
    parts = (slice(0, 1), slice(1, count))
    on, off = np.full(count + 1, np.inf), np.full(count + 1, np.inf)
    (on if running else off)[0] = 0.0
    offs = np.empty((cells + 1, count + 1))
    stopped, resumed = (np.zeros((cells + 1, count + 1), dtype=bool) for _ in range(2))
    tie = _TIE * float(np.abs(np.diff(total)).max(initial=0.0))  # no pause and no wait that gains less
    for t in range(cells + 1):
        np.less(on, off - tie, out=stopped[t])
        np.copyto(off, on, where=stopped[t])
        offs[t] = off
        for lag, part in zip(lags, parts, strict=True):
            if t >= lag and held[t] == held[t - lag]:
                again = offs[t - lag, part] + weight[part] * (total[t] - total[t - lag]) + tie
                np.less(again, on[part], out=resumed[t, part])
                np.copyto(on[part], again, where=resumed[t, part])
        if t < cells:
            on[1:] = on[:-1] + (weight * (total[t + 1] - total[t]) if held[t + 1] == held[t] else np.inf)
            on[0] = np.inf
    if not np.isfinite(off[count]):
        return None
    runs = _traced(stopped, resumed, lags, count)
    goes_on = running and runs[0][0] == 0
    pieces = [(edges.item(a), edges.item(b)) for a, b in runs]
    return _trimmed(pieces, need, pause_cost, 0.0 if goes_on else first_cost)


def _weights(expected: Phases, step: float, count: int) -> Floats:
    """The mean share alive over each cell of work; none beyond the longest case."""
    work = np.concatenate(([0.0], np.cumsum([seconds for seconds, _ in expected])))
    alive_s = np.concatenate(([0.0], np.cumsum([seconds * share for seconds, share in expected])))
    found: Floats = np.diff(np.interp(step * np.arange(count + 1), work, alive_s)) / step
    return found


def _traced(
    stopped: NDArray[np.bool_], resumed: NDArray[np.bool_], lags: tuple[int, int], count: int
) -> list[tuple[int, int]]:
    """Pieces as [first cell, cell after the last), in order, from the end of the search back to its beginning."""
    t, n, found, end = len(stopped) - 1, count, [], -1
    while t > 0 or n > 0 or end >= 0:
        if end < 0:
            if stopped[t, n]:
                end = t
            elif t == 0:
                break
            else:
                t -= 1
        elif resumed[t, n]:
            t -= lags[n > 0]
            found.append((t, end))
            end = -1
        elif n == 0:
            found.append((t, end))
            break
        else:
            t, n = t - 1, n - 1
    return found[::-1]


def _trimmed(pieces: Sequence[Segment], need: float, pause_cost: float, first_cost: float) -> list[Segment]:
    """Cut where the longest case is done."""
    found: list[Segment] = []
    for start, end in pieces:
        lost = pause_cost if found else first_cost
        done_at = start + lost + need
        if done_at <= end + _EPS:
            return [*found, (start, done_at)]
        found.append((start, end))
        need -= end - start - lost
    return found
