"""Whole batches through the loops: allocates, calls, trims."""

from __future__ import annotations

import msgspec
import numpy as np

from heliotrope.plan.kernels.loops import cheapest, pieces, window
from heliotrope.plan.kernels.loops.cheapest import Ranks
from heliotrope.plan.kernels.loops.threshold import threshold
from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Pieces, Slots
from heliotrope.plan.kernels.world import cleanest


def room_for(size: int) -> Pieces:
    """Space for that many slots."""
    return Pieces(np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32), np.empty(size), np.empty(size))


def room_to_pause(batch: Batch, step_s: float, slack_s: Floats) -> Pieces:
    """How many slots a job can need is bounded by its window: each pause lies in a step of its own."""
    return room_for(int(np.minimum(batch.length_s, slack_s).sum() / step_s) + 3 * len(batch))


def filled(room: Pieces, used: int) -> Slots:
    """The first `used` rows, without a copy."""
    return Slots(room.job[:used], room.zone[:used], room.start[:used], room.end[:used])


def best_windows(batch: Batch, curves: Curves) -> Slots:
    """Each job once, whole, in its best zone and window."""
    start = np.empty(len(batch))
    zone = np.empty(len(batch), dtype=np.int32)
    window.windows(curves.lines, batch.jobs, start, zone)
    return Slots.whole(batch, start, zone)


def cheapest_seconds(batch: Batch, curves: Curves, slack_s: Floats | None = None) -> Slots:
    """Suspend and resume at no cost; jobs that cannot pause get their best window. `slack_s`: in place of the jobs'."""
    if slack_s is not None:
        batch = msgspec.structs.replace(batch, slack_s=slack_s)
    room = room_to_pause(batch, curves.step_s, batch.slack_s)
    ranks = Ranks.room(len(curves.zones), curves.step_s, batch.jobs)
    return filled(room, cheapest.suspend(curves.lines, batch.jobs, ranks, room))


def under(levels: Floats, span_s: float, share: float, batch: Batch, curves: Curves, slack_s: Floats) -> Slots:
    """At home, while the grid is below a level, or below the `share` quantile of the `span_s` ahead."""
    room = room_to_pause(batch, curves.step_s, batch.length_s + batch.slack_s)
    worth = np.empty(int(span_s / curves.step_s) + 3)
    return filled(room, threshold(curves.lines, levels, span_s, share, batch.home, batch.jobs, slack_s, worth, room))


def least_grams(batch: Batch, curves: Curves) -> Floats:
    """Per job: no schedule that knows everything can emit less, capacity aside."""
    lowest, jobs, out = cleanest(batch, curves), batch.jobs, np.empty(len(batch))
    ranks, anywhere = (Ranks.room(rows, curves.step_s, jobs) for rows in (len(curves.zones), len(lowest)))
    cheapest.least(curves.lines, lowest, jobs, ranks, anywhere, out)
    return out


def least_priced_grams(batch: Batch, curves: Curves, prices: Floats) -> float:
    """All jobs at their fluid best where a device-second in zone z, step i costs `prices[z, i]` g more."""
    ranks = Ranks.room(1, curves.step_s, batch.jobs)
    worth = np.empty((1, ranks.whole.shape[1]))
    return float(cheapest.least_priced(curves.lines, prices, batch.jobs, ranks, worth))


def grams(slots: Slots, batch: Batch, curves: Curves) -> Floats:
    """Per slot, on the given curves."""
    out = np.empty(len(slots))
    pieces.slot_grams(curves.lines, slots.zone, slots.start_s, slots.end_s, slots.job, batch.power_w, out)
    return out


def run_now_grams(batch: Batch, curves: Curves) -> float:
    """Of all jobs together, without their slots."""
    return float(pieces.grams_at_once(curves.lines, batch.home, batch.jobs))


def run_now(batch: Batch, _world: object = None) -> Slots:
    return Slots.whole(batch, batch.submitted_s)
