"""A linear model fitted to the error people quote: mean absolute percentage error.

Ridge regression, reweighted so that squares become |forecast/actual - 1|: on a log scale an overshoot costs more than
an undershoot of the same ratio, and a fit to plain logs would sit too high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

ROUNDS = 4
PENALTY = 0.01
LEAST_ERROR = 0.02  # below this a relative error counts as if it were this: keeps weights finite
BLOCK = 128  # rows a product: small enough that linear algebra libraries stay on one core


class Linear(msgspec.Struct, frozen=True, eq=False):
    """y ≈ offset + ((X - mean) / width) · weights."""

    mean: FloatArray
    width: FloatArray
    weights: FloatArray
    offset: float

    def predict(self, X: FloatArray) -> FloatArray:
        result: FloatArray = ((X - self.mean) / self.width) @ self.weights + self.offset
        return result


def fit_linear(
    X: FloatArray, y: FloatArray, importance: FloatArray, *, is_log: bool, penalty: float = PENALTY
) -> Linear:
    """Minimises Σ importance · |error|, relative where `is_log`."""
    model = least_squares(X, y, importance, penalty)
    for _ in range(ROUNDS):
        error = np.clip(model.predict(X) - y, -2.0, 2.0)
        size = np.maximum(np.abs(error), LEAST_ERROR)
        loss = np.abs(np.expm1(np.copysign(size, error))) if is_log else size
        model = least_squares(X, y, importance * loss / size**2, penalty)
    return model


def least_squares(X: FloatArray, y: FloatArray, weight: FloatArray, penalty: float) -> Linear:
    weight = weight / weight.sum()
    mean, offset = weight @ X, float(weight @ y)
    centred = X - mean
    width: FloatArray = np.sqrt(weight @ centred**2) + 1e-9
    scaled = centred / width
    weighted = scaled * weight[:, None]
    gram = penalty * np.eye(X.shape[1])
    pull = np.zeros(X.shape[1])
    for i in range(0, len(y), BLOCK):
        gram += weighted[i : i + BLOCK].T @ scaled[i : i + BLOCK]
        pull += weighted[i : i + BLOCK].T @ (y[i : i + BLOCK] - offset)
    weights: FloatArray = np.linalg.solve(gram, pull).astype(np.float64)
    return Linear(mean, width, weights, offset)
