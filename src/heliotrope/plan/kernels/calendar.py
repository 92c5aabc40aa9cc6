"""Devices promised, cell by cell: jobs reserve in order of submission, and nobody is ever overbooked.

A cell is five minutes of one zone. A job holds its devices in every cell it touches, so the promise errs on the
safe side. A reservation once made is kept: no later job can delay an earlier one (conservative backfilling).
"""

from __future__ import annotations

import math

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Batch, Bytes, Curves, Floats, Ints, Slots
from heliotrope.plan.kernels.solve import Room

CELL_S = 300.0
NOTHING_S = 1e-6


@compiled
def _hold(used: Floats, start: float, end: float, devices: float, cell: float) -> None:
    for i in range(int(start / cell), math.ceil(end / cell - 1e-9)):
        used[i] += devices


@compiled
def _earliest(used: Floats, limit: float, ready: float, length: float, devices: float, cell: float) -> float:
    """The first start from `ready` on with enough devices to the end; -1 if the calendar ends before that."""
    size = len(used)
    start = ready
    i = int(start / cell)
    need = math.ceil((start + length) / cell - 1e-9)
    k = i
    while k < need:
        if k >= size:
            return -1.0
        if used[k] + devices > limit:
            start = (k + 1) * cell
            need = math.ceil((start + length) / cell - 1e-9)
        k += 1
    return start


@compiled
def follow(
    used: Floats,
    limits: Floats,
    cell: float,
    devices: Floats,
    job: Ints,
    zone: Ints,
    wish: Floats,
    until: Floats,
    start: Floats,
    end: Floats,
    stuck: Bytes,
) -> None:
    """Each wished slot as early as it can be had from its wished time on; `stuck`: jobs the calendar ends before."""
    free_at = 0.0
    last = -1
    for i in range(len(job)):
        j = job[i]
        ready = wish[i]
        if j == last and free_at > ready:
            ready = free_at
        length = until[i] - wish[i]
        found = _earliest(used[zone[i]], limits[zone[i]], ready, length, devices[j], cell)
        if found < 0.0 or stuck[j] != 0:
            stuck[j] = 1
            start[i], end[i] = wish[i], wish[i]
            continue
        start[i] = found
        end[i] = found + length
        _hold(used[zone[i]], start[i], end[i], devices[j], cell)
        free_at = end[i]
        last = j


@compiled
def _free_in_step(
    used: Floats, limit: float, devices: float, cell: float, step: float, h: int, begin: float, close: float
) -> float:
    """Seconds within [begin, close) of step h that are free, whole cells or the touched part of one."""
    free = 0.0
    for c in range(int(max(h * step, begin) / cell), math.ceil(min((h + 1) * step, close) / cell - 1e-9)):
        if used[c] + devices <= limit:
            free += min((c + 1) * cell, close) - max(c * cell, begin)
    return free


