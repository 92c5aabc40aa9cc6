"""Hours of the issue's own UTC day, whose published forecasts are known: several voices, of which the mean is taken.

A series' own history knows best what the next hour is like, the published mix what the evening is; what each gets wrong
the others mostly do not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.drivers import HALF_LIFE_H, Drivers
from heliotrope.grid.forecast.inputs.features import DAY, NAMES, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.linear import PENALTY, Linear, fit_linear
from heliotrope.grid.forecast.models import boost
from heliotrope.grid.forecast.models.boost import Boost
from heliotrope.grid.forecast.models.ridge import LEAST_ROWS, MOST_CHANGE, Ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

LEAST_DAYS = 14  # of examples, for trees
MOST_ROWS = 1600  # examples a horizon
FEW_DAYS = 10.0  # the fewer the days, the closer a linear model stays to the corrected guess
HALF_SEEN_H = 4.0  # hours of today after which the mean of all voices weighs as much as the guess alone
LEAST_SEEN, NEXT_HOUR, NEXT_FADES = 0.5, 0.9, 0.85
JUDGED_H = 60 * DAY  # over which voices are compared
YEAR_H = 8766.0
# How much of its recent errors the guess is corrected by: the same hour's mean of a week, and the last day's mean.
SAME_HOUR, LAST_DAY = 0.5, 0.2
AROUND = (-3, -2, -1, 1, 2, 3)  # hours before and after the target whose guess is looked at, within its day
ROUNDS = 125


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


def path(series: Scaled, guess: FloatArray, issues: IntArray, h: int) -> tuple[FloatArray, FloatArray]:
    """Features of a linear model, and the corrected guess (relative to level), for the hour `issue + h`."""
    level, error = series.level(issues), _error(series, guess)
    target = issues + h
    ago = target - DAY
    sums = np.concatenate([[0.0], np.cumsum(error)])
    base = guess[target] + corrected(series, guess, issues, target) - level
    columns = [
        matrix(series, issues, h, at_issue(series, issues)),
        guess[target] - level,
        guess[target] - guess[issues - 1],
        guess[target] - guess[ago],
        base,
        error[issues - 1],
        error[issues - 2],
        *((sums[issues] - sums[issues - hours]) / hours for hours in (3, 6, DAY)),
        error[ago],
        error[ago - DAY],
        np.mean([error[ago - DAY * k] for k in range(7)], axis=0),
    ]
    return np.column_stack(columns), base


def features(
    series: Scaled, drivers: Drivers, guess: FloatArray, issues: IntArray, h: int, base: FloatArray, linear: FloatArray
) -> FloatArray:
    """What trees look at for the hour `issue + h`; `base` and `linear` are the corrected guess and the linear model."""
    level, error = series.level(issues), _error(series, guess)
    target = issues + h
    ago = target - DAY
    hour = (target + series.hour0) % DAY
    midnight = target - hour
    sums = np.concatenate([[0.0], np.cumsum(error)])
    days = np.lib.stride_tricks.sliding_window_view(guess, DAY)
    today, before = days[midnight], days[midnight - DAY]
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
        linear,
    ]
    return np.column_stack(columns)


class Near(msgspec.Struct, frozen=True, eq=False):
    """By horizon, what a linear model adds to the corrected guess, and the say of three voices: own history, the linear
    model and the guess, with trees upon the latter two.
    """

    say: dict[int, FloatArray]
    linear: dict[int, Linear]
    on_linear: Boost | None
    on_guess: Boost | None

    def predict(
        self, series: Scaled, drivers: Drivers, guess: FloatArray, issues: IntArray, h: int, own: FloatArray
    ) -> FloatArray:
        """Relative to level, as `own` is: what the series' own history alone expects."""
        if h not in self.say:
            return own
        X, base = path(series, guess, issues, h)
        linear = base + self.linear[h].predict(X) if h in self.linear else base
        voices = (own, linear, base)
        if self.on_linear is not None and self.on_guess is not None:
            X = features(series, drivers, guess, issues, h, base, linear)
            voices = (own, self.on_linear.correct(X, linear), self.on_guess.correct(X, base))
        mean = self.say[h] @ np.stack(voices)
        seen = _seen((issues + series.hour0) % DAY, h)
        result: FloatArray = np.clip(seen * mean + (1 - seen) * voices[2], -MOST_CHANGE, MOST_CHANGE)
        return result


def fit(series: Scaled, drivers: Drivers, guess: FloatArray, known: int, own: Ridge) -> Near:
    """From hours before `known` of days that were published; trees only with the extra `forecast`."""
    oldest = max(drivers.first + 8 * DAY, REACH + DAY)
    every = np.arange(oldest, known)
    every = every[drivers.day_whole(every, series.hour0)]
    hour = (every + series.hour0) % DAY
    say: dict[int, FloatArray] = {}
    linear: dict[int, Linear] = {}
    parts = []
    for h in (h for h in own.models if h < DAY):
        issues = every[(hour + h < DAY) & (every + h < known)]
        few = np.arange(len(issues)) % stride(len(issues), MOST_ROWS, DAY - h) == 0
        issues = issues[few | ((issues + series.hour0) % DAY == 0)]  # a whole day is told at midnight
        if not len(issues):
            continue
        X, base = path(series, guess, issues, h)
        y = series.x[issues + h] - series.level(issues)
        importance = 0.5 ** ((known - issues) / HALF_LIFE_H)
        told = base
        if len(issues) >= LEAST_ROWS:
            penalty = PENALTY + FEW_DAYS * DAY / len(every)
            linear[h] = fit_linear(X, y - base, importance, is_log=series.is_log, penalty=penalty)
            told = base + linear[h].predict(X)
        of_late = slice(int(np.searchsorted(issues, known - JUDGED_H)), None)
        say[h] = _say(
            [voice[of_late] - y[of_late] for voice in (own.models[h].predict(X[:, : len(NAMES)]), told, base)]
        )
        parts.append((features(series, drivers, guess, issues, h, base, told), base, told, y, importance))
    if len(every) < LEAST_DAYS * DAY or not boost.available():
        return Near(say, linear, None, None)
    X, base, told, y, importance = (np.concatenate(part) for part in zip(*parts, strict=True))
    on_linear, on_guess = boost.fit_each(X, (told, base), y, importance, is_log=series.is_log, rounds=ROUNDS)
    return Near(say, linear, on_linear, on_guess)


def stride(count: int, most: int, period: int) -> int:
    """To at most `most` of `count`, and through every hour of a day of which `period` hours are there."""
    step = max(-(-count // most), 1)
    while math.gcd(step, period) > 1:
        step += 1
    return step


def _seen(hour: IntArray, h: int) -> FloatArray:
    """How much the mean of all voices is worth beside the guess: the more of today has come, and for the next hours."""
    part: FloatArray = np.maximum(hour / (hour + HALF_SEEN_H), max(LEAST_SEEN, NEXT_HOUR * NEXT_FADES**h))
    return part


def _say(errors: list[FloatArray]) -> FloatArray:
    """Shares of the voices, from what their starts got wrong; who errs twice as much has a sixteenth of the say."""
    if not len(errors[0]):
        return np.full(len(errors), 1 / len(errors))
    weight = np.array([max(float(np.abs(error).mean()), 1e-9) for error in errors]) ** -4.0
    share: FloatArray = weight / weight.sum()
    return share
