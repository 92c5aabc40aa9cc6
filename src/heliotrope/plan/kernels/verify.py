"""Checks slots against what their jobs allow, knowing nothing of how they came to be."""

from __future__ import annotations

from typing import NamedTuple

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Batch, Jobs, Pieces, Slots

DUST_S = 1e-3  # to the millisecond


class Kept(NamedTuple):
    """`wrong`: jobs not run as they allow, deadlines apart; `missed`: jobs that end after theirs; waits of all, s."""

    wrong: int
    missed: int
    wait_s: float


@compiled
def _check(jobs: Jobs, slots: Pieces) -> tuple[int, int, float]:
    """Jobs that start early, run twice at once, too long or too short, pause, move or go where they may not."""
    submitted, length, pausable, movable = jobs.submitted, jobs.length, jobs.pausable, jobs.movable
    places, sets, sets_ptr = jobs.places, jobs.sets, jobs.sets_ptr
    job, zone, start, end = slots
    wrong = 0
    missed = 0
    waits = 0.0
    i = 0
    for j in range(len(submitted)):
        done = 0.0
        before = submitted[j]
        first = i
        bad = False
        while i < len(job) and job[i] == j:
            allowed = False
            for k in range(sets_ptr[places[j]], sets_ptr[places[j] + 1]):
                allowed = allowed or sets[k] == zone[i]
            bad = bad or not allowed or start[i] < before - DUST_S or end[i] < start[i]
            if i > first:
                bad = bad or pausable[j] == 0 or (movable[j] == 0 and zone[i] != zone[i - 1])
            done += end[i] - start[i]
            before = end[i]
            i += 1
        wait = before - submitted[j] - length[j]
        waits += wait
        missed += wait > jobs.slack[j] + DUST_S
        if bad or abs(done - length[j]) > DUST_S:
            wrong += 1
    return wrong + len(job) - i, missed, waits


def kept(batch: Batch, slots: Slots) -> Kept:
    return Kept(*_check(batch.jobs, Pieces(slots.job, slots.zone, slots.start_s, slots.end_s)))
