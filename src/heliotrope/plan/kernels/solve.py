"""Whole batches through the loops: allocates, calls, trims."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.kernels import loops
from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Ints, Slots
from heliotrope.plan.kernels.world import cleanest


def best_windows(batch: Batch, curves: Curves, slack_s: Floats | None = None) -> Slots:
    """Each job once, whole, in its best zone and window."""
    start, cost = np.empty(len(batch)), np.empty(len(batch))
    zone = np.empty(len(batch), dtype=np.int32)
    slack = batch.slack_s if slack_s is None else slack_s
    loops.windows(
        curves.values,
        curves.area,
        curves.step_s,
        batch.submitted_s,
        batch.length_s,
        slack,
        batch.places,
        batch.sets,
        batch.sets_ptr,
        start,
        zone,
        cost,
    )
    return Slots.whole(batch, start, zone)


class Room:
    """Space for slots that a loop fills; how many a job can need is bounded by its window."""

    def __init__(self, size: int) -> None:
        self.job: Ints = np.empty(size, dtype=np.int32)
        self.zone: Ints = np.empty(size, dtype=np.int32)
        self.start: Floats = np.empty(size)
        self.end: Floats = np.empty(size)

    @classmethod
    def suspending(cls, batch: Batch, step_s: float, slack_s: Floats) -> Room:
        pieces = np.minimum(batch.length_s, slack_s) // step_s
        return cls(int(pieces.sum()) + 3 * len(batch))

    def slots(self, used: int) -> Slots:
        return Slots(self.job[:used], self.zone[:used], self.start[:used], self.end[:used])


def cheapest_seconds(batch: Batch, curves: Curves, slack_s: Floats | None = None) -> Slots:
    """Suspend and resume at no cost; jobs that cannot pause get their best window."""
    slack = batch.slack_s if slack_s is None else slack_s
    room = Room.suspending(batch, curves.step_s, slack)
    used = loops.suspend(
        curves.values,
        curves.area,
        curves.step_s,
        batch.submitted_s,
        batch.length_s,
        slack,
        batch.pausable,
        batch.places,
        batch.sets,
        batch.sets_ptr,
        room.job,
        room.zone,
        room.start,
        room.end,
        np.empty(len(batch)),
    )
    return room.slots(used)


def least_grams(batch: Batch, curves: Curves) -> Floats:
    """Per job: no schedule that knows everything can emit less, capacity aside."""
    cost = np.empty(len(batch))
    loops.least(
        curves.values,
        curves.area,
        cleanest(batch, curves),
        curves.step_s,
        batch.submitted_s,
        batch.length_s,
        batch.slack_s,
        batch.pausable,
        batch.movable,
        batch.places,
        batch.sets,
        batch.sets_ptr,
        cost,
    )
    return cost * batch.power_w / 3.6e6


def grams(slots: Slots, batch: Batch, curves: Curves) -> Floats:
    """Per slot, on the given curves."""
    return loops.slot_grams(
        curves.values, curves.area, curves.step_s, slots.zone, slots.start_s, slots.end_s, batch.power_w[slots.job]
    )


def run_now(batch: Batch, _world: object = None) -> Slots:
    return Slots.whole(batch, batch.submitted_s)
