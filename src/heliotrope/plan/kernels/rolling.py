"""Plans made anew as forecasts change: each job, hour by hour, on what was believed at that hour and no more."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import NOTHING_S, write
from heliotrope.plan.kernels.loops.window import TIE
from heliotrope.plan.kernels.shapes import Batch, Floats, Ints, Jobs, Pieces, Slots
from heliotrope.plan.kernels.solve import filled, room_to_pause
from heliotrope.plan.kernels.world import World

DAY_S = 86_400.0

Table = npt.NDArray[np.float32]


@compiled
def _believed(row: Table, k: int, day: int) -> float:
    """Of lead k; beyond the table's reach, the same hour of its last day."""
    reach = len(row)
    if k >= reach:
        k = reach - day + (k - reach) % day
    return float(row[k])


@compiled
def cheapest_now_s(row: Table, lead: int, step: float, day: int, now: float, need: float, end: float) -> float:
    """Seconds of the step under way that belong to the cheapest `need` seconds left, as believed."""
    i = int(now / step)
    here = _believed(row, lead, day)
    cheaper = 0.0
    for k in range(1, math.ceil(end / step - 1e-9) - i):
        if _believed(row, lead + k, day) < here:
            cheaper += min(end, (i + k + 1) * step) - (i + k) * step
            if cheaper >= need:
                return 0.0
    return need - cheaper


@compiled
def _start_now(row: Table, lead: int, step: float, day: int, now: float, need: float, end: float, area: Floats) -> bool:
    """Is starting at once believed as good as starting any whole number of steps later, or at the last moment?"""
    i = int(now / step)
    count = math.ceil(end / step - 1e-9) - i + 1
    area[0] = 0.0
    for k in range(count):
        area[k + 1] = area[k] + _believed(row, lead + k, day) * step
    at_once = _window(row, area, lead, step, day, i, now, need)
    late = now
    while late < end - need - NOTHING_S:
        late = min(late + step, end - need)
        if _window(row, area, lead, step, day, i, late, need) < at_once * (1.0 - TIE):
            return False
    return True


@compiled
def _window(row: Table, area: Floats, lead: int, step: float, day: int, i: int, start: float, need: float) -> float:
    a = int(start / step)
    b = int((start + need) / step)
    head = _believed(row, lead + a - i, day) * (start - a * step)
    tail = _believed(row, lead + b - i, day) * (start + need - b * step)
    return float(area[b - i] - area[a - i] + tail - head)


@compiled
def _promise(row: Table, step: float, day: int, start: float, need: float, end: float, worth: Floats) -> float:
    """Believed grams (per W) of the cheapest seconds: to choose a zone by."""
    i = int(start / step)
    count = math.ceil(end / step - 1e-9) - i
    for k in range(count):
        worth[k] = _believed(row, k, day)
    total = 0.0
    while need > NOTHING_S:
        least = 0
        for k in range(count):
            if worth[k] < worth[least]:
                least = k
        if worth[least] == np.inf:
            break
        used = min(min(end, (i + least + 1) * step) - max(start, (i + least) * step), need)
        total += used * worth[least]
        need -= used
        worth[least] = np.inf
    return total


@compiled
def roll(tables: Table, rows: Ints, step: float, replan: int, jobs: Jobs, scratch: Floats, out: Pieces) -> int:
    """Zone chosen at submission; then each step: run what belongs to the cheapest seconds left, or wait.

    `scratch`: longer than the longest window's steps.
    """
    day = max(1, int(DAY_S / step))
    at = 0
    for i in range(len(jobs.submitted)):
        now = jobs.submitted[i]
        end = now + jobs.length[i] + jobs.slack[i]
        planned = int(now / step)
        best = np.inf
        some, until = jobs.sets_ptr[jobs.places[i]], jobs.sets_ptr[jobs.places[i] + 1]
        zone = jobs.sets[some]
        if until - some > 1:
            for k in range(some, until):
                found = _promise(tables[rows[jobs.sets[k]], planned], step, day, now, jobs.length[i], end, scratch)
                if found < best * (1.0 - TIE) or best == np.inf:
                    best, zone = found, jobs.sets[k]
        table = tables[rows[zone]]
        need = jobs.length[i]
        opened = at
        while need > NOTHING_S:
            h = int(now / step + 1e-12)
            if replan > 0 and h - planned >= replan:
                planned = h
            edge = (h + 1) * step
            spare = end - now - need
            run = 0.0
            if spare <= NOTHING_S:
                run = need
            elif jobs.pausable[i] == 0:
                if _start_now(table[planned], h - planned, step, day, now, need, end, scratch):
                    run = need
            else:
                run = min(cheapest_now_s(table[planned], h - planned, step, day, now, need, end), edge - now)
            if run > 0.0:
                at = write(out, opened, at, i, zone, now, now + run)
                now += run
                need -= run
                spare = end - now - need
            if need > NOTHING_S and now < edge:
                now = min(edge, now + spare) if spare > NOTHING_S else now
    return at


def replanned(batch: Batch, world: World) -> Slots:
    """Our policy where the future is only believed in."""
    belief = world.belief
    assert belief is not None
    curves = world.curves
    room = room_to_pause(batch, curves.step_s, batch.length_s + batch.slack_s)
    replan = int(world.replan_s // curves.step_s) if world.replan_s > 0 else 0
    longest = int((batch.length_s + batch.slack_s).max(initial=0.0) / curves.step_s)
    scratch = np.empty(longest + 4)
    return filled(room, roll(belief.tables, belief.rows, curves.step_s, replan, batch.jobs, scratch, room))
