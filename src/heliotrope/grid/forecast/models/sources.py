"""Forecasts that also look at published day-ahead forecasts of each source (solar, wind, gas …) and of the weather.

A day's forecasts are known from 00:00 UTC of that day: a target past midnight of the issue's day sees none of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs import drivers
from heliotrope.grid.forecast.inputs.drivers import Drivers
from heliotrope.grid.forecast.inputs.features import DAY, Scaled
from heliotrope.grid.forecast.models import far, near, ridge
from heliotrope.grid.forecast.models.fit import Predictor, fit_own
from heliotrope.grid.forecast.recall import Recall, afresh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

LEAST_HOURS = 28 * DAY
LONG_H = 200 * DAY
SHORT_REFRESH_H, LONG_REFRESH_H = 7 * DAY, 14 * DAY  # the less there is to learn from, the more a week adds


class Published(msgspec.Struct, frozen=True, eq=False):
    """(hour, column), aligned with the series; NaN where nothing was published. Known a UTC day at a time."""

    columns: FloatArray
    names: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, eq=False):
    """What was learnt before one cut-off, beside all that is published."""

    drivers: Drivers
    guess: FloatArray
    near: near.Near
    far: far.Far

    def overwrite(self, out: FloatArray, series: Scaled, issues: IntArray, horizons: IntArray) -> None:
        """Puts its forecasts into (issue, horizon) `out`, which holds own history's, where today was published."""
        usable = (issues - 8 * DAY >= self.drivers.first) & self.drivers.day_whole(issues, series.hour0)
        hour = (issues + series.hour0) % DAY
        expected, row = far.expected_today(series, self.guess, issues[usable]), np.cumsum(usable) - 1
        for j, h in enumerate(horizons.tolist()):
            today = np.flatnonzero(usable & (hour + h < DAY))
            later = np.flatnonzero(usable & (hour + h >= DAY))
            if len(today):
                level = series.level(issues[today])
                own = out[today, j] - level
                out[today, j] = level + self.near.predict(series, self.drivers, self.guess, issues[today], h, own)
            if len(later) and h in self.far.models:
                found = self.far.predict(series, self.drivers, issues[later], expected.rows(row[later]), h)
                out[later, j] = series.level(issues[later]) + found


class Learnt(msgspec.Struct, frozen=True, eq=False):
    """What is learnt from the hours before one cut-off, and kept."""

    mix: drivers.Mix
    near: near.Near
    far: far.Far


class SourceAware(msgspec.Struct, frozen=True, eq=False):
    """Learns again as weeks go by: published forecasts change their ways faster than a grid does.

    `near` serves targets in the issue's own UTC day, `far` those past its midnight, `own` where nothing is told.
    """

    published: Published
    own: ridge.Ridge
    known: int
    horizons: IntArray
    refresh_h: int
    recall: Recall
    told: dict[int, Told]

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
        """Learnt when first asked for, from values before hour `known` and forecasts of days that began before it."""
        if known not in self.told:
            names = self.published.names
            seen = self.published.columns[: -(-(known + series.hour0) // DAY) * DAY - series.hour0]
            made_of = (*series.past(known), seen, names, self.known, self.horizons)
            learnt = self.recall(lambda: self._learn(series, known, seen), "sources", *made_of)
            found = _drivers(self.published.columns, names, known)
            self.told[known] = Told(found, learnt.mix.guess(series, found), learnt.near, learnt.far)
        return self.told[known]

    def _learn(self, series: Scaled, known: int, seen: FloatArray) -> Learnt:
        found = _drivers(seen, self.published.names, known)
        mix = drivers.fit_mix(series, found, known)
        guess = mix.guess(series, found)
        return Learnt(
            mix,
            near.fit(series, found, guess, known, self.own),
            far.fit(series, found, guess, known, self.horizons),
        )


def _drivers(columns: FloatArray, names: tuple[str, ...], known: int) -> Drivers:
    found = drivers.of(columns, names, known)
    if found is None:
        raise AssertionError("columns that served at a cut-off serve at a later one")
    return found


def fit(series: Scaled, known: int, horizons: IntArray, published: Published, recall: Recall = afresh) -> Predictor:
    """From own history alone while published forecasts go back less than four weeks."""
    found = drivers.of(published.columns, published.names, known)
    if found is None or known - found.first < LEAST_HOURS:
        return fit_own(series, known, horizons, recall)
    own = ridge.recalled(recall, series, known, horizons)
    refresh_h = LONG_REFRESH_H if known - found.first > LONG_H else SHORT_REFRESH_H
    return SourceAware(published, own, known, horizons, refresh_h, recall, {})
