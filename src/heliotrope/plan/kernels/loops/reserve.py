"""Who holds devices when, cell by cell: jobs reserve in turn, and nobody is ever overbooked.

A job holds its devices in every cell it touches, so the promise errs on the safe side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.cheapest import Ranks, ranked
from heliotrope.plan.kernels.loops.pieces import integral, write
from heliotrope.plan.kernels.loops.window import TIE
from heliotrope.plan.kernels.shapes import Bytes, Floats, Ints, Jobs, Lines, Pieces

NOTHING_S = 1e-6


class Cells(NamedTuple):
    """`used[z, c]` devices are promised in zone z over [c, c+1)·`cell` seconds, of `limits[z]`."""

    used: Floats
    limits: Floats
    cell: float


@compiled
def _after(cells: Cells, end: float) -> int:
    """The first cell that something ending at `end` does not touch."""
    return math.ceil(end / cells.cell - 1e-9)


@compiled
def _hold(cells: Cells, z: int, start: float, end: float, devices: float) -> None:
    for c in range(int(start / cells.cell), _after(cells, end)):
        cells.used[z, c] += devices


@compiled
def _earliest(cells: Cells, z: int, ready: float, length: float, devices: float) -> float:
    """The first start from `ready` on with enough devices to the end; -1 if the calendar ends before that."""
    start = ready
    c = int(start / cells.cell)
    need = _after(cells, start + length)
    while c < need:
        if c >= cells.used.shape[1]:
            return -1.0
        if cells.used[z, c] + devices > cells.limits[z]:
            start = (c + 1) * cells.cell
            need = _after(cells, start + length)
        c += 1
    return start


@compiled
def follow(cells: Cells, devices: Floats, wished: Pieces, start: Floats, end: Floats, stuck: Bytes) -> None:
    """Each wished slot as early as it can be had from its wished time on; `stuck`: jobs the calendar ends before."""
    free_at = 0.0
    last = -1
    for i in range(len(wished.job)):
        j, z = wished.job[i], wished.zone[i]
        ready = wished.start[i]
        if j == last and free_at > ready:
            ready = free_at
        length = wished.end[i] - wished.start[i]
        found = _earliest(cells, z, ready, length, devices[j])
        if found < 0.0 or stuck[j] != 0:
            stuck[j] = 1
            start[i], end[i] = wished.start[i], wished.start[i]
            continue
        start[i] = found
        end[i] = found + length
        _hold(cells, z, start[i], end[i], devices[j])
        free_at = end[i]
        last = j


@compiled
def choose(
    lines: Lines, cells: Cells, jobs: Jobs, ranks: Ranks, take: Floats, kept: Floats, out: Pieces, stuck: Bytes
) -> int:
    """Each job in turn takes the cleanest free seconds of its window, in the zone where they are cleanest.

    What no zone can give before the deadline is had as early as possible, and counts as missed.
    `stuck`: jobs that found nothing before the calendar's end. Slots filled. `ranks`, `take`, `kept` are scratch.
    """
    at = 0
    for i in range(len(jobs.submitted)):
        places = jobs.sets[jobs.sets_ptr[jobs.places[i]] : jobs.sets_ptr[jobs.places[i] + 1]]
        best = np.inf
        zone = -1
        start = -1.0
        for z in places:
            if jobs.devices[i] > cells.limits[z]:
                continue
            if jobs.pausable[i] == 0:
                begin, cost = _cleanest_run(lines, cells, z, jobs, i)
                if cost < best:
                    best, zone, start = cost, z, begin
            else:
                cost = _cleanest_seconds(lines, cells, z, jobs, i, ranks, best, take)
                if cost < best:
                    best, zone = cost, z
                    take, kept = kept, take
        if zone >= 0 and jobs.pausable[i] != 0:
            at = _hold_seconds(lines.step, cells, zone, jobs, i, kept, out, at)
            continue
        if zone < 0:
            zone, start = _as_early_as_can_be(cells, places, jobs, i)
        if zone < 0:
            stuck[i] = 1
            continue
        _hold(cells, zone, start, start + jobs.length[i], jobs.devices[i])
        at = write(out, at, at, i, zone, start, start + jobs.length[i])
    return at


@compiled
def _cleanest_run(lines: Lines, cells: Cells, z: int, jobs: Jobs, i: int) -> tuple[float, float]:
    """The free contiguous window of least intensity that starts at once or with a cell: (start, cost).

    Cost infinite where there is none.
    """
    begin, length, devices = jobs.submitted[i], jobs.length[i], jobs.devices[i]
    best = np.inf
    found = -1.0
    last = begin + jobs.slack[i] + 1e-9
    start = begin
    clear = int(begin / cells.cell)  # cells from the start's up to here are known to be free
    while start <= last:
        need = _after(cells, start + length)
        blocked = -1
        while clear < need:
            if cells.used[z, clear] + devices > cells.limits[z]:
                blocked = clear
                break
            clear += 1
        if blocked >= 0:
            start = (blocked + 1) * cells.cell
            clear = blocked + 1
            continue
        cost = integral(lines, z, start, start + length)
        if cost < best - TIE * abs(best) or found < 0.0:
            best, found = cost, start
        start = (int(start / cells.cell + 1e-9) + 1) * cells.cell
    return found, best


@compiled
def _cleanest_seconds(
    lines: Lines, cells: Cells, z: int, jobs: Jobs, i: int, ranks: Ranks, enough: float, take: Floats
) -> float:
    """Fills take[s] with free seconds of each step s of the window, cheapest steps first; their cost.

    Infinite where there is too little, or once it is not below `enough`.
    """
    step = lines.step
    begin = jobs.submitted[i]
    close = begin + jobs.length[i] + jobs.slack[i]
    first = int(begin / step)
    count = max(1, math.ceil(close / step - 1e-9) - first)
    row = ranked(lines.values, z, first, count, ranks)
    take[:count] = 0.0
    need = jobs.length[i]
    cost = 0.0
    for n in range(count):
        s = ranks.order[row, n]
        low, high = max((first + s) * step, begin), min((first + s + 1) * step, close)
        take[s] = min(_free(cells, z, jobs.devices[i], low, high), need)
        need -= take[s]
        cost += take[s] * lines.values[z, first + s]
        if cost >= enough:
            break
        if need <= NOTHING_S:
            return float(cost)
    return np.inf


@compiled
def _free(cells: Cells, z: int, devices: float, low: float, high: float) -> float:
    """Seconds within [low, high) that are free, whole cells or the touched part of one."""
    free = 0.0
    for c in range(int(low / cells.cell), _after(cells, high)):
        if cells.used[z, c] + devices <= cells.limits[z]:
            free += min((c + 1) * cells.cell, high) - max(c * cells.cell, low)
    return free


@compiled
def _hold_seconds(step: float, cells: Cells, z: int, jobs: Jobs, i: int, take: Floats, out: Pieces, at: int) -> int:
    """Holds take[s] seconds of each step, the earliest that are free, and writes them down."""
    begin, devices = jobs.submitted[i], jobs.devices[i]
    close = begin + jobs.length[i] + jobs.slack[i]
    first = int(begin / step)
    opened = at
    for s in range(max(1, math.ceil(close / step - 1e-9) - first)):
        left = take[s]
        low, high = max((first + s) * step, begin), min((first + s + 1) * step, close)
        for c in range(int(low / cells.cell), _after(cells, high)):
            if left <= NOTHING_S:
                break
            if cells.used[z, c] + devices > cells.limits[z]:
                continue
            a = max(c * cells.cell, low)
            b = min((c + 1) * cells.cell, high, a + left)
            left -= b - a
            cells.used[z, c] += devices
            at = write(out, opened, at, i, z, a, b)
    return at


@compiled
def _as_early_as_can_be(cells: Cells, places: Ints, jobs: Jobs, i: int) -> tuple[int, float]:
    """(zone, start); zone -1 where there is no room before the calendar's end."""
    zone, start = -1, np.inf
    for z in places:
        if jobs.devices[i] > cells.limits[z]:
            continue
        found = _earliest(cells, z, jobs.submitted[i], jobs.length[i], jobs.devices[i])
        if 0.0 <= found < start:
            zone, start = z, found
    return zone, start
