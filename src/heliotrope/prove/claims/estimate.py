"""What shifting saved, judged by the jobs that were held out: a ratio estimate and its lower 5 % bound. Pure.

Every job has a baseline b, registered before anything ran. Held-out jobs ran at once and emitted y. Whatever the
baselines are worth (they may be inflated by any factor), r = sum(y) / sum(b) over a random hold-out says what they
must be multiplied by, so the shifted jobs, had they run at once, would have emitted r * sum(b) over them.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

FEWEST = 10  # held-out jobs below which nothing is estimated
CONFIDENCE = 0.95
SURE = 4.0  # standard errors below which an estimate may be chance, so that it earns nothing at all


class Saving(msgspec.Struct, frozen=True):
    """Grams: best estimate and the bound that the truth lies above with 95 %. `ratio` corrects the baselines.

    Among many programmes that save nothing, one in twenty has a bound above nothing: `sure` is asked for besides.
    """

    value_g: float
    low_g: float
    ratio: float
    error_g: float
    too_large: int = 0

    @property
    def sure(self) -> bool:
        return self.value_g >= SURE * self.error_g

    @property
    def earned_g(self) -> float:
        """What may be minted of it, before leakage and the ledger."""
        return max(0.0, self.low_g) if self.sure else 0.0


NOTHING = Saving(0.0, 0.0, 1.0, 0.0)


def saving(
    baseline_g: FloatArray,
    held_g: FloatArray,
    shifted_g: FloatArray,
    held: BoolArray,
    only_cost: BoolArray | None = None,
    unfinished: BoolArray | None = None,
) -> Saving:
    """`held_g` and `shifted_g` are what a job emitted, taken at the end of its interval that mints less.

    Jobs with a larger baseline than any job held out are left out: nothing drawn can speak for them. A job in
    `only_cost` takes away what it emitted above its corrected baseline, and adds nothing. What was left `unfinished`
    is still to be done, at once as far as anybody knows, and what it emitted so far was for nothing.
    """
    import numpy as np

    few = Saving(0.0, -math.inf, 1.0, math.inf)
    if held.sum() < FEWEST or held.all():
        return few
    fits = baseline_g <= baseline_g[held].max()
    too_large = int((~fits).sum())
    base, kept = baseline_g[fits], held[fits]
    b_held, y_held = base[kept], held_g[fits][kept]
    b_shifted, emitted = base[~kept], shifted_g[fits][~kept]
    if b_held.sum() <= 0 or not b_shifted.size:
        return few
    ratio = float(y_held.sum() / b_held.sum())
    if unfinished is not None:
        emitted = emitted + np.where(unfinished[fits][~kept], ratio * b_shifted, 0.0)
    if only_cost is not None:
        emitted = np.where(only_cost[fits][~kept], np.maximum(emitted, ratio * b_shifted), emitted)
    value = ratio * float(b_shifted.sum()) - float(emitted.sum())
    error = _error_g(y_held - ratio * b_held, b_held, b_shifted)
    low = value - student(CONFIDENCE, len(b_held) - 1) * error
    assert np.isfinite(low)
    return Saving(value, low, ratio, error, too_large)


def _error_g(residual: FloatArray, b_held: FloatArray, b_shifted: FloatArray) -> float:
    """Standard error of `ratio * sum(b_shifted)` against what those jobs would have emitted.

    The larger of two: sampling without replacement, scaled for an unlucky draw of small jobs; and a spread in
    proportion to a job's size, which speaks where few large jobs carry most of the sum.
    """
    m, n = len(b_held), len(b_held) + len(b_shifted)
    mean_all = (b_held.sum() + b_shifted.sum()) / n
    spread = math.sqrt(float((residual**2).sum()) / (m - 1))
    by_design = n * math.sqrt((1 - m / n) / m) * spread * max(1.0, float(mean_all / b_held.mean()))
    relative = float((residual**2).sum() / (b_held**2).sum()) * m / (m - 1)
    by_size = math.sqrt(relative * (float(b_shifted.sum()) ** 2 * float((b_held**2).sum() / b_held.sum() ** 2)
                                    + float((b_shifted**2).sum())))  # fmt: skip
    return max(by_design, by_size)


def student(confidence: float, freedom: int) -> float:
    """One-sided quantile of Student's t by the Cornish-Fisher expansion: within 0.002 from nine degrees up."""
    z = NormalDist().inv_cdf(confidence)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
