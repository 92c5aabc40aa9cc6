"""Intervals that hold what they promise: quantiles of the model's own recent errors, by horizon (split conformal).

An error counts from the hour it is known; errors are measured in units of how much the series moved that week, so a
calm week has narrow bounds and a windy one wide bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MEMORY_H = 60 * DAY
TAIL = 0.045  # of each side; a little under 5 %, since errors of neighbouring hours are not independent
LEAST_SCORES = 40
WIDE = 3.0  # spreads, while too few errors are known


def bounds(
    issues: IntArray, horizons: IntArray, error: FloatArray, spread: FloatArray, at: IntArray
) -> tuple[FloatArray, FloatArray]:
    """(issue, horizon) offsets in spreads for forecasts issued at `at`, from the errors of `issues`.

    `error` is (issue, horizon), actual - forecast in x; rows may hold errors not yet known at `at`: they are not used.
    """
    scores = error / spread[:, None]
    low = np.full((len(at), len(horizons)), -WIDE)
    high = np.full((len(at), len(horizons)), WIDE)
    last = len(horizons) - 1
    for j, h in enumerate(horizons.tolist()):
        near = slice(max(j - 1, 0), min(j + 2, last + 1))
        farthest = int(horizons[near][-1])
        done: tuple[int, int] = (0, 0)
        offsets = (-WIDE, WIDE)
        for i, t in enumerate(at.tolist()):
            first, stop = np.searchsorted(issues, [t - MEMORY_H - h, t - farthest])
            if t // DAY != done[0] or not done[1]:
                known = scores[first:stop, near]
                if known.size >= LEAST_SCORES:
                    ends = np.quantile(known, [TAIL, 1 - TAIL])
                    offsets = (min(float(ends[0]), 0.0), max(float(ends[1]), 0.0))
                done = (t // DAY, known.size)
            low[i, j], high[i, j] = offsets
    return low, high
