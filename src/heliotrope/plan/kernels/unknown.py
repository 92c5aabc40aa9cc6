"""Jobs whose length nobody knows: run or wait, hour by hour, by what lengths of their queue tend to be.

With S(w) the share of the queue's jobs longer than w, running through an hour of intensity c at work w costs
power·c·∫S, waiting an hour costs price·S(w): a job that has ended neither emits nor waits. The best policy under
those costs is a small dynamic programme over (work done, hours waited), solved exactly for each job.
The price, grams per second waited, is the same for all jobs, so those that save much wait and the rest do not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from heliotrope.errors import UsageError
from heliotrope.plan.kernels import gaia
from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Batch, Bytes, Curves, Floats, Ints, Slots
from heliotrope.plan.kernels.solve import Room
from heliotrope.plan.kernels.world import World

GRAIN_S = 300.0  # of the table of lengths
NOTHING_S = 1e-7
SAMPLE = 4096  # jobs on which the price is tuned
HALVINGS = 40
CLOSE = 1e-3  # how near to the peer's mean wait the price is brought


@compiled
def _alive(table: Floats, work: float) -> float:
    """Seconds a job of the queue is expected to run in its first `work` seconds: ∫S."""
    x = work / GRAIN_S
    i = int(x)
    if i >= len(table) - 1:
        return float(table[len(table) - 1])
    return float(table[i] + (x - i) * (table[i + 1] - table[i]))


@compiled
def roll(
    values: Floats,
    step: float,
    tables: Floats,
    price: float,
    home: Ints,
    queue: Bytes,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    watts: Floats,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
) -> int:
    """Decides without looking at `length`, which only says when to stop."""
    at = 0
    deepest = int(GRAIN_S * (tables.shape[1] - 1) / step) + 2
    most_waits = 1
    for i in range(len(submitted)):
        most_waits = max(most_waits, int(slack[i] / step) + 1)
    worth = np.zeros((2, deepest + 1, most_waits + 1))
    runs = np.zeros((2, deepest + 1, most_waits + 1), dtype=np.int8)
    for i in range(len(submitted)):
        row = values[home[i]]
        last = len(row) - 2
        table = tables[queue[i]]
        first = int(submitted[i] / step)
        head = (first + 1) * step - submitted[i]
        for ran in range(2):
            waits = int((slack[i] - (0.0 if ran == 1 else head)) / step + 1e-12)
            base = head if ran == 1 else 0.0
            for j in range(most_waits + 1):
                worth[ran, deepest, j] = 0.0
                runs[ran, deepest, j] = 1
            for n in range(deepest - 1, -1, -1):
                work = base + n * step
                expected = _alive(table, work + step) - _alive(table, work)
                alive = (_alive(table, work + 1.0) - _alive(table, work)) * step
                for j in range(max(waits, 0), -1, -1):
                    intensity = row[min(first + 1 + n + j, last)]
                    run = watts[i] * intensity * expected / 3.6e6 + worth[ran, n + 1, j]
                    runs[ran, n, j] = 1
                    if j < waits:
                        wait = price * alive + worth[ran, n, j + 1]
                        if wait < run:
                            run = wait
                            runs[ran, n, j] = 0
                    worth[ran, n, j] = run
        at_once = watts[i] * row[first] * _alive(table, head) / 3.6e6 + worth[1, 0, 0]
        ran = 1 if slack[i] < head or at_once <= price * head + worth[0, 0, 0] else 0
        now = submitted[i]
        need = length[i]
        opened = at
        n = 0
        j = 0
        going = ran == 1
        edge = (first + 1) * step
        while need > NOTHING_S:
            if going:
                used = min(need, edge - now)
                if at > opened and out_end[at - 1] >= now - NOTHING_S:
                    out_end[at - 1] = now + used
                else:
                    out_job[at], out_zone[at] = i, home[i]
                    out_start[at], out_end[at] = now, now + used
                    at += 1
                need -= used
            now = edge
            edge += step
            going = runs[ran, min(n, deepest), j] == 1
            if going:
                n += 1
            else:
                j += 1
    return at


def online(batch: Batch, world: World) -> Slots:
    """At GAIA's mean wait and without knowing lengths: the price is set so that Carbon-Time's mean wait is met."""
    if world.belief is not None or world.blind:
        raise UsageError(
            "helio:online knows the grid and not the jobs, as GAIA does", hint="leave out --forecast, or say perfect"
        )
    lengths = world.lengths()
    return _rolled(batch, world.curves, _tables(lengths.tobytes()), _price(world))


def _rolled(batch: Batch, curves: Curves, tables: Floats, price: float) -> Slots:
    room = Room.suspending(batch, curves.step_s, batch.slack_s + batch.length_s)
    used = roll(
        curves.values,
        curves.step_s,
        tables,
        price,
        batch.home,
        (batch.length_s >= gaia.SHORT_S).astype(np.int8),
        batch.submitted_s,
        batch.length_s,
        np.where(batch.pausable != 0, batch.slack_s, 0.0),
        batch.power_w,
        room.job,
        room.zone,
        room.start,
        room.end,
    )
    return room.slots(used)


@lru_cache(maxsize=4)
def _tables(lengths: bytes) -> Floats:
    """[queue, work]: seconds expected to be run by then, of the short queue and the long one."""
    known = np.frombuffer(lengths)
    grid = np.arange(math.ceil(known.max() / GRAIN_S) + 2) * GRAIN_S
    out = np.empty((2, len(grid)))
    for row, queue in enumerate((known[known < gaia.SHORT_S], known[known >= gaia.SHORT_S])):
        ordered = np.sort(queue) if len(queue) else np.array([gaia.SHORT_S])
        # E[min(length, w)] = (sum of those below w + w · how many are not) / all
        below = np.searchsorted(ordered, grid)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        out[row] = (sums[below] + grid * (len(ordered) - below)) / len(ordered)
    return out


def mean_wait_s(batch: Batch, slots: Slots) -> float:
    finish = np.zeros(len(batch))
    np.maximum.at(finish, slots.job, slots.end_s)
    return float((finish - batch.submitted_s - batch.length_s).mean())


@lru_cache(maxsize=4)
def _price(world: World) -> float:
    """Grams a second, by bisection on a sample of the trace: the least at which nobody waits longer than under GAIA."""
    sample = world.sample(SAMPLE)
    limit = mean_wait_s(sample, gaia.carbon_time(sample, world)) * (1 - CLOSE)
    tables = _tables(world.lengths().tobytes())
    low, high = 1e-12, 1.0
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if mean_wait_s(sample, _rolled(sample, world.curves, tables, middle)) > limit:
            low = middle
        else:
            high = middle
        if high / low < 1 + CLOSE:
            break
    return high
