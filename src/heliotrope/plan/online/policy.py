"""`--policy online`: every job follows the forecast, as far as one account over all of them lets it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heliotrope.errors import UsageError
from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import NOTHING_S
from heliotrope.plan.kernels.rolling import cheapest_now_s
from heliotrope.plan.kernels.shapes import Batch, Floats, Ints, Jobs, Longs, Pieces, Slots
from heliotrope.plan.kernels.solve import room_for
from heliotrope.plan.kernels.world import World
from heliotrope.plan.online.guard import Guard, may_lag_s, passed

DAY_S = 86_400.0
Table = npt.NDArray[np.float32]


@compiled
def walk(
    values: Floats,
    advice: Table,
    rows: Ints,
    home: Ints,
    step: float,
    jobs: Jobs,
    order: Longs,
    account: Floats,
    need: Floats,
    active: Longs,
    opened: Longs,
    used: Longs,
    out: Pieces,
) -> None:
    """Hour by hour over all jobs at once. `order`: by submission; job j writes from row `opened[j]`, `used[j]` rows.

    `need`: seconds left, by job; `active`: scratch. What belongs to the cheapest seconds left runs, by the advice that
    stands; the rest waits, as far as the account and the deadline allow.
    """
    day = max(1, int(DAY_S / step))
    count, begun = 0, 0
    i = int(jobs.submitted[order[0]] / step)
    while count > 0 or begun < len(order):
        if count == 0:
            i = max(i, int(jobs.submitted[order[begun]] / step))
        opens, closes = i * step, (i + 1) * step
        while begun < len(order) and jobs.submitted[order[begun]] < closes:
            active[count] = order[begun]
            count += 1
            begun += 1
        still = 0
        for a in range(count):
            j = active[a]
            z = home[j]
            now = max(jobs.submitted[j], opens)
            end = jobs.submitted[j] + jobs.length[j] + jobs.slack[j]
            room = closes - now
            run = min(need[j], room)
            theirs = max(0.0, min(closes, jobs.submitted[j] + jobs.length[j]) - now)
            spare = end - now - need[j]
            intensity = values[z, i]
            if spare > NOTHING_S and jobs.pausable[j] != 0:
                wanted = min(run, max(0.0, cheapest_now_s(advice[rows[z], i], 0, step, day, now, need[j], end)))
                # No later than the deadline lets it, and no further behind than the account covers.
                wanted = max(wanted, min(run, room - spare))
                lag = theirs - wanted
                # Half a wait ends no sooner than a whole one and saves half: who cannot wait whole does not.
                if lag > 0.0 and may_lag_s(account, intensity, jobs.watts[j], lag) < lag:
                    wanted = theirs
                run = min(run, wanted)
            if run > 0.0:
                need[j] -= run
                last = opened[j] + used[j] - 1
                if used[j] > 0 and out.end[last] >= now - NOTHING_S:
                    out.end[last] = now + run
                else:
                    out.job[last + 1], out.zone[last + 1] = j, z
                    out.start[last + 1], out.end[last + 1] = now, now + run
                    used[j] += 1
            passed(account, intensity, jobs.watts[j], run, theirs)
            if need[j] > NOTHING_S:
                active[still] = j
                still += 1
        count = still
        i += 1


def online(batch: Batch, world: World) -> Slots:
    """At home, in time only; jobs that cannot pause run at once."""
    if world.blind:
        raise UsageError("online follows advice, and there is none", hint="give --forecast FILE, builtin or perfect")
    if not len(batch):
        return Slots.whole(batch, batch.submitted_s)
    curves, belief = world.curves, world.belief
    longest = int((batch.length_s + batch.slack_s).max() / curves.step_s) + 2
    if belief is None:
        tables, rows = _foreseen(curves.values, longest), np.arange(len(curves.zones), dtype=np.int32)
    else:
        tables, rows = belief.tables, belief.rows
    steps = np.ceil((batch.length_s + np.minimum(batch.slack_s, np.inf)) / curves.step_s).astype(np.int64) + 2
    opened = np.concatenate(([0], np.cumsum(steps)))
    room = room_for(int(opened[-1]))
    used = np.zeros(len(batch), dtype=np.int64)
    order = np.argsort(batch.submitted_s, kind="stable")
    walk(
        curves.values,
        tables,
        rows,
        batch.home,
        curves.step_s,
        batch.jobs,
        order,
        Guard().account,
        batch.length_s.copy(),
        np.empty(len(batch), dtype=np.int64),
        opened[:-1],
        used,
        room,
    )
    kept = np.arange(int(opened[-1])) - np.repeat(opened[:-1], steps) < np.repeat(used, steps)
    return Slots(room.job[kept], room.zone[kept], room.start[kept], room.end[kept])


def _foreseen(values: Floats, longest: int) -> Table:
    """[zone, step, lead]: what will be, as a forecast that is right; a view, not a copy."""
    padded = np.concatenate([values, np.repeat(values[:, -1:], longest, axis=1)], axis=1).astype(np.float32)
    table: Table = np.lib.stride_tricks.sliding_window_view(padded, longest, axis=1)
    return table
