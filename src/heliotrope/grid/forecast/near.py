"""Hours of the issue's own UTC day, whose published forecasts are known: the mix's guess, its errors, and trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast import boost
from heliotrope.grid.forecast.boost import Boost
from heliotrope.grid.forecast.drivers import HALF_LIFE_H, Drivers
from heliotrope.grid.forecast.features import DAY, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.ridge import MOST_CHANGE, Linear, fit_linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

AGES = (1, 3, 8)  # hours ahead that issues later in the day are taught with; midnight is taught with all
LEAST_DAYS = 14  # of examples, for trees
LONG_DAYS = 200  # of examples, from which on what starts from the week's level alone is worth a voice
YEAR_H = 8766.0
# How much of its recent errors the guess is corrected by: the same hour's mean of a week, and the last day's mean.
SAME_HOUR, LAST_DAY = 0.5, 0.2
AROUND = (-3, -2, -1, 1, 2, 3)  # hours before and after the target whose guess is looked at, within its day
CORRECTING_ROUNDS, DIRECT_ROUNDS = 125, 250


def corrected(series: Scaled, guess: FloatArray, issues: IntArray, targets: IntArray) -> FloatArray:
    """What to add to the guess of `targets` (issue, …), less than a day ahead, for its errors before each issue."""
    error = _error(series, guess)
    sums = np.concatenate([[0.0], np.cumsum(error)])
    day = (sums[issues] - sums[issues - DAY]) / DAY
    week = np.mean([error[targets - DAY * k] for k in range(1, 8)], axis=0)
    result: FloatArray = SAME_HOUR * week + LAST_DAY * day.reshape(-1, *[1] * (targets.ndim - 1))
    return result


def _error(series: Scaled, guess: FloatArray) -> FloatArray:
    """Either may reach further: a window's end, or padding."""
    known = min(len(series.x), len(guess))
    error: FloatArray = series.x[:known] - guess[:known]
    return error


def features(
    series: Scaled, drivers: Drivers, guess: FloatArray, issues: IntArray, h: int
) -> tuple[FloatArray, FloatArray]:
    """Features, and the corrected guess (relative to level), for the hour `issue + h`."""
    level, error = series.level(issues), _error(series, guess)
    target = issues + h
    ago = target - DAY
    hour = (target + series.hour0) % DAY
    midnight = target - hour
    sums = np.concatenate([[0.0], np.cumsum(error)])
    days = np.lib.stride_tricks.sliding_window_view(guess, DAY)
    today, before = days[midnight], days[midnight - DAY]
    base = guess[target] + corrected(series, guess, issues, target) - level
    columns = [
        matrix(series, issues, h, at_issue(series, issues)),
        drivers.all[target],
        drivers.shares[target] - drivers.shares[ago],
        np.stack([today[np.arange(len(hour)), np.clip(hour + k, 0, DAY - 1)] - guess[target] for k in AROUND], axis=1),
        guess[target] - level,
        guess[target] + error[ago] - level,
        base,
        error[ago],
        np.mean([error[ago - DAY * k] for k in range(7)], axis=0),
        np.mean([error[ago - DAY * k] for k in range(3)], axis=0),
        error[target - WEEK],
        error[issues - 1],
        (sums[issues] - sums[issues - 6]) / 6,
        (sums[issues] - sums[issues - DAY]) / DAY,
        today.mean(axis=1) - level,
        today.min(axis=1) - level,
        today.max(axis=1) - level,
        today.mean(axis=1) - before.mean(axis=1),
        level,
        hour,
        (target + series.hour0) % YEAR_H / YEAR_H,
        np.full(len(issues), h),
    ]
    return np.column_stack(columns), base


class Near(msgspec.Struct, frozen=True, eq=False):
    """The mean of what was learnt; the corrected guess alone where nothing could be."""

    correcting: Boost | None
    direct: Boost | None
    linear: Linear | None

    def predict(self, series: Scaled, drivers: Drivers, guess: FloatArray, issues: IntArray, h: int) -> FloatArray:
        """Relative to level."""
        X, base = features(series, drivers, guess, issues, h)
        voices = []
        if self.correcting is not None:
            voices.append(self.correcting.correct(X, base))
        if self.direct is not None:
            voices.append(self.direct.correct(X, np.zeros(len(base))))
        if self.linear is not None:
            voices.append(self.linear.predict(X))
        mean = np.mean(voices, axis=0) if voices else base
        return np.clip(mean, -MOST_CHANGE, MOST_CHANGE)


def fit(series: Scaled, drivers: Drivers, guess: FloatArray, known: int, longest: int) -> Near:
    """From days that ended before hour `known`; trees only with the extra `forecast`."""
    oldest = max(drivers.first + 8 * DAY, REACH + DAY)
    days = np.arange(-(-(oldest + series.hour0) // DAY), (known + series.hour0) // DAY) * DAY - series.hour0
    days = days[drivers.day_whole(days, series.hour0)]
    if len(days) < LEAST_DAYS:
        return Near(None, None, None)
    parts = []
    for hour in range(DAY):
        for age in (hour, *(a for a in AGES if a < hour)):
            if age > longest:
                continue
            issues = days + hour - age
            X, base = features(series, drivers, guess, issues, age)
            y = series.x[issues + age] - series.level(issues)
            parts.append((X, base, y, 0.5 ** ((known - issues) / HALF_LIFE_H)))
    X, base, y, importance = (np.concatenate(part) for part in zip(*parts, strict=True))
    is_long = len(days) >= LONG_DAYS
    linear = fit_linear(X, y, importance, is_log=series.is_log) if is_long else None
    if not boost.available():
        return Near(None, None, linear)
    rounds = CORRECTING_ROUNDS if is_long else CORRECTING_ROUNDS // 2
    correcting = boost.fit(X, base, y, importance, is_log=series.is_log, rounds=rounds)
    if not is_long:
        return Near(correcting, None, None)
    direct = boost.fit(X, np.zeros(len(base)), y, importance, is_log=series.is_log, rounds=DIRECT_ROUNDS)
    return Near(correcting, direct, linear)
