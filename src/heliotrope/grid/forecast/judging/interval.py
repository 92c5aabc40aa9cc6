"""Intervals that hold what they promise: quantiles of the model's own recent errors, by horizon (split conformal).

An error counts from the hour it is known; errors are measured in units of how much the series moved that week, so a
calm week has narrow bounds and a windy one wide bounds. What the intervals issued so far held feeds back: a grid that
keeps slipping out of them gets wider ones, one that never does narrower ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MEMORY_H = 60 * DAY
TAIL = 0.045  # of each side; a little under 5 %, since errors of neighbouring hours are not independent
LEAST_ISSUES = 14  # whose errors are known, at every horizon
WIDE = 3.0  # spreads, while too few errors are known
LEAST = 1e-6  # spreads: a series that never moves is held in spite of rounding
SPANS_H = (1, 3, 6, 12, 24, 48, 72, 96)  # horizons between two of these share one width
RATE = 0.3  # how far a day's share of misses beyond those promised moves the log of the width
PROMISED = 2 * 0.0475
MOST_STRETCH = math.log(3.0)


def bounds(
    issues: IntArray, horizons: IntArray, error: FloatArray, spread: FloatArray, at: IntArray
) -> tuple[FloatArray, FloatArray]:
    """(issue, horizon) offsets in spreads for forecasts issued at `at`, which are among the evenly spaced `issues`.

    `error` is (issue, horizon), actual - forecast in x; rows may hold errors not yet known at `at`: they are not used.
    """
    scores = error / spread[:, None]
    low, high = np.full(scores.shape, -WIDE), np.full(scores.shape, WIDE)
    every = int(issues[1] - issues[0]) if len(issues) > 1 else DAY
    late = horizons // every + 1  # issues until an error is known
    column, first = np.arange(len(horizons)), int(late.max())
    around = np.clip(column + np.array([[-1], [0], [1]]), 0, len(column) - 1)  # neighbours lend their errors
    span = np.searchsorted(SPANS_H, horizons, side="right")
    stretch = np.zeros(len(SPANS_H) + 1)
    step = max(DAY // every, 1)
    for now in range(first + LEAST_ISSUES, len(issues), step):
        told = np.arange(max(first, now - MEMORY_H // every), now)
        known = np.sort(scores[told[:, None, None] - late[around], around].reshape(-1, len(column)), axis=0)
        issued = (told[-step:, None] - late, column)
        missed = ((scores[issued] < low[issued]) | (scores[issued] > high[issued])).mean(axis=0)
        move = np.bincount(span, missed - PROMISED, len(stretch)) / np.maximum(np.bincount(span, None, len(stretch)), 1)
        stretch = np.clip(stretch + RATE * step * every / DAY * move, -MOST_STRETCH, MOST_STRETCH)
        width, rows = np.exp(stretch[span]), slice(now, now + step)
        low[rows] = np.minimum(_quantile(known, TAIL) * width, -LEAST)
        high[rows] = np.maximum(_quantile(known, 1 - TAIL) * width, LEAST)
    asked = np.searchsorted(issues, at)
    return low[asked], high[asked]


def _quantile(ordered: FloatArray, part: float) -> FloatArray:
    """Of each column, between its two nearest rows."""
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    found: FloatArray = ordered[below] + (ordered[above] - ordered[below]) * (place - below)
    return found
