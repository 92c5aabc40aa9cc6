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
from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import NOTHING_S, write
from heliotrope.plan.kernels.policies import gaia
from heliotrope.plan.kernels.shapes import Batch, Bytes, Curves, Floats, Ints, Jobs, Lines, Pieces, Slots
from heliotrope.plan.kernels.solve import filled, room_to_pause
from heliotrope.plan.kernels.world import World
from heliotrope.units import J_PER_KWH

GRAIN_S = 300.0  # of the table of lengths
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
    lines: Lines,
    tables: Floats,
    price: float,
    home: Ints,
    queue: Bytes,
    jobs: Jobs,
    slack: Floats,
    worth: Floats,
    runs: Bytes,
    out: Pieces,
) -> int:
    """Decides without looking at `length`, which only says when to stop.

    `worth`, `runs` [has run, steps of work, steps waited] are scratch: cost from there on, and whether to run.
    """
    at = 0
    step = lines.step
    deepest, most_waits = worth.shape[1] - 1, worth.shape[2] - 1
    for i in range(len(jobs.submitted)):
        row = lines.values[home[i]]
        last = len(row) - 2
        table = tables[queue[i]]
        first = int(jobs.submitted[i] / step)
        head = (first + 1) * step - jobs.submitted[i]
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
                    run = jobs.watts[i] * intensity * expected / J_PER_KWH + worth[ran, n + 1, j]
                    runs[ran, n, j] = 1
                    if j < waits:
                        wait = price * alive + worth[ran, n, j + 1]
                        if wait < run:
                            run = wait
                            runs[ran, n, j] = 0
                    worth[ran, n, j] = run
        at_once = jobs.watts[i] * row[first] * _alive(table, head) / J_PER_KWH + worth[1, 0, 0]
        ran = 1 if slack[i] < head or at_once <= price * head + worth[0, 0, 0] else 0
        now = jobs.submitted[i]
        need = jobs.length[i]
        opened = at
        n = 0
        j = 0
        going = ran == 1
        edge = (first + 1) * step
        while need > NOTHING_S:
            if going:
                used = min(need, edge - now)
                at = write(out, opened, at, i, home[i], now, now + used)
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
    room = room_to_pause(batch, curves.step_s, batch.slack_s + batch.length_s)
    queue = (batch.length_s >= gaia.SHORT_S).astype(np.int8)
    slack = np.where(batch.pausable != 0, batch.slack_s, 0.0)
    deepest = int(GRAIN_S * (tables.shape[1] - 1) / curves.step_s) + 2
    worth = np.zeros((2, deepest + 1, int(slack.max(initial=0.0) / curves.step_s) + 2))
    runs = np.zeros(worth.shape, dtype=np.int8)
    used = roll(curves.lines, tables, price, batch.home, queue, batch.jobs, slack, worth, runs, room)
    return filled(room, used)


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
