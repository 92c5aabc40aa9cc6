"""What followed the past moments most like now: nothing is fitted, so it knows of any day that ever came.

A moment is the last day relative to its week's level; those at the same hour of the day are compared. What followed is
taken relative to what was usual then, and put upon what is usual now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, REACH, WEEK, Scaled
from heliotrope.grid.forecast.inputs.free_days import WORKDAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MEMORY_H = 400 * DAY
HALF_LIFE_H = 365.0 * DAY
FADES_H = 12.0  # the newest hours of a moment say most
MOMENTS = 40
OTHER_KIND = 0.3  # of the usual distance: for a today, and for a tomorrow, that was free where ours is not
AS_GOOD = 0.1  # of the farthest moment's distance: nearer than that is no better
CARRIED, CARRIED_FADES_H = 0.8, 18.0  # of how far now lies from the moments' own now


class Analogues:
    """Horizons up to a week: what followed a moment was known before the issue."""

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        """(issue, horizon) in x."""
        out = np.empty((len(issues), len(horizons)))
        for hour in range(DAY):
            rows = np.flatnonzero(issues % DAY == hour)
            if len(rows):
                out[rows] = _followed(series, issues[rows], horizons)
        return out


def _followed(series: Scaled, now: IntArray, horizons: IntArray) -> FloatArray:
    """For issues of one hour of the day."""
    oldest = max(REACH, int(now.min()) - MEMORY_H)
    then = np.arange(oldest + (int(now[0]) - oldest) % DAY, int(now.max()) - WEEK, DAY)
    weight = _weights(series, now, then)
    last_now, last_then = (series.x[at - 1] - series.level(at) for at in (now, then))
    carried = CARRIED * (last_now - np.einsum("ij,j->i", weight, last_then))
    followed = series.x[then[:, None] + horizons] - _usual(series, then, horizons)
    found: FloatArray = np.einsum("ij,jh->ih", weight, followed) + carried[:, None] * np.exp(
        -horizons / CARRIED_FADES_H
    )
    return _usual(series, now, horizons) + found


def _weights(series: Scaled, now: IntArray, then: IntArray) -> FloatArray:
    """(issue, moment), each issue's summing to 1: by likeness and recency, none for what was not over before it."""
    ours, theirs = _moment(series, now), _moment(series, then)
    square = (ours**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1)
    distance = np.maximum(square - 2 * np.einsum("ik,jk->ij", ours, theirs), 0.0)
    over = (then + WEEK < now[:, None]) & (then > now[:, None] - MEMORY_H)
    usual = np.nanmedian(np.where(over, distance, np.nan), axis=1, keepdims=True)
    for ahead in (0, DAY):
        free, was_free = (series.kind_of_day(at + ahead) != WORKDAY for at in (now, then))
        distance += OTHER_KIND * usual * (free[:, None] != was_free)
    distance = np.where(over, distance, np.inf)
    last = min(MOMENTS, len(then)) - 1
    farthest = np.partition(distance, last, axis=1)[:, last : last + 1]
    every = np.where(over, distance, -np.inf).max(axis=1, keepdims=True)  # where fewer are over than are wanted
    farthest = np.where(np.isfinite(farthest), farthest, every) + 1e-12
    likeness = np.where(over & (distance <= farthest), 1 / (distance / farthest + AS_GOOD), 0.0)
    recent = likeness * 0.5 ** ((now[:, None] - then) / HALF_LIFE_H)
    weight: FloatArray = recent / recent.sum(axis=1, keepdims=True)
    return weight


def _moment(series: Scaled, at: IntArray) -> FloatArray:
    """The last day relative to level, each hour as heavy as it is recent."""
    day = np.lib.stride_tricks.sliding_window_view(series.x, DAY)[at - DAY] - series.level(at)[:, None]
    weight = np.exp(-np.arange(DAY)[::-1] / FADES_H)
    moment: FloatArray = day * np.sqrt(weight / weight.sum())
    return moment


def _usual(series: Scaled, at: IntArray, horizons: IntArray) -> FloatArray:
    """(issue, horizon): half the week's level, half the mean of its days at that hour."""
    newest = at[:, None] + horizons - DAY * (horizons // DAY + 1)
    days = np.mean([series.x[newest - DAY * k] for k in range(7)], axis=0)
    usual: FloatArray = (days + series.level(at)[:, None]) / 2
    return usual
