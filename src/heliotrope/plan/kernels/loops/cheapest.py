"""The cheapest seconds of each job's window, pauses being free: steps ranked once for all jobs that share a window.

A job of length l takes the cheapest steps of its window, the last of them in part. Which those are depends on the
steps its window touches and on nothing else, so each such window is ranked once and answers every job in it by a
look-up. Windows that begin at the same step are parts of one order, which slides along as jobs arrive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import NOTHING_S, write
from heliotrope.plan.kernels.loops.window import TIE, best_window, least_window
from heliotrope.plan.kernels.shapes import Floats, Ints, Jobs, Lines, Longs, Pieces
from heliotrope.units import J_PER_KWH

MOST_CELLS = 1 << 20  # of all ranked windows together; beyond, newer windows take the place of older
FAR = 32  # steps beyond which an order is sorted anew rather than slid


class Ranks(NamedTuple):
    """Row r holds the window named by `key[r]`: its steps from the cheapest on, ties from the earliest on.

    `order[r, n]`: which step of the window is the n-th; `rank[r, i]`: which place step i has;
    `below[r, n]`: the sum of the n least intensities.
    `whole[z]`: the order of the longest window that begins at step `base[z]`.
    """

    key: Longs
    order: Ints
    rank: Ints
    below: Floats
    base: Longs
    whole: Ints

    @classmethod
    def room(cls, zones: int, step: float, jobs: Jobs) -> Ranks:
        """For the windows of `jobs`, none ranked yet."""
        size = int((jobs.length + jobs.slack).max(initial=0.0) / step) + 3
        most = max(1, min(zones * size, MOST_CELLS // size))
        rows = 1 << (most.bit_length() - 1)  # a power of two, so that a row is found without a division
        return cls(
            np.full(rows, -1, dtype=np.int64),
            np.empty((rows, size), dtype=np.int32),
            np.empty((rows, size), dtype=np.int32),
            np.empty((rows, size + 1)),
            np.full(zones, -1, dtype=np.int64),
            np.empty((zones, size), dtype=np.int32),
        )


@compiled
def _worth(values: Floats, z: int, step: int) -> float:
    """Steps after the grid's end are dearer than any."""
    return float(values[z, step]) if step < values.shape[1] else np.inf


@compiled
def _sort_in(values: Floats, z: int, first: int, n: int, whole: Ints) -> None:
    """Step `n` of the windows from `first` takes its place among those before it."""
    added = _worth(values, z, first + n)
    m = n
    while m > 0 and _worth(values, z, first + whole[z, m - 1]) > added:
        whole[z, m] = whole[z, m - 1]
        m -= 1
    whole[z, m] = n


@compiled
def _order_from(values: Floats, z: int, first: int, base: Longs, whole: Ints) -> None:
    """Brings `whole[z]` to the longest window that begins at `first`."""
    size = whole.shape[1]
    if base[z] < 0 or first < base[z] or first > base[z] + FAR:
        for n in range(size):
            _sort_in(values, z, first, n, whole)
        base[z] = first
    while base[z] < first:
        base[z] += 1
        n = 0
        for m in range(size):
            if whole[z, m] > 0:
                whole[z, n] = whole[z, m] - 1
                n += 1
        _sort_in(values, z, base[z], size - 1, whole)


@compiled
def rank(values: Floats, z: int, first: int, count: int, ranks: Ranks, row: int) -> None:
    """Ranks the window of `count` steps from `first` of row `z` of `values` into `row`."""
    if ranks.base[z] != first:
        _order_from(values, z, first, ranks.base, ranks.whole)
    n = 0
    ranks.below[row, 0] = 0.0
    for m in range(ranks.whole.shape[1]):
        i = ranks.whole[z, m]
        if i < count:
            ranks.order[row, n] = i
            ranks.rank[row, i] = n
            ranks.below[row, n + 1] = ranks.below[row, n] + values[z, first + i]
            n += 1


@compiled
def ranked(values: Floats, z: int, first: int, count: int, ranks: Ranks) -> int:
    """The row of that window, ranked now unless it was before."""
    size = ranks.order.shape[1]
    row = (z * size + count) & (len(ranks.key) - 1)
    name = (z * values.shape[1] + first) * size + count
    if ranks.key[row] != name:
        rank(values, z, first, count, ranks, row)
        ranks.key[row] = name
    return int(row)


@compiled
def touched(step: float, submitted: float, end: float) -> tuple[int, int]:
    """The first step of a window, and how many it touches."""
    first = int(submitted / step)
    return first, max(1, math.ceil(end / step) - first)


@compiled
def share(
    values: Floats,
    z: int,
    step: float,
    first: int,
    count: int,
    submitted: float,
    length: float,
    end: float,
    ranks: Ranks,
    row: int,
) -> tuple[int, float, float]:
    """What a job takes of its window, ranked in `row`: its `k` cheapest steps, less `over` seconds of the last of them,
    and the integral of intensity over that. Of its first and last step only the part within the window counts.
    """
    head_cut = step - (min((first + 1) * step, end) - submitted)
    tail_cut = 0.0 if count == 1 else (first + count) * step - end
    head, tail = ranks.rank[row, 0], ranks.rank[row, count - 1]
    k = min(count, max(1, math.ceil((length - NOTHING_S) / step)))
    room = k * step
    if head < k:
        room -= head_cut
    if tail < k:
        room -= tail_cut
    while room < length - NOTHING_S and k < count:
        room += step
        if head == k:
            room -= head_cut
        if tail == k:
            room -= tail_cut
        k += 1
    over = max(0.0, room - length)
    total = ranks.below[row, k] * step - over * values[z, first + ranks.order[row, k - 1]]
    if head < k:
        total -= head_cut * values[z, first]
    if tail < k:
        total -= tail_cut * values[z, first + count - 1]
    return k, over, total


