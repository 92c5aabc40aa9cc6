"""Forecasts that also look at published day-ahead forecasts of each source (solar, wind, gas …) and of the weather.

A day's forecasts are known from 00:00 UTC of that day: a target past midnight of the issue's day sees none of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast import drivers, far, near, ridge
from heliotrope.grid.forecast.drivers import Drivers
from heliotrope.grid.forecast.features import DAY, Scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

LEAST_HOURS = 28 * DAY
SHORT_REFRESH_H, LONG_REFRESH_H = 7 * DAY, 14 * DAY  # the less there is to learn from, the more a week adds


class Published(msgspec.Struct, frozen=True, eq=False):
    """(hour, column), aligned with the series; NaN where nothing was published. Known a UTC day at a time."""

    columns: FloatArray
    names: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, eq=False):
    """What was learnt from the hours before one cut-off."""

    drivers: Drivers
    guess: FloatArray
    near: near.Near
    far: far.Far

    def overwrite(self, out: FloatArray, series: Scaled, issues: IntArray, horizons: IntArray) -> None:
        """Puts its forecasts into (issue, horizon) `out` where the issue's own day was published."""
        usable = (issues - 8 * DAY >= self.drivers.first) & self.drivers.day_whole(issues, series.hour0)
        hour = (issues + series.hour0) % DAY
        days = np.full((len(issues), DAY + 1), np.nan)
        days[usable] = far.expected_today(series, self.guess, issues[usable])
        for j, h in enumerate(horizons.tolist()):
            today = np.flatnonzero(usable & (hour + h < DAY))
            later = np.flatnonzero(usable & (hour + h >= DAY))
            if len(today):
                found = self.near.predict(series, self.drivers, self.guess, issues[today], h)
                out[today, j] = series.level(issues[today]) + found
            if len(later) and h in self.far.models:
                found = self.far.predict(series, issues[later], days[later], h)
                out[later, j] = series.level(issues[later]) + found


class SourceAware(msgspec.Struct, frozen=True, eq=False):
    """Learns again as weeks go by: published forecasts change their ways faster than a grid does.

    `near` serves targets in the issue's own UTC day, `far` those past its midnight, `own` where nothing is told.
    """

    published: Published
    own: ridge.Ridge
    known: int
    horizons: IntArray
    refresh_h: int
    learnt: dict[int, Told]

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        out = self.own.predict(series, issues, horizons)
        age = np.maximum(issues - self.known, 0) // self.refresh_h
        for k in np.unique(age).tolist():
            rows = np.flatnonzero(age == k)
            part = out[rows]
            self.at(series, self.known + k * self.refresh_h).overwrite(part, series, issues[rows], horizons)
            out[rows] = part
        return out

    def at(self, series: Scaled, known: int) -> Told:
        """Fitted when first asked for; uses values before hour `known`, and forecasts of days that began before it."""
        if known not in self.learnt:
            found = drivers.of(self.published.columns, self.published.names, known)
            if found is None:
                raise AssertionError("columns that served at a cut-off serve at a later one")
            guess = drivers.fit_mix(series, found, known).guess(series, found)
            self.learnt[known] = Told(
                found,
                guess,
                near.fit(series, found, guess, known, int(self.horizons[-1])),
                far.fit(series, found, guess, known, self.horizons),
            )
        return self.learnt[known]


def fit(series: Scaled, known: int, horizons: IntArray, published: Published) -> SourceAware | ridge.Ridge:
    """From own history alone while published forecasts go back less than four weeks."""
    own = ridge.fit(series, known, horizons)
    found = drivers.of(published.columns, published.names, known)
    if found is None or known - found.first < LEAST_HOURS:
        return own
    refresh_h = LONG_REFRESH_H if known - found.first > near.LONG_DAYS * DAY else SHORT_REFRESH_H
    return SourceAware(published, own, known, horizons, refresh_h, {})
