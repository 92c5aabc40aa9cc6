"""Forecasts that also look at published day-ahead forecasts of each source (solar, wind, gas …) and of the weather.

A day's forecasts are known from 00:00 UTC of that day: a target past midnight of the issue's day sees none of its own.
Where they are known, a first model turns them into an intensity (`composite`); its recent errors correct it (`base`);
and trees learn what is left, where the extra `forecast` is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast import boost, ridge
from heliotrope.grid.forecast.boost import Boost
from heliotrope.grid.forecast.features import DAY, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.ridge import MOST_CHANGE, Linear, least_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

AGES = (1, 3, 8)  # hours ahead that issues later in the day are taught with; midnight is taught with all
LEAST_HOURS = 28 * DAY
HALF_LIFE_H = 365.0 * DAY  # what the sun and the wind do to a grid is learnt from the same season of last year too
YEAR_H = 8766.0
# How much of its recent errors the composite is corrected by: the same hour's mean of a week, and the last day's mean.
SAME_HOUR, LAST_DAY = 0.5, 0.2
ROUNDS = 250


class Published(msgspec.Struct, frozen=True, eq=False):
    """(hour, column), aligned with the series; NaN where nothing was published. Known a UTC day at a time."""

    columns: FloatArray
    names: tuple[str, ...]

    def first_hour(self) -> int:
        """From here on every column is there."""
        whole: NDArray[np.bool_] = np.asarray(np.isfinite(self.columns).all(axis=1))
        missing = np.flatnonzero(~whole)
        return int(missing[-1]) + 1 if len(missing) and not whole[-1] else int(np.argmax(whole))


class Drivers(msgspec.Struct, frozen=True, eq=False):
    """What is made of the published columns: `shares` of the sources, and everything trees may look at."""

    shares: FloatArray
    all: FloatArray


def drivers(published: Published) -> Drivers:
    is_source = np.array(["production" in name for name in published.names])
    sources = np.maximum(published.columns[:, is_source], 0.0)
    whole = np.maximum(sources.sum(axis=1, keepdims=True), 1e-9)
    others = published.columns[:, ~is_source]
    shares = np.column_stack([sources / whole, others]) if is_source.any() else others
    return Drivers(shares, np.column_stack([shares, published.columns, np.log(whole)]))


class SourceAware(msgspec.Struct, frozen=True, eq=False):
    """`trees` and `base` serve targets in the issue's own UTC day, `far` those past its midnight."""

    drivers: Drivers
    composite: Linear
    trees: tuple[Boost, Boost] | None
    far: ridge.Ridge
    first: int

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        out = self.far.predict(series, issues, horizons)
        guess = composite_of(self.composite, self.drivers.shares, series)
        usable = issues - 8 * DAY >= self.first
        hour = (issues + series.hour0) % DAY
        for j, h in enumerate(horizons.tolist()):
            rows = np.flatnonzero(usable & (hour + h < DAY))
            if not len(rows):
                continue
            X, base = near(series, self.drivers, guess, issues[rows], h)
            if self.trees is not None:
                corrected, direct = self.trees
                base = (corrected.correct(X, base) + direct.correct(X, np.zeros(len(base)))) / 2
            out[rows, j] = series.level(issues[rows]) + np.clip(base, -MOST_CHANGE, MOST_CHANGE)
        return out


def composite_of(model: Linear, shares: FloatArray, series: Scaled) -> FloatArray:
    """What the published mix would emit, in x."""
    value = model.predict(shares)
    if not series.is_log:
        return value
    guess: FloatArray = np.log(np.maximum(value, 1e-3))
    return guess


