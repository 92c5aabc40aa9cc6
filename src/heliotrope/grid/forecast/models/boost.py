"""Gradient-boosted trees that correct a linear forecast where the world bends. Needs the extra `forecast`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from heliotrope.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

TREES = {
    "objective": "l1",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.3,
    "max_bin": 63,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}
ROUNDS = 200
LEAST_FACTOR, MOST_FACTOR = 0.2, 5.0


def available() -> bool:
    return find_spec("lightgbm") is not None


class Boost(msgspec.Struct, frozen=True, eq=False):
    """Multiplies (on a log scale) or adds to a base forecast."""

    trees: Any
    is_log: bool

    def correct(self, X: FloatArray, base: FloatArray) -> FloatArray:
        """The corrected forecast, in x."""
        found = np.asarray(self.trees.predict(X, num_threads=1), dtype=np.float64)  # a kept model forgets how many
        step = np.log(np.clip(found, LEAST_FACTOR, MOST_FACTOR)) if self.is_log else found
        corrected: FloatArray = base + step
        return corrected


def fit(
    X: FloatArray, base: FloatArray, y: FloatArray, importance: FloatArray, *, is_log: bool, rounds: int = ROUNDS
) -> Boost:
    """Minimises Σ importance · |forecast/actual - 1| (absolute error where the scale is not log)."""
    return fit_each(X, (base,), y, importance, is_log=is_log, rounds=rounds)[0]


def fit_each(
    X: FloatArray,
    bases: Sequence[FloatArray],
    y: FloatArray,
    importance: FloatArray,
    *,
    is_log: bool,
    rounds: int = ROUNDS,
) -> list[Boost]:
    """One for each base forecast, from the same features: sorting these into bins costs a quarter of a fit."""
    try:
        import lightgbm
    except ImportError:
        raise MissingExtra("lightgbm", "forecast", needed_for="boosted forecasts") from None
    data = lightgbm.Dataset(X, y, free_raw_data=True, params={"max_bin": TREES["max_bin"]})
    data.construct()
    found = []
    for base in bases:
        residual = np.clip(y - base, -2.0, 2.0)
        target = np.exp(residual) if is_log else residual
        data.set_label(target)
        data.set_weight(importance / target if is_log else importance)
        found.append(Boost(lightgbm.train(TREES, data, rounds), is_log))
    return found
