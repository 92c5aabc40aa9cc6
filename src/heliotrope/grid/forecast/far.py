"""Past midnight nothing is published yet: a linear model a horizon that looks at the rest of today as it is expected.

Wind that blows tonight blows tomorrow morning too: today's published forecasts, corrected by their errors so far, stand
in for the hours of today that have not come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.features import DAY, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.near import corrected
from heliotrope.grid.forecast.ridge import HALF_LIFE_H, LEAST_ROWS, MEMORY_H, MOST_CHANGE, Linear, fit_linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.drivers import Drivers

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MOST_ROWS = 2400


class Far(msgspec.Struct, frozen=True, eq=False):
    """One linear model for each horizon that had examples enough."""

    models: dict[int, Linear]

    def predict(self, series: Scaled, guess: FloatArray, issues: IntArray, h: int) -> FloatArray:
        """Relative to level."""
        found = self.models[h].predict(features(series, guess, issues, h))
        return np.clip(found, -MOST_CHANGE, MOST_CHANGE)


def features(series: Scaled, guess: FloatArray, issues: IntArray, h: int) -> FloatArray:
    level = series.level(issues)
    midnight = issues - (issues + series.hour0) % DAY
    hours = midnight[:, None] + np.arange(DAY)
    expected = guess[hours] + corrected(series, guess, issues, hours)
    today = np.where(hours < issues[:, None], series.x[np.minimum(hours, issues[:, None] - 1)], expected)
    today = today - level[:, None]
    means = np.concatenate([[0.0], np.cumsum(guess)])
    turn = (means[midnight + DAY] - means[midnight]) / DAY - (means[midnight] - means[midnight - WEEK]) / WEEK
    same = today[np.arange(len(issues)), (issues + h + series.hour0) % DAY]
    extra = [same, today.mean(axis=1), today[:, -1], today[:, -6:].mean(axis=1), turn]
    return np.column_stack([matrix(series, issues, h, at_issue(series, issues)), *extra])


def fit(series: Scaled, drivers: Drivers, guess: FloatArray, known: int, horizons: IntArray) -> Far:
    """From issues whose target lies past their midnight and before hour `known`."""
    models = {}
    for h in horizons.tolist():
        newest = known - h - 1
        oldest = max(drivers.first + 8 * DAY, REACH + h, newest - MEMORY_H)
        issues = np.arange(newest, oldest, -1)[::-1]
        issues = issues[((issues + series.hour0) % DAY + h >= DAY) & drivers.day_whole(issues, series.hour0)]
        issues = issues[:: -(-len(issues) // MOST_ROWS) or 1]
        if len(issues) < LEAST_ROWS:
            continue
        y = series.x[issues + h] - series.level(issues)
        importance = 0.5 ** ((known - issues) / HALF_LIFE_H)
        models[h] = fit_linear(features(series, guess, issues, h), y, importance, is_log=series.is_log)
    return Far(models)
