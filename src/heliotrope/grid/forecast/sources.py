"""Forecasts that also look at published day-ahead forecasts of each source (solar, wind, gas …) and of the weather.

A day's forecasts are known from 00:00 UTC of that day: a target past midnight of the issue's day sees none of its own.
Where they are known, a first model turns them into an intensity, and its recent errors correct it for the hours ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast import boost, ridge
from heliotrope.grid.forecast.boost import Boost
from heliotrope.grid.forecast.features import DAY, REACH, Scaled, at_issue, matrix
from heliotrope.grid.forecast.ridge import MOST_CHANGE, Linear, fit_linear, least_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

AGES = (0, 1, 2, 3, 5, 8, 12, 18)  # hours ahead that a later issue of the day is taught with
LEAST_HOURS = 28 * DAY
HALF_LIFE_H = 365.0 * DAY  # what the sun and the wind do to a grid is learnt from the same season of last year too


class Published(msgspec.Struct, frozen=True, eq=False):
    """(hour, column), aligned with the series; NaN where nothing was published. Known a UTC day at a time."""

    columns: FloatArray
    names: tuple[str, ...]

    def first_hour(self) -> int:
        """From here on every column is there."""
        whole: NDArray[np.bool_] = np.asarray(np.isfinite(self.columns).all(axis=1))
        missing = np.flatnonzero(~whole)
        return int(missing[-1]) + 1 if len(missing) and not whole[-1] else int(np.argmax(whole))


def drivers(published: Published) -> FloatArray:
    """(hour, driver): shares of the sources, log of their sum, other columns as they are."""
    is_source = np.array(["production" in name for name in published.names])
    sources = np.maximum(published.columns[:, is_source], 0.0)
    whole = np.maximum(sources.sum(axis=1, keepdims=True), 1e-9)
    others = published.columns[:, ~is_source]
    return np.column_stack([sources / whole, np.log(whole), others]) if is_source.any() else others


class SourceAware(msgspec.Struct, frozen=True, eq=False):
    """`near` serves targets in the issue's own UTC day, `far` those past its midnight."""

    published: FloatArray
    composite: Linear
    near: dict[tuple[bool, int], Linear]
    far: ridge.Ridge
    first: int
    boost: Boost | None

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        out = self.far.predict(series, issues, horizons)
        shared, level = at_issue(series, issues), series.level(issues)
        hour = (issues + series.hour0) % DAY
        guess = composite_of(self.composite, self.published, series)
        for j, h in enumerate(horizons.tolist()):
            for issue_hour in range(max(DAY - h, 0)):
                rows = np.flatnonzero((hour == issue_hour) & (issues - 8 * DAY >= self.first))
                model = self.near.get((issue_hour == 0, issue_hour + h))
                if not len(rows) or model is None:
                    continue
                X = near_matrix(series, self.published, guess, issues[rows], h, shared[rows])
                change = model.predict(X)
                if self.boost is not None:
                    change = self.boost.correct(with_clock(X, hour[rows], h, change), change)
                out[rows, j] = level[rows] + np.clip(change, -MOST_CHANGE, MOST_CHANGE)
        return out


def composite_of(model: Linear, published: FloatArray, series: Scaled) -> FloatArray:
    """What the published mix would emit, in x."""
    value = model.predict(published)
    if not series.is_log:
        return value
    guess: FloatArray = np.log(np.maximum(value, 1e-3))
    return guess


def fit_composite(series: Scaled, columns: FloatArray, hours: IntArray, known: int) -> Linear:
    """An hour's value is near linear in its shares: one factor a source, fitted to the relative error."""
    importance = 0.5 ** ((known - hours) / HALF_LIFE_H)
    value = np.exp(series.x[hours]) if series.is_log else series.x[hours]
    model = least_squares(columns[hours], value, importance, 1e-4)
    for _ in range(ridge.ROUNDS):
        size = np.maximum(np.abs(model.predict(columns[hours]) - value), 0.02 * np.abs(value) + 1e-9)
        relative = np.abs(value) + 1e-9 if series.is_log else 1.0
        model = least_squares(columns[hours], value, importance / size / relative, 1e-4)
    return model


def near_matrix(
    series: Scaled, published: FloatArray, guess: FloatArray, issues: IntArray, h: int, shared: FloatArray
) -> FloatArray:
    """History's features, the published drivers of the hour, the composite and how it erred lately."""
    x, level = series.x, series.level(issues)
    target, t = issues + h, issues
    error = x[: len(guess)] - guess
    ago = target - DAY
    same_hour = np.mean([error[ago - DAY * k] for k in range(7)], axis=0)
    recent = np.mean([error[t - k] for k in range(1, 4)], axis=0)
    day = np.mean([error[t - k] for k in range(1, DAY + 1)], axis=0)
    return np.column_stack(
        [
            matrix(series, issues, h, shared),
            published[target],
            published[target] - published[ago],
            guess[target] - level,
            guess[target] + error[ago] - level,
            guess[target] + same_hour - level,
            error[ago],
            same_hour,
            error[t - 1],
            recent,
            day,
        ]
    )


def fit(series: Scaled, known: int, horizons: IntArray, published: Published) -> SourceAware | ridge.Ridge:
    """Uses values before hour `known`, and published forecasts of hours before it."""
    far = ridge.fit(series, known, horizons)
    first = published.first_hour()
    if known - first < LEAST_HOURS:
        return far
    columns = drivers(published)
    hours = np.arange(first, known)
    composite = fit_composite(series, columns, hours, known)
    guess = composite_of(composite, columns, series)
    near: dict[tuple[bool, int], Linear] = {}
    rows: list[tuple[FloatArray, ...]] = []
    oldest = max(first + 8 * DAY, REACH)
    days = np.arange(-(-(oldest + series.hour0) // DAY), (known + series.hour0) // DAY) * DAY - series.hour0
    for hour in range(min(DAY, int(horizons[-1]) + 1)):
        for at_midnight in (True, False):
            ages = [hour] if at_midnight else [age for age in AGES if age < hour]
            parts = [_examples(series, columns, guess, days, hour, h) for h in ages]
            if not parts:
                continue
            X, y, clock = (np.concatenate(part) for part in zip(*parts, strict=True))
            importance = 0.5 ** ((known - clock) / HALF_LIFE_H)
            model = fit_linear(X, y, importance, is_log=series.is_log, penalty=0.02)
            near[at_midnight, hour] = model
            base = model.predict(X)
            age = np.repeat(ages, len(days))
            rows.append((np.column_stack([X, np.full(len(X), hour), age, base]), base, y, importance))
    trees = None
    if boost.available():
        X, base, y, importance = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        trees = boost.fit(X, base, y, importance, is_log=series.is_log)
    return SourceAware(columns, composite, near, far, first, trees)


def _examples(
    series: Scaled, columns: FloatArray, guess: FloatArray, days: IntArray, hour: int, h: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Features, answer and issue hour of forecasts of `hour` o'clock made `h` hours ahead, each of `days`."""
    issues = days + hour - h
    y = series.x[issues + h] - series.level(issues)
    return near_matrix(series, columns, guess, issues, h, at_issue(series, issues)), y, issues


def with_clock(X: FloatArray, hour: IntArray, h: int, base: FloatArray) -> FloatArray:
    """What trees see besides: the hour aimed at, how far it is, and the linear forecast."""
    return np.column_stack([X, (hour + h) % DAY, np.full(len(X), h), base])
