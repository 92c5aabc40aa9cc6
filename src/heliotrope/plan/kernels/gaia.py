"""The six policies of GAIA (ASPLOS 2024), told from its paper and its behaviour: home zone, queue means for lengths."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.kernels import loops
from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.plan.kernels.solve import Room, cheapest_seconds
from heliotrope.plan.kernels.world import World

SHORT_S = 7200.0
EVERY_S = 3600.0  # starts are looked at hourly from submission
DAY_S = 86_400.0
ECOVISOR_SHARE = 0.3  # runs in the cleanest 30 % of the day ahead


def assumed(batch: Batch, world: World) -> Floats:
    short, long = world.queue_means()
    return np.where(batch.length_s < SHORT_S, short, long)


def lowest_slot(batch: Batch, world: World) -> Slots:
    curves = world.curves
    start = loops.lowest_slot(curves.values, curves.step_s, batch.home, batch.submitted_s, batch.slack_s)
    return Slots.whole(batch, start)


def _stepped(batch: Batch, world: World, lengths: Floats, *, per_time: bool) -> Slots:
    curves = world.curves
    start = loops.stepped(
        curves.values,
        curves.area,
        curves.step_s,
        EVERY_S,
        batch.home,
        batch.submitted_s,
        lengths,
        batch.slack_s,
        per_time,
    )
    return Slots.whole(batch, start)


def lowest_window(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, assumed(batch, world), per_time=False)


def carbon_time(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, assumed(batch, world), per_time=True)


def known_window(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, batch.length_s, per_time=False)


def ecovisor(batch: Batch, world: World) -> Slots:
    curves = world.curves
    room = Room.suspending(batch, curves.step_s, batch.length_s + batch.slack_s)
    used = loops.threshold(
        curves.values,
        np.empty((0, 0)),
        curves.step_s,
        DAY_S,
        ECOVISOR_SHARE,
        batch.home,
        batch.submitted_s,
        batch.length_s,
        batch.slack_s,
        room.job,
        room.zone,
        room.start,
        room.end,
    )
    return room.slots(used)


def wait_awhile(batch: Batch, world: World) -> Slots:
    return cheapest_seconds(batch.home_only(), world.curves)
