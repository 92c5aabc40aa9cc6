"""A linear model a horizon, from a series' own history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, NAMES, OF_WEEK, REACH, Scaled, at_issue, matrix
from heliotrope.grid.forecast.linear import PENALTY, Linear, fit_linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.recall import Recall

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

HALF_LIFE_H = 120.0 * DAY
MEMORY_H = 400 * DAY
MOST_CHANGE = 2.5  # in x: a forecast stays within e^±2.5 of the week's level
LEAST_ROWS = 120
HALF_USUAL = 0.5
EVERY_H = 3.5


class Ridge(msgspec.Struct, frozen=True, eq=False):
    """One linear model for each horizon asked for."""

    models: dict[int, Linear]

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        """(issue, horizon) in x."""
        shared = np.repeat(at_issue(series, issues), len(horizons), axis=0)
        X = matrix(series, np.repeat(issues, len(horizons)), np.tile(horizons, len(issues)), shared)
        models = [self.models[h] for h in horizons.tolist()]
        mean, width, weights = (
            np.stack(part) for part in zip(*((one.mean, one.width, one.weights) for one in models), strict=True)
        )
        scaled = (X.reshape(len(issues), len(horizons), -1) - mean) / width
        change = np.einsum("ihf,hf->ih", scaled, weights) + np.array([one.offset for one in models])
        out: FloatArray = series.level(issues)[:, None] + np.clip(change, -MOST_CHANGE, MOST_CHANGE)
        return out


def training_issues(known: int, horizon: int, every: float) -> IntArray:
    """Issue hours whose target is known too, the newest first thinned from the end."""
    newest = known - horizon - 1
    oldest = max(REACH + horizon, newest - MEMORY_H)
    return newest - (every * np.arange(int((newest - oldest) / every) + 1)[::-1]).astype(np.int64)


def enough(known: int, longest: int) -> bool:
    """Whether a fit would rest on enough hours."""
    return known - 2 * longest - REACH >= LEAST_ROWS * 3


def caution(h: int, days: float) -> float:
    """The penalty of a fit for `h` hours ahead: the farther, and the fewer the days, the nearer to the week's level."""
    return PENALTY + min(h, DAY) / max(days, 1.0)


def recalled(recall: Recall, series: Scaled, known: int, horizons: IntArray) -> Ridge:
    return recall(lambda: fit(series, known, horizons), "own", *series.past(known), horizons)


def fit(series: Scaled, known: int, horizons: IntArray, *, every: float = EVERY_H) -> Ridge:
    """Uses nothing from hour `known` on. `every` (hours) thins issues; 3½ visits every hour of the day.

    Where little is known a forecast is half the level of the week, half the mean of its days at that hour.
    """
    usual = HALF_USUAL * (np.arange(len(NAMES)) == OF_WEEK)
    models = {}
    for h in horizons.tolist():
        issues = training_issues(known, h, every)
        X = matrix(series, issues, h)
        y = series.x[issues + h] - series.level(issues) - X @ usual
        importance = 0.5 ** ((known - issues) / HALF_LIFE_H)
        penalty = caution(h, every * len(issues) / DAY)
        models[h] = fit_linear(X, y, importance, is_log=series.is_log, penalty=penalty).plus(usual)
    return Ridge(models)
