"""Past midnight nothing is published yet: a linear model a horizon that looks at the rest of today as it is expected.

Wind that blows tonight blows tomorrow morning too: today's published forecasts, corrected by their errors so far, stand
in for the hours of today that have not come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.linear import Linear, fit_linear
from heliotrope.grid.forecast.models.near import corrected
from heliotrope.grid.forecast.models.ridge import HALF_LIFE_H, LEAST_ROWS, MEMORY_H, MOST_CHANGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.inputs.drivers import Drivers

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MOST_ROWS = 2400
REACHES_H = 48  # hours ahead for which today still says more than the days before it


class Far(msgspec.Struct, frozen=True, eq=False):
    """One linear model for each horizon that had examples enough."""

    models: dict[int, Linear]

    def predict(self, series: Scaled, issues: IntArray, today: FloatArray, h: int) -> FloatArray:
        """Relative to level; `today` is that of the same issues."""
        found = self.models[h].predict(features(series, issues, today, h))
        return np.clip(found, -MOST_CHANGE, MOST_CHANGE)


def expected_today(series: Scaled, guess: FloatArray, issues: IntArray) -> FloatArray:
    """(issue, hour and one more): today as far as it is known and else as the corrected guess has it, relative to
    level; last, how far today's guesses lie from those of the week before.
    """
    midnight = issues - (issues + series.hour0) % DAY
    hours = midnight[:, None] + np.arange(DAY)
    expected = guess[hours] + corrected(series, guess, issues, hours)
    known = series.x[np.minimum(hours, issues[:, None] - 1)]
    today = np.where(hours < issues[:, None], known, expected) - series.level(issues)[:, None]
    sums = np.concatenate([[0.0], np.cumsum(guess)])
    turn = (sums[midnight + DAY] - sums[midnight]) / DAY - (sums[midnight] - sums[midnight - WEEK]) / WEEK
    return np.column_stack([today, turn])


def features(series: Scaled, issues: IntArray, today: FloatArray, h: int) -> FloatArray:
    hours, turn = today[:, :DAY], today[:, DAY]
    same = hours[np.arange(len(issues)), (issues + h + series.hour0) % DAY]
    extra = [same, hours.mean(axis=1), hours[:, -1], hours[:, -6:].mean(axis=1), turn]
    return np.column_stack([matrix(series, issues, h, at_issue(series, issues)), *extra])


def fit(series: Scaled, drivers: Drivers, guess: FloatArray, known: int, horizons: IntArray) -> Far:
    """From issues whose target lies past their midnight and before hour `known`."""
    models = {}
    oldest = max(drivers.first + 8 * DAY, REACH + DAY, known - MEMORY_H)
    every = np.arange(oldest, known)
    every = every[drivers.day_whole(every, series.hour0)]
    today = expected_today(series, guess, every)
    for h in (h for h in horizons.tolist() if h < REACHES_H):
        fits = np.flatnonzero(((every + series.hour0) % DAY + h >= DAY) & (every + h < known))
        fits = fits[:: max(1, -(-len(fits) // MOST_ROWS))]
        if len(fits) < LEAST_ROWS:
            continue
        issues = every[fits]
        y = series.x[issues + h] - series.level(issues)
        importance = 0.5 ** ((known - issues) / HALF_LIFE_H)
        X = features(series, issues, today[fits], h)
        models[h] = fit_linear(X, y, importance, is_log=series.is_log)
    return Far(models)
