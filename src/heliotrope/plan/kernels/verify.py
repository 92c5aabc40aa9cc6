"""Checks slots against what their jobs allow, knowing nothing of how they came to be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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


def first_fault(batch: Batch, slots: Slots) -> tuple[int, str] | None:
    """The first job that is not run as it allows, and in what."""
    if not kept(batch, slots).wrong:
        return None
    for j in range(len(batch)):
        low, high = np.searchsorted(slots.job, [j, j + 1])
        rows = slice(int(low), int(high))
        starts, ends, zones = slots.start_s[rows], slots.end_s[rows], slots.zone[rows]
        may = batch.sets[batch.sets_ptr[batch.places[j]] : batch.sets_ptr[batch.places[j] + 1]]
        ran, length = float((ends - starts).sum()), float(batch.length_s[j])
        said = (
            ("it runs before it was submitted", bool((starts < batch.submitted_s[j] - DUST_S).any())),
            ("a slot ends before it starts", bool((ends < starts).any())),
            ("two of its slots overlap", bool((starts[1:] < ends[:-1] - DUST_S).any())),
            (f"it runs {ran:g} s of {length:g} s", abs(ran - length) > DUST_S),
            ("it runs in a zone where it may not", not np.isin(zones, may).all()),
            ("it pauses and may not", len(zones) > 1 and batch.pausable[j] == 0),
            ("it moves between zones and may not", len(set(zones.tolist())) > 1 and batch.movable[j] == 0),
        )
        for what, so in said:
            if so:
                return j, what
    return None
