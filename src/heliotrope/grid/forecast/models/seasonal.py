"""The plainest forecasts: what was, again. Peers of every other, and what is left where little is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, WEEK, Scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]


class Repeats(msgspec.Struct, frozen=True):
    """The mean of the last `times` known hours that lie a multiple of `season_h` before the target."""

    season_h: int
    times: int = 1

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        """(issue, horizon) in x."""
        newest = issues[:, None] + horizons - self.season_h * (horizons // self.season_h + 1)
        mean: FloatArray = np.mean([series.x[newest - self.season_h * k] for k in range(self.times)], axis=0)
        return mean


YESTERDAY, LAST_WEEK, MEAN_DAY = Repeats(DAY), Repeats(WEEK), Repeats(DAY, 7)
