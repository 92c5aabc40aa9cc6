"""Our own policy: the exact optimum of what is believed, made anew as beliefs change."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from heliotrope.plan.kernels.rolling import replanned
from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Ints, Slots
from heliotrope.plan.kernels.solve import cheapest_seconds, under
from heliotrope.plan.kernels.world import World

WEEK_S = 7 * 86_400.0
SHARE = 0.3  # without any forecast: runs below what 30 % of the past week was under


def clairvoyant(batch: Batch, world: World) -> Slots:
    """The optimum for each job alone, on what will really be."""
    return cheapest_seconds(batch, world.curves)


def helio(batch: Batch, world: World) -> Slots:
    if world.blind:
        return threshold(batch, world)
    if world.belief is None:
        return clairvoyant(batch, world)
    return replanned(batch, world)


def threshold(batch: Batch, world: World) -> Slots:
    """At home: runs below the trailing week's quantile, and in any case once the slack is spent. Sees no future."""
    slack = np.where(batch.pausable != 0, batch.slack_s, 0.0)
    return under(trailing_levels(world.curves, batch.home), WEEK_S, SHARE, batch, world.curves, slack)


def trailing_levels(curves: Curves, homes: Ints) -> Floats:
    """[zone, step], filled for the zones in `homes`."""
    levels = np.zeros_like(curves.values)
    for zone in np.unique(homes):
        levels[zone, : curves.steps] = _levels(curves, int(zone))
    return levels


@lru_cache(maxsize=128)
def _levels(curves: Curves, zone: int) -> Floats:
    """The quantile of the week up to and including each step; at the beginning, of the first step repeated."""
    width = max(1, int(WEEK_S / curves.step_s))
    values = curves.values[zone, : curves.steps]
    past = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.repeat(values[:1], width - 1), values]), width)
    rank = int(SHARE * (width - 1))
    levels: Floats = np.partition(past, rank, axis=1)[:, rank]
    return levels