@compiled
def choose(
    values: Floats,
    area: Floats,
    step: float,
    used: Floats,
    limits: Floats,
    cell: float,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    devices: Floats,
    pausable: Bytes,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
    stuck: Bytes,
) -> int:
    """Each job in turn takes the cleanest free seconds of its window, in the zone where they are cleanest.

    What no zone can give before the deadline is had as early as possible, and counts as missed.
    `stuck`: jobs that found nothing before the calendar's end. Slots filled.
    """
    longest = 0.0
    for i in range(len(submitted)):
        longest = max(longest, length[i] + slack[i])
    size = int(longest / step) + 3
    worth = np.empty(size)
    free = np.empty(size)
    take = np.empty(size)
    kept = np.empty(size)
    at = 0
    for i in range(len(submitted)):
        begin = submitted[i]
        close = begin + length[i] + slack[i]
        first = int(begin / step)
        count = max(1, math.ceil(close / step - 1e-9) - first)
        best = np.inf
        zone = -1
        best_start = -1.0
        for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
            z = sets[k]
            if devices[i] > limits[z]:
                continue
            if pausable[i] == 0:
                start, cost = _cleanest_run(
                    values[z], area[z], step, used[z], limits[z], cell, begin, length[i], slack[i], devices[i]
                )
                if start >= 0.0 and cost < best:
                    best, zone, best_start = cost, z, start
                continue
            for s in range(count):
                worth[s] = values[z, first + s]
                free[s] = -1.0
                take[s] = 0.0
            need = length[i]
            cost = 0.0
            while need > NOTHING_S:
                least = np.inf
                for s in range(count):
                    least = min(least, worth[s])
                if least == np.inf:
                    break
                s = 0
                while worth[s] != least:
                    s += 1
                worth[s] = np.inf
                found = _free_in_step(used[z], limits[z], devices[i], cell, step, first + s, begin, close)
                take[s] = min(found, need)
                need -= take[s]
                cost += take[s] * least
                if cost >= best:
                    break
            if need <= NOTHING_S and cost < best:
                best, zone = cost, z
                for s in range(count):
                    kept[s] = take[s]
        if zone < 0 or pausable[i] == 0:
            if zone < 0:
                best_start = np.inf
                for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
                    z = sets[k]
                    if devices[i] > limits[z]:
                        continue
                    found = _earliest(used[z], limits[z], begin, length[i], devices[i], cell)
                    if 0.0 <= found < best_start:
                        best_start, zone = found, z
                if zone < 0:
                    stuck[i] = 1
                    continue
            out_job[at], out_zone[at] = i, zone
            out_start[at], out_end[at] = best_start, best_start + length[i]
            _hold(used[zone], best_start, best_start + length[i], devices[i], cell)
            at += 1
            continue
        opened = at
        for s in range(count):
            left = kept[s]
            h = first + s
            for c in range(int(max(h * step, begin) / cell), math.ceil(min((h + 1) * step, close) / cell - 1e-9)):
                if left <= NOTHING_S:
                    break
                if used[zone, c] + devices[i] > limits[zone]:
                    continue
                a = max(c * cell, begin)
                b = min((c + 1) * cell, close, a + left)
                left -= b - a
                used[zone, c] += devices[i]
                if at > opened and out_end[at - 1] >= a - NOTHING_S:
                    out_end[at - 1] = b
                else:
                    out_job[at], out_zone[at] = i, zone
                    out_start[at], out_end[at] = a, b
                    at += 1
    return at


@compiled
def _cleanest_run(
    values: Floats,
    area: Floats,
    step: float,
    used: Floats,
    limit: float,
    cell: float,
    begin: float,
    length: float,
    slack: float,
    devices: float,
) -> tuple[float, float]:
    """The free contiguous window of least intensity that starts at once or with a cell; (-1, inf) if none."""
    best = np.inf
    best_start = -1.0
    last = begin + slack + 1e-9
    start = begin
    clear = int(begin / cell)  # cells from the start's up to here are known to be free
    while start <= last:
        need = math.ceil((start + length) / cell - 1e-9)
        blocked = -1
        while clear < need:
            if used[clear] + devices > limit:
                blocked = clear
                break
            clear += 1
        if blocked >= 0:
            start = (blocked + 1) * cell
            clear = blocked + 1
            continue
        i = int(start / step)
        j = int((start + length) / step)
        cost = area[j] - area[i] + values[j] * (start + length - j * step) - values[i] * (start - i * step)
        if cost < best - 1e-9 * abs(best) or best_start < 0.0:
            best, best_start = cost, start
        start = (int(start / cell + 1e-9) + 1) * cell
    return best_start, best


class Calendar:
    """The cells of every zone, over the grid's whole length."""

    def __init__(self, curves: Curves, limits: tuple[float, ...]) -> None:
        self.curves = curves
        self.limits: Floats = np.array(limits, dtype=np.float64)
        self.used: Floats = np.zeros((len(curves.zones), math.ceil(curves.end_s / CELL_S)))

    def follow(self, batch: Batch, wished: Slots, stuck: Bytes) -> Slots:
        """What a policy wished, queued for devices; marks in `stuck` the jobs that found none."""
        start, end = np.empty(len(wished)), np.empty(len(wished))
        follow(
            self.used,
            self.limits,
            CELL_S,
            batch.devices,
            wished.job,
            wished.zone,
            wished.start_s,
            wished.end_s,
            start,
            end,
            stuck,
        )
        return Slots(wished.job, wished.zone, start, end)

    def choose(self, batch: Batch, stuck: Bytes) -> Slots:
        """Ours: the cleanest of what is free; marks in `stuck` the jobs that found nothing."""
        pieces = (batch.length_s / CELL_S + 3).sum()
        room = Room(int(pieces))
        curves = self.curves
        used = choose(
            curves.values,
            curves.area,
            curves.step_s,
            self.used,
            self.limits,
            CELL_S,
            batch.submitted_s,
            batch.length_s,
            batch.slack_s,
            batch.devices,
            batch.pausable,
            batch.places,
            batch.sets,
            batch.sets_ptr,
            room.job,
            room.zone,
            room.start,
            room.end,
            stuck,
        )
        return room.slots(used)
