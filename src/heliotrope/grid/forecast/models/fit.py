"""What any model offers to whoever replays, judges or plans with it; and the plainest two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, Scaled, yesterday
from heliotrope.grid.forecast.models import ridge
from heliotrope.grid.forecast.recall import Recall, afresh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]


TAKEN_BACK = 0.4


class Predictor(Protocol):
    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        """(issue, horizon) in the scale of `series`, from nothing at or after each issue."""


# (series, hours known, horizons) → something that predicts
Fit = Callable[[Scaled, int, "IntArray"], Predictor]


def for_plans(model: Predictor, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
    """`predict`, so that hours may be compared by it: with a part of its last surprise taken back.

    Where the running hour is not what was said of it an hour ago, the hours after it, told of that only in part, would
    look better or worse beside it than they are. At midnight a new day is published: that is no surprise.
    """
    found = model.predict(series, issues, horizons)
    begun = np.flatnonzero((issues + series.hour0) % DAY)
    if len(begun) and horizons[0] == 0 and len(horizons) > 1:
        said = model.predict(series, issues[begun] - 1, horizons[1:2])[:, 0]
        found[begun, 0] -= TAKEN_BACK * (found[begun, 0] - said)
    return found


class Yesterday:
    """The peer: the same hour on the last known day."""

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        return np.stack([yesterday(series, issues, h) for h in horizons.tolist()], axis=1)


def fit_yesterday(_series: Scaled, _known: int, _horizons: IntArray) -> Predictor:
    return Yesterday()


def fit_own(series: Scaled, known: int, horizons: IntArray, recall: Recall = afresh) -> Predictor:
    """From the series' own history; from yesterday where that is too short."""
    if not ridge.enough(known, int(horizons[-1])):
        return Yesterday()
    return ridge.recalled(recall, series, known, horizons)


def once_each(fit: Fit, reach: int) -> Fit:
    """Fits once at each cut-off, for every horizon that the scores and the plans of one backtest ask for."""
    fitted: dict[int, Predictor] = {}

    def remembered(series: Scaled, known: int, horizons: IntArray) -> Predictor:
        if not ridge.enough(known, reach):
            return fit(series, known, horizons)
        if known not in fitted:
            fitted[known] = fit(series, known, np.arange(reach))
        return fitted[known]

    return remembered
