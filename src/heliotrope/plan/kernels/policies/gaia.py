"""The six policies of GAIA (ASPLOS 2024), told from its paper and its behaviour: home zone, queue means for lengths."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.kernels.loops import starts
from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.plan.kernels.solve import cheapest_seconds, under
from heliotrope.plan.kernels.world import World

SHORT_S = 7200.0
EVERY_S = 3600.0  # starts are looked at hourly from submission
DAY_S = 86_400.0
ECOVISOR_SHARE = 0.3  # runs in the cleanest 30 % of the day ahead


def assumed(batch: Batch, world: World) -> Floats:
    short, long = world.queue_means()
    return np.where(batch.length_s < SHORT_S, short, long)


def lowest_slot(batch: Batch, world: World) -> Slots:
    start = np.empty(len(batch))
    starts.lowest_slot(world.curves.lines, batch.home, batch.jobs, start)
    return Slots.whole(batch, start)


def _stepped(batch: Batch, world: World, lengths: Floats, *, per_time: bool) -> Slots:
    start = np.empty(len(batch))
    tries = np.empty(int(batch.slack_s.max(initial=0.0) / EVERY_S) + 1)
    starts.stepped(world.curves.lines, EVERY_S, batch.home, batch.jobs, lengths, per_time, tries, start)
    return Slots.whole(batch, start)


def lowest_window(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, assumed(batch, world), per_time=False)


def carbon_time(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, assumed(batch, world), per_time=True)


def known_window(batch: Batch, world: World) -> Slots:
    return _stepped(batch, world, batch.length_s, per_time=False)


def ecovisor(batch: Batch, world: World) -> Slots:
    # It waits by pausing: who may not pause runs at once.
    slack = np.where(batch.pausable != 0, batch.slack_s, 0.0)
    return under(np.empty((0, 0)), DAY_S, ECOVISOR_SHARE, batch, world.curves, slack)


def wait_awhile(batch: Batch, world: World) -> Slots:
    return cheapest_seconds(batch.home_only(), world.curves)
