"""Plans made anew as forecasts change: each job, hour by hour, on what was believed at that hour and no more."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Batch, Bytes, Floats, Ints, Slots
from heliotrope.plan.kernels.solve import Room
from heliotrope.plan.kernels.world import World

NOTHING_S = 1e-7
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
def _to_run(row: Table, lead: int, step: float, day: int, now: float, need: float, end: float) -> float:
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
def _start_now(row: Table, lead: int, step: float, day: int, now: float, need: float, end: float) -> bool:
    """Is starting at once believed as good as starting any whole number of steps later, or at the last moment?"""
    i = int(now / step)
    count = math.ceil(end / step - 1e-9) - i + 1
    area = np.zeros(count + 1)
    for k in range(count):
        area[k + 1] = area[k] + _believed(row, lead + k, day) * step
    at_once = _window(row, area, lead, step, day, i, now, need)
    late = now
    while late < end - need - NOTHING_S:
        late = min(late + step, end - need)
        if _window(row, area, lead, step, day, i, late, need) < at_once * (1.0 - 1e-9):
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
def _promise(row: Table, step: float, day: int, start: float, need: float, end: float) -> float:
    """Believed grams (per W) of the cheapest seconds: to choose a zone by."""
    i = int(start / step)
    count = math.ceil(end / step - 1e-9) - i
    worth = np.empty(count)
    for k in range(count):
        worth[k] = _believed(row, k, day)
    order = np.argsort(worth)
    total = 0.0
    for n in range(count):
        k = order[n]
        room = min(end, (i + k + 1) * step) - max(start, (i + k) * step)
        used = min(room, need)
        total += used * worth[k]
        need -= used
        if need <= NOTHING_S:
            break
    return total


@compiled
def roll(
    tables: Table,
    rows: Ints,
    step: float,
    replan: int,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    pausable: Bytes,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
) -> int:
    """Zone chosen at submission; then each step: run what belongs to the cheapest seconds left, or wait."""
    day = max(1, int(DAY_S / step))
    at = 0
    for i in range(len(submitted)):
        now = submitted[i]
        end = now + length[i] + slack[i]
        planned = int(now / step)
        zone = sets[sets_ptr[places[i]]]
        best = np.inf
        if sets_ptr[places[i] + 1] - sets_ptr[places[i]] > 1:
            for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
                found = _promise(tables[rows[sets[k]], planned], step, day, now, length[i], end)
                if found < best * (1.0 - 1e-9) or best == np.inf:
                    best, zone = found, sets[k]
        table = tables[rows[zone]]
        need = length[i]
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
            elif pausable[i] == 0:
                if _start_now(table[planned], h - planned, step, day, now, need, end):
                    run = need
            else:
                run = min(_to_run(table[planned], h - planned, step, day, now, need, end), edge - now)
            if run > 0.0:
                if at > opened and out_end[at - 1] >= now - NOTHING_S:
                    out_end[at - 1] = now + run
                else:
                    out_job[at], out_zone[at] = i, zone
                    out_start[at], out_end[at] = now, now + run
                    at += 1
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
    room = Room.suspending(batch, curves.step_s, batch.length_s + batch.slack_s)
    used = roll(
        belief.tables,
        belief.rows,
        curves.step_s,
        int(world.replan_s // curves.step_s) if world.replan_s > 0 else 0,
        batch.submitted_s,
        batch.length_s,
        batch.slack_s,
        batch.pausable,
        batch.places,
        batch.sets,
        batch.sets_ptr,
        room.job,
        room.zone,
        room.start,
        room.end,
    )
    return room.slots(used)
