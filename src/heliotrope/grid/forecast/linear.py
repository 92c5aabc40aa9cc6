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
LEAST_WIDTH = 1e-6  # a column that moved less in what was learnt from says nothing: not by its rounding either
# Products small enough, and sums without them, keep linear algebra libraries on one core: threads that wait for each
# other on a busy machine cost fifteen times what they do.
MOST_ROWS, MOST_MULTIPLIED = 128, 200_000  # of one product


class Linear(msgspec.Struct, frozen=True, eq=False):
    """y ≈ offset + ((X - mean) / width) · weights."""

    mean: FloatArray
    width: FloatArray
    weights: FloatArray
    offset: float

    def predict(self, X: FloatArray) -> FloatArray:
        result: FloatArray = np.einsum("ij,j->i", (X - self.mean) / self.width, self.weights) + self.offset
        return result

    def plus(self, weights: FloatArray) -> Linear:
        """With X · `weights` added: a fit of what these leave shrinks towards them instead of towards nothing."""
        offset = self.offset + float(self.mean @ weights)
        return Linear(self.mean, self.width, self.weights + weights * self.width, offset)


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
    mean, offset = np.einsum("i,ij->j", weight, X), float(weight @ y)
    centred = X - mean
    width: FloatArray = np.sqrt(np.einsum("i,ij->j", weight, centred**2))
    width = np.where(width > LEAST_WIDTH, width, 1.0)
    scaled = centred / width
    weighted = scaled * weight[:, None]
    gram = penalty * np.eye(X.shape[1])
    pull = np.zeros(X.shape[1])
    rows = min(MOST_ROWS, max(MOST_MULTIPLIED // X.shape[1] ** 2, 1))
    for i in range(0, len(y), rows):
        gram += weighted[i : i + rows].T @ scaled[i : i + rows]
        pull += weighted[i : i + rows].T @ (y[i : i + rows] - offset)
    weights: FloatArray = np.linalg.solve(gram, pull).astype(np.float64)
    return Linear(mean, width, weights, offset)