def fit_composite(series: Scaled, shares: FloatArray, hours: IntArray, known: int) -> Linear:
    """An hour's value is near linear in its shares: one factor a source, fitted to the relative error."""
    importance = 0.5 ** ((known - hours) / HALF_LIFE_H)
    value = np.exp(series.x[hours]) if series.is_log else series.x[hours]
    model = least_squares(shares[hours], value, importance, 1e-4)
    for _ in range(ridge.ROUNDS):
        size = np.maximum(np.abs(model.predict(shares[hours]) - value), 0.02 * np.abs(value) + 1e-9)
        relative = np.abs(value) + 1e-9 if series.is_log else 1.0
        model = least_squares(shares[hours], value, importance / size / relative, 1e-4)
    return model


def near(series: Scaled, found: Drivers, guess: FloatArray, issues: IntArray, h: int) -> tuple[FloatArray, FloatArray]:
    """Features, and the composite corrected by its recent errors (relative to level), for the hour `issue + h`."""
    x, level = series.x, series.level(issues)
    target, t = issues + h, issues
    known = min(len(x), len(guess))  # either may reach further: a window's end, or padding
    error = x[:known] - guess[:known]
    ago = target - DAY
    same_hour = [error[ago - DAY * k] for k in range(7)]
    week, three = np.mean(same_hour, axis=0), np.mean(same_hour[:3], axis=0)
    day = np.mean([error[t - k] for k in range(1, DAY + 1)], axis=0)
    recent = np.mean([error[t - k] for k in range(1, 7)], axis=0)
    midnight = target - (target + series.hour0) % DAY
    today = np.lib.stride_tricks.sliding_window_view(guess, DAY)[np.minimum(midnight, len(guess) - DAY)]
    X = np.column_stack(
        [
            matrix(series, issues, h, at_issue(series, issues)),
            found.all[target],
            found.shares[target] - found.shares[ago],
            guess[target] - level,
            guess[target] + week - level,
            guess[target] + error[ago] - level,
            error[ago],
            week,
            three,
            error[target - WEEK],
            error[t - 1],
            recent,
            day,
            today.mean(axis=1) - level,
            today.min(axis=1) - level,
            today.max(axis=1) - level,
            level,
            (target + series.hour0) % DAY,
            (target + series.hour0) % YEAR_H / YEAR_H,
            np.full(len(issues), h),
        ]
    )
    return X, guess[target] + SAME_HOUR * week + LAST_DAY * day - level


def fit(series: Scaled, known: int, horizons: IntArray, published: Published) -> SourceAware | ridge.Ridge:
    """Uses values before hour `known`, and published forecasts of days that began before it."""
    far = ridge.fit(series, known, horizons)
    first = published.first_hour()
    if known - first < LEAST_HOURS:
        return far
    found = drivers(published)
    composite = fit_composite(series, found.shares, np.arange(first, known), known)
    guess = composite_of(composite, found.shares, series)
    trees = _trees(series, found, guess, first, known, horizons) if boost.available() else None
    return SourceAware(found, composite, trees, far, first)


def _trees(
    series: Scaled, found: Drivers, guess: FloatArray, first: int, known: int, horizons: IntArray
) -> tuple[Boost, Boost] | None:
    """Two forests, averaged: one corrects the base, one starts from the week's level."""
    oldest = max(first + 8 * DAY, REACH + DAY)
    days = np.arange(-(-(oldest + series.hour0) // DAY), (known + series.hour0) // DAY) * DAY - series.hour0
    if len(days) < LEAST_HOURS // DAY // 2:
        return None
    parts = []
    for hour in range(DAY):
        for age in (hour, *(a for a in AGES if a < hour)):
            if age > horizons[-1]:
                continue
            issues = days + hour - age
            X, base = near(series, found, guess, issues, age)
            y = series.x[issues + age] - series.level(issues)
            parts.append((X, base, y, 0.5 ** ((known - issues) / HALF_LIFE_H)))
    X, base, y, importance = (np.concatenate(part) for part in zip(*parts, strict=True))
    return (
        boost.fit(X, base, y, importance, is_log=series.is_log, rounds=ROUNDS // 2),
        boost.fit(X, np.zeros(len(base)), y, importance, is_log=series.is_log, rounds=ROUNDS),
    )
