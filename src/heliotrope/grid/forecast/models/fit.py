"""What any model offers to whoever replays, judges or plans with it; and how the models of own history are had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, Scaled
from heliotrope.grid.forecast.models import ridge
from heliotrope.grid.forecast.models.analogues import Analogues
from heliotrope.grid.forecast.models.seasonal import LAST_WEEK, MEAN_DAY, YESTERDAY
from heliotrope.grid.forecast.recall import Recall, afresh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]


TAKEN_BACK = 0.4
ANALOGUES_SAY = 0.25  # in own history's forecast


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


class Own(msgspec.Struct, frozen=True, eq=False):
    """Two voices: what is usual after such hours, and what followed the few hours most like these."""

    linear: ridge.Ridge

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        linear = self.linear.predict(series, issues, horizons)
        return linear + ANALOGUES_SAY * (Analogues().predict(series, issues, horizons) - linear)


def fit_yesterday(_series: Scaled, _known: int, _horizons: IntArray) -> Predictor:
    return YESTERDAY


def fit_week(_series: Scaled, _known: int, _horizons: IntArray) -> Predictor:
    return LAST_WEEK


def fit_mean(_series: Scaled, _known: int, _horizons: IntArray) -> Predictor:
    return MEAN_DAY


def fit_analogues(_series: Scaled, known: int, horizons: IntArray) -> Predictor:
    """From yesterday where there are too few past moments."""
    return Analogues() if ridge.enough(known, int(horizons[-1])) else YESTERDAY


def fit_own(series: Scaled, known: int, horizons: IntArray, recall: Recall = afresh) -> Predictor:
    """From the series' own history; from yesterday where that is too short."""
    if not ridge.enough(known, int(horizons[-1])):
        return YESTERDAY
    return Own(ridge.recalled(recall, series, known, horizons))


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