@compiled
def _run(
    step: float,
    first: int,
    count: int,
    submitted: float,
    end: float,
    k: int,
    over: float,
    rank: Ints,
    j: int,
    z: int,
    out: Pieces,
    at: int,
) -> int:
    """Writes the share down in order of time. A step used in part runs up against its used neighbour, to pause less."""
    opened = at
    left = k
    i = 0
    while left > 0:
        if rank[i] < k:
            left -= 1
            begin = max(submitted, (first + i) * step)
            close = min(end, (first + i + 1) * step)
            used = close - begin - (over if rank[i] == k - 1 else 0.0)
            if used > 0.0:
                joined = at > opened and out.end[at - 1] >= begin - NOTHING_S
                if not joined and i + 1 < count and rank[i + 1] < k:
                    begin = max(begin, close - used)
                else:
                    close = min(close, begin + used)
                at = write(out, opened, at, j, z, begin, close)
        i += 1
    return at


@compiled
def suspend(lines: Lines, jobs: Jobs, ranks: Ranks, out: Pieces) -> int:
    """The cheapest seconds of each job's window in its best zone; the best window where it cannot pause."""
    step = lines.step
    at = 0
    for i in range(len(jobs.submitted)):
        submitted, length, slack = jobs.submitted[i], jobs.length[i], jobs.slack[i]
        end = submitted + length + slack
        first, count = touched(step, submitted, end)
        best, zone, best_k = np.inf, -1, 0
        start, best_over = 0.0, 0.0
        for n in range(jobs.sets_ptr[jobs.places[i]], jobs.sets_ptr[jobs.places[i] + 1]):
            z, k = jobs.sets[n], 0
            begin, over = 0.0, 0.0
            if jobs.pausable[i] != 0:
                row = ranked(lines.values, z, first, count, ranks)
                k, over, found = share(lines.values, z, step, first, count, submitted, length, end, ranks, row)
            else:
                begin, found = best_window(lines, z, submitted, length, slack)
            if zone < 0 or found < best - TIE * abs(best):
                best, zone, best_k, start, best_over = found, z, k, begin, over
        if jobs.pausable[i] == 0:
            at = write(out, at, at, i, zone, start, start + length)
            continue
        row = ranked(lines.values, zone, first, count, ranks)
        at = _run(step, first, count, submitted, end, best_k, best_over, ranks.rank[row], i, zone, out, at)
    return at


@compiled
def least(lines: Lines, cleanest: Floats, jobs: Jobs, ranks: Ranks, anywhere: Ranks, out: Floats) -> None:
    """The grams no schedule of one job alone can be below; `cleanest[s, i]`: the least over set s's zones.

    `ranks` is scratch for the windows of `lines`, `anywhere` for those of `cleanest`.
    """
    step = lines.step
    for i in range(len(jobs.submitted)):
        submitted, length, slack = jobs.submitted[i], jobs.length[i], jobs.slack[i]
        end = submitted + length + slack
        first, count = touched(step, submitted, end)
        best = np.inf
        if jobs.pausable[i] != 0 and jobs.movable[i] != 0:
            row = ranked(cleanest, jobs.places[i], first, count, anywhere)
            _, _, best = share(cleanest, jobs.places[i], step, first, count, submitted, length, end, anywhere, row)
        else:
            for n in range(jobs.sets_ptr[jobs.places[i]], jobs.sets_ptr[jobs.places[i] + 1]):
                z = jobs.sets[n]
                if jobs.pausable[i] != 0:
                    row = ranked(lines.values, z, first, count, ranks)
                    _, _, found = share(lines.values, z, step, first, count, submitted, length, end, ranks, row)
                else:
                    found = least_window(lines, z, submitted, length, slack)
                best = min(best, found)
        out[i] = best * jobs.watts[i] / J_PER_KWH


@compiled
def least_priced(lines: Lines, prices: Floats, jobs: Jobs, ranks: Ranks, worth: Floats) -> float:
    """Grams of all jobs at their fluid best where a device-second in zone z, step i costs `prices[z, i]` g more.

    `worth`: one row of scratch, as long as the longest window.
    """
    step = lines.step
    total = 0.0
    for i in range(len(jobs.submitted)):
        submitted, length = jobs.submitted[i], jobs.length[i]
        first, count = touched(step, submitted, submitted + length + jobs.slack[i])
        worth[0] = np.inf
        for s in range(count):
            for n in range(jobs.sets_ptr[jobs.places[i]], jobs.sets_ptr[jobs.places[i] + 1]):
                z = jobs.sets[n]
                grams = lines.values[z, first + s] * jobs.watts[i] / J_PER_KWH
                worth[0, s] = min(worth[0, s], grams + prices[z, first + s] * jobs.devices[i])
        ranks.base[0] = -1  # other numbers than the last job's
        rank(worth, 0, 0, count, ranks, 0)
        begin = submitted - first * step
        end = begin + length + jobs.slack[i]
        _, _, cost = share(worth, 0, step, 0, count, begin, length, end, ranks, 0)
        total += cost
    return total
