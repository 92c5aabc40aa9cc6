"""Let's Wait Awhile's two constraints (Middleware 2021): done by the next working morning, or by Monday or Thursday."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.plan.kernels.solve import cheapest_seconds
from heliotrope.plan.kernels.world import World
from heliotrope.units import S_PER_DAY, S_PER_HOUR

MORNING_H = 9  # results are looked at from 09:00 UTC
EVENING_H = 17  # work that would end by 17:00 on a working day is not delayed
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, with Monday 0


def _calendar(batch: Batch, world: World) -> tuple[Floats, Floats, Floats]:
    """When each would end if started at once (epoch s), the midnight before, and its weekday."""
    end = batch.submitted_s + batch.length_s + world.epoch_s
    midnight = np.floor(end / S_PER_DAY) * S_PER_DAY
    return end, midnight, (midnight / S_PER_DAY + EPOCH_WEEKDAY) % 7


def next_workday(batch: Batch, world: World) -> Slots:
    end, midnight, weekday = _calendar(batch, world)
    hour = (end - midnight) / S_PER_HOUR
    working = weekday < 5
    days = np.select([weekday == 5, weekday == 6, hour > EVENING_H], [2, 1, np.where(weekday == 4, 3, 1)], 0)
    delayed = ~working | (hour > EVENING_H) | (hour < MORNING_H)
    target = np.where(delayed, midnight + days * S_PER_DAY + MORNING_H * S_PER_HOUR, end)
    return _until(batch, world, target - end)


def semi_weekly(batch: Batch, world: World) -> Slots:
    end, midnight, weekday = _calendar(batch, world)
    hour = (end - midnight) / S_PER_HOUR
    into_week = weekday + hour / 24
    thursday, monday = 3 + MORNING_H / 24, 7 + MORNING_H / 24
    week = midnight - weekday * S_PER_DAY
    goal = np.select([into_week <= MORNING_H / 24, into_week <= thursday], [MORNING_H / 24, thursday], monday)
    return _until(batch, world, week + goal * S_PER_DAY - end)


def _until(batch: Batch, world: World, slack_s: Floats) -> Slots:
    """Its own slack in place of the jobs', within the grid."""
    room = world.curves.end_s - batch.submitted_s - batch.length_s
    return cheapest_seconds(batch.home_only(), world.curves, np.clip(slack_s, 0.0, room))
