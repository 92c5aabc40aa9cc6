"""Past midnight nothing is published yet: linear models a horizon that look at the rest of today as it is expected.

Wind that blows tonight blows tomorrow morning too: today's published forecasts, corrected by their errors so far, stand
in for the hours of today that have not come. Two voices, of which the mean is taken: one looks at the intensity and how
far today strays from the week before, the other at the share of each source and at the weather besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, REACH, WEEK, Scaled, at_issue, matrix
from heliotrope.grid.forecast.linear import Linear, fit_linear
from heliotrope.grid.forecast.models.near import corrected, stride
from heliotrope.grid.forecast.models.ridge import HALF_LIFE_H, LEAST_ROWS, MEMORY_H, MOST_CHANGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.inputs.drivers import Drivers

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

MOST_ROWS = 1500  # examples a horizon
REACHES_H = 48  # hours ahead for which today still says more than the days before it
STRAYS_FADE_H, SHARES_FADE_H = 12.0, 18.0  # past midnight, to a share of 1/e
PENALTY = 0.03
FEW_DAYS = 10.0  # the fewer the days, the closer a forecast stays to the level of the week
EVENING = (-3, -6)  # hours of today from which on it is evening: for the intensity, and for the shares


class Today(msgspec.Struct, frozen=True, eq=False):
    """(issue, hour): `hours` as far as they are known and else as expected, `usual` the mean of the week before, both
    relative to level. `turn`: how far today's guesses lie from those of the week before.
    """

    hours: FloatArray
    usual: FloatArray
    turn: FloatArray

    def rows(self, at: IntArray) -> Today:
        return Today(self.hours[at], self.usual[at], self.turn[at])


class Far(msgspec.Struct, frozen=True, eq=False):
    """Two linear models for each horizon that had examples enough."""

    models: dict[int, tuple[Linear, Linear]]

    def predict(self, series: Scaled, drivers: Drivers, issues: IntArray, today: Today, h: int) -> FloatArray:
        """Relative to level; `today` is that of the same issues."""
        plain, shares = self.models[h]
        X = features(series, issues, today, h)
        found = (plain.predict(X) + shares.predict(np.column_stack([X, of_shares(series, drivers, issues, h)]))) / 2
        return np.clip(found, -MOST_CHANGE, MOST_CHANGE)


def expected_today(series: Scaled, guess: FloatArray, issues: IntArray) -> Today:
    midnight = issues - (issues + series.hour0) % DAY
    level = series.level(issues)[:, None]
    hours = midnight[:, None] + np.arange(DAY)
    expected = guess[hours] + corrected(series, guess, issues, hours)
    known = series.x[np.minimum(hours, issues[:, None] - 1)]
    usual = np.mean([series.x[hours - DAY * k] for k in range(1, 8)], axis=0)
    sums = np.concatenate([[0.0], np.cumsum(guess)])
    turn = (sums[midnight + DAY] - sums[midnight]) / DAY - (sums[midnight] - sums[midnight - WEEK]) / WEEK
    return Today(np.where(hours < issues[:, None], known, expected) - level, usual - level, turn)


def features(series: Scaled, issues: IntArray, today: Today, h: int) -> FloatArray:
    """What own history sees, today, and how today strays from the week before: fading, and by the hour of the day."""
    clock, past, row = (issues + h + series.hour0) % DAY, _past(series, issues, h), np.arange(len(issues))
    hours, angle = today.hours, 2 * np.pi * clock / DAY
    cos, sin, fade = np.cos(angle), np.sin(angle), np.exp(-past / STRAYS_FADE_H)
    strays = hours - today.usual
    columns = [
        matrix(series, issues, h, at_issue(series, issues)),
        hours[row, clock],
        hours.mean(axis=1),
        hours[:, -1],
        hours[:, EVENING[1] :].mean(axis=1),
        today.turn,
        today.usual[row, clock],
    ]
    for stray in (strays[:, EVENING[0] :].mean(axis=1), strays.mean(axis=1), strays[row, clock]):
        columns += [stray, stray * fade, stray * cos, stray * sin]
    return np.column_stack(columns)


def of_shares(series: Scaled, drivers: Drivers, issues: IntArray, h: int) -> FloatArray:
    """How the shares of sources, and the weather, end today against the target's hour, the week and the day."""
    shares, midnight = drivers.shares, issues - (issues + series.hour0) % DAY
    sums = np.concatenate([np.zeros((1, shares.shape[1])), np.cumsum(shares, axis=0)])
    end = midnight + DAY
    last, day = shares[end - 1], (sums[end] - sums[midnight]) / DAY
    evening = (sums[end] - sums[end + EVENING[1]]) / -EVENING[1]
    week = (sums[midnight] - sums[midnight - WEEK]) / WEEK
    fade = np.exp(-_past(series, issues, h) / SHARES_FADE_H)[:, None]
    same = shares[midnight + (issues + h + series.hour0) % DAY]
    return np.column_stack([last - same, evening - week, day - week, (last - week) * fade, last - day])


def _past(series: Scaled, issues: IntArray, h: int) -> IntArray:
    """Hours of `issue + h` past the midnight that ends the issue's day."""
    past: IntArray = (issues + series.hour0) % DAY + h - DAY
    return past


def fit(series: Scaled, drivers: Drivers, guess: FloatArray, known: int, horizons: IntArray) -> Far:
    """From issues whose target lies past their midnight and before hour `known`."""
    models = {}
    oldest = max(drivers.first + 8 * DAY, REACH + DAY, known - MEMORY_H)
    every = np.arange(oldest, known)
    every = every[drivers.day_whole(every, series.hour0)]
    today = expected_today(series, guess, every)
    careful = PENALTY + FEW_DAYS * DAY / max(len(every), 1)
    for h in (h for h in horizons.tolist() if h < REACHES_H):
        fits = np.flatnonzero((_past(series, every, h) >= 0) & (every + h < known))
        fits = fits[:: stride(len(fits), MOST_ROWS, min(h, DAY))]
        if len(fits) < LEAST_ROWS:
            continue
        issues = every[fits]
        y = series.x[issues + h] - series.level(issues)
        importance = 0.5 ** ((known - issues) / HALF_LIFE_H)
        X = features(series, issues, today.rows(fits), h)
        wide = np.column_stack([X, of_shares(series, drivers, issues, h)])
        plain = fit_linear(X, y, importance, is_log=series.is_log, penalty=careful)
        models[h] = plain, fit_linear(wide, y, importance, is_log=series.is_log, penalty=careful)
    return Far(models)
