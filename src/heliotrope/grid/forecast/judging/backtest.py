"""Replays the past: a forecast at each issue hour from what lay before it, against what came.

Every number a forecast uses (values, fits, scale, errors of its own) is from before its issue hour.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import DAY, REACH, scale
from heliotrope.grid.forecast.judging import interval, kept
from heliotrope.grid.forecast.models.fit import Fit, fit_own, for_plans, once_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.inputs.free_days import DayKinds

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

REFIT_H = 28 * DAY
WARM_UP_H = 2 * REFIT_H  # forecasts before the window, so that intervals know the model's errors
PINBALL = (0.05, 0.5, 0.95)


class Score(msgspec.Struct, frozen=True):
    """`mape`, `yesterday_mape` in %; `mae`, `pinball` in the series' unit; `kept_share` is None where none can be."""

    zone: str
    hours: int
    mape: float
    mae: float
    pinball: float
    coverage90: float
    kept_share: float | None
    yesterday_mape: float
    cpu_s: float


class Rolled(msgspec.Struct, frozen=True, eq=False):
    """Forecasts of every issue: (issue, horizon) in the series' unit."""

    issues: IntArray
    horizons: IntArray
    forecast: FloatArray
    low: FloatArray
    high: FloatArray


def roll(
    values: FloatArray,
    hour0: int,
    start: int,
    end: int,
    horizons: IntArray,
    *,
    every: int,
    fit: Fit,
    cuts: Sequence[int] = (),
    days: DayKinds | None = None,
    plans: bool = False,
) -> Rolled:
    """Forecasts issued each `every` hours over [start, end) (indices into `values`); `plans`: such as plans compare.

    Fitted at `cuts`, else every 28 days from `start`, and before it so that errors are known.
    """
    warm = cuts[0] if cuts else max(start - WARM_UP_H, REACH + int(horizons[-1]))
    warm = start - max(0, start - warm) // every * every
    issues = np.arange(warm, end - int(horizons[-1]), every)
    x = np.empty((len(issues), len(horizons)))
    spread = np.empty(len(issues))
    series = scale(values, hour0, cuts[-1] if cuts else start, days)
    for known in cuts or sorted({warm, *range(start, end, REFIT_H), *range(start, warm, -REFIT_H)}):
        rows = (issues >= known) & (issues < known + REFIT_H)
        if rows.any():
            model = fit(series, known, horizons)
            predict = partial(for_plans, model) if plans else model.predict
            x[rows] = predict(series, issues[rows], horizons)
            spread[rows] = series.spread(issues[rows])
    error = series.x[issues[:, None] + horizons] - x
    scored = issues >= start
    low, high = interval.bounds(issues, horizons, error, spread, issues[scored])
    x, spread = x[scored], spread[scored][:, None]
    return Rolled(
        issues[scored], horizons, series.back(x), series.back(x + low * spread), series.back(x + high * spread)
    )


def backtest(
    zone: str,
    values: FloatArray,
    hour0: int,
    *,
    start: int,
    end: int,
    horizon_h: int,
    every: int = 6,
    fit: Fit = fit_own,
) -> Score:
    """Scores [start, end); an hour under 1 % of the mean before the window counts as that much in a percentage."""
    began = time.process_time()
    horizons = np.arange(horizon_h)
    least = REACH + horizon_h
    if start < least or end - start <= horizon_h:
        raise InvalidInput(
            "too little history for a backtest",
            field=zone,
            found=f"{start} h before the window, {end - start} h in it",
            allowed=f"at least {least} h before it and more than {horizon_h} h in it",
            hint="choose a later --from, or a longer series",
        )
    fit = once_each(fit, max(horizon_h, kept.REACH_H))
    days = free_days.of(zone)
    rolled = roll(values, hour0, start, end, horizons, every=every, fit=fit, days=days)
    actual = values[rolled.issues[:, None] + horizons]
    plain = np.stack([values[rolled.issues + h - DAY * (h // DAY + 1)] for h in horizons.tolist()], axis=1)
    size = np.maximum(np.abs(actual), 0.01 * float(np.mean(np.abs(values[:start]))) or 1e-9)
    share = kept_share(values, hour0, start, end, fit, days)
    return Score(
        zone=zone,
        hours=int(actual.size),
        mape=100 * float(np.mean(np.abs(rolled.forecast - actual) / size)),
        mae=float(np.mean(np.abs(rolled.forecast - actual))),
        pinball=pinball(actual, rolled),
        coverage90=float(np.mean((rolled.low <= actual) & (actual <= rolled.high))),
        kept_share=share,
        yesterday_mape=100 * float(np.mean(np.abs(plain - actual) / size)),
        cpu_s=time.process_time() - began,
    )


def pinball(actual: FloatArray, rolled: Rolled) -> float:
    """Mean quantile loss over 5, 50 and 95 %."""
    losses = []
    for q, forecast in zip(PINBALL, (rolled.low, rolled.forecast, rolled.high), strict=True):
        miss = actual - forecast
        losses.append(np.mean(np.maximum(q * miss, (q - 1) * miss)))
    return float(np.mean(losses))


def kept_share(
    values: FloatArray, hour0: int, start: int, end: int, fit: Fit, days: DayKinds | None = None
) -> float | None:
    """Of what perfect foresight would save; None where the window is too short or nothing can be saved."""
    saved, possible = savings(values, hour0, start, end, fit, days)
    return saved / possible if possible > 0 else None


def savings(
    values: FloatArray, hour0: int, start: int, end: int, fit: Fit, days: DayKinds | None = None
) -> tuple[float, float]:
    """(kept, possible) with plans made anew every hour of [start, end), each on the forecast of that hour."""
    if end - start < 2 * kept.REACH_H:
        return 0.0, 0.0
    return kept.savings(values[start:end], hourly(values, hour0, start, end, kept.REACH_H, fit, days))


def hourly(
    values: FloatArray, hour0: int, start: int, end: int, reach: int, fit: Fit, days: DayKinds | None = None
) -> FloatArray:
    """(issue, lead): what was expected at each hour of [start, end) for it and the hours after it, past the end too."""
    horizons = np.arange(reach)
    series = scale(values, hour0, start, days)
    issues = np.arange(start, end)
    # the last issues look past the series
    padded = msgspec.structs.replace(series, x=np.concatenate([series.x, np.zeros(reach)]))
    forecasts = np.empty((len(issues), reach))
    for known in range(start, end, REFIT_H):
        rows = (issues >= known) & (issues < known + REFIT_H)
        forecasts[rows] = for_plans(fit(series, known, horizons), padded, issues[rows], horizons)
    return series.back(forecasts)
