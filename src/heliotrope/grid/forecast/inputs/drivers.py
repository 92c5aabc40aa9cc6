"""What published forecasts of sources and weather say of a grid's intensity, before anything of its own is looked at.

A publisher that gives an intensity too is believed as much as our own composite; where its own is a plain mix of its
sources, its factors are learnt and serve the hours before it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs.features import DAY, WEEK, Scaled
from heliotrope.grid.forecast.linear import ROUNDS, Linear, least_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

HALF_LIFE_H = 365.0 * DAY  # what the sun and the wind do to a grid is learnt from the same season of last year too
LEAST_COVER = 0.6  # of the hours that the best covered column has before the fit; a column with fewer says nothing
FACTORS_FIT = 0.01  # relative error under which a published intensity counts as a mix of the published sources
PENALTY = 1e-4
SHIFTS_H = 2  # by which an hour of a file may be misplaced within its day, cyclically
CLEARLY = 0.7  # of the error in its own place, for an hour to be looked for in another
JUDGED_H = 90 * DAY
LEAST_PLACED = 21  # days


class Drivers(msgspec.Struct, frozen=True, eq=False):
    """What is made of the published columns: `shares` of the sources (first) and weather, and all a tree may look at.

    `told` is the published intensity, NaN where there is none. From `first` on every column has been seen; where one
    fails later, its last day is repeated and the hour is not `whole`.
    """

    shares: FloatArray
    sources: int
    all: FloatArray
    told: FloatArray
    whole: NDArray[np.bool_]
    first: int

    def day_whole(self, issues: IntArray, hour0: int) -> NDArray[np.bool_]:
        """Whether every hour of the issue's own UTC day was published."""
        midnight = issues - (issues + hour0) % DAY
        days: NDArray[np.bool_] = np.lib.stride_tricks.sliding_window_view(self.whole, DAY)[midnight].all(axis=1)
        return days


def of(columns: FloatArray, names: tuple[str, ...], known: int) -> Drivers | None:
    """None where nothing was published before hour `known`. What lies before `known` alone decides what is of use.

    Where an intensity is all that was published, it is the only driver.
    """
    is_carbon = np.array(["carbon" in name for name in names])
    columns = np.pad(columns, ((0, 2 * DAY), (0, 0)), constant_values=np.nan)  # days that go on past the series
    there = np.isfinite(columns)
    cover = there[:known].mean(axis=0)
    if cover[~is_carbon].any():
        cover = np.where(is_carbon, 0.0, cover)
    used = cover > LEAST_COVER * cover.max(initial=0.0)
    if not used.any():
        return None
    whole: NDArray[np.bool_] = np.asarray(there[:, used].all(axis=1))
    first = int(np.argmax(there[:, used], axis=0).max())
    filled = _carried(columns[:, used], first)
    is_source = np.array(["production" in name for name in names])[used]
    sources = np.maximum(filled[:, is_source], 0.0)
    total = np.maximum(sources.sum(axis=1, keepdims=True), 1e-9)
    shares = np.column_stack([sources / total, filled[:, ~is_source]])
    told = columns[:, np.argmax(is_carbon)] if is_carbon.any() else np.full(len(columns), np.nan)
    return Drivers(shares, int(is_source.sum()), np.column_stack([shares, filled, np.log(total)]), told, whole, first)


def _carried(columns: FloatArray, first: int) -> FloatArray:
    """From `first` on, an hour without a value has that of the day before: nothing later is looked at."""
    out = columns.copy()
    for hour in (np.flatnonzero(~np.isfinite(columns[first:]).all(axis=1)) + first).tolist():
        out[hour] = np.where(np.isfinite(out[hour]), out[hour], out[max(hour - DAY, first)])
    return np.where(np.isfinite(out), out, 0.0)


class Mix(msgspec.Struct, frozen=True, eq=False):
    """Our composite (one factor a source, fitted to what came) and, where it is one, the publisher's.

    `place[k]` is the hour of the same UTC day whose guess hour k of the series follows.
    """

    ours: Linear
    theirs: Linear | None
    place: IntArray

    def guess(self, series: Scaled, drivers: Drivers) -> FloatArray:
        """What the published mix would emit, in x, for every hour."""
        guess = self._unplaced(series, drivers)
        hour = (np.arange(len(guess)) + series.hour0) % DAY
        there = np.arange(len(guess)) - hour + self.place[hour]
        inside = (there >= 0) & (there < len(guess))
        placed: FloatArray = np.where(inside, guess[np.where(inside, there, 0)], guess)
        return placed

    def _unplaced(self, series: Scaled, drivers: Drivers) -> FloatArray:
        ours = _in_x(self.ours.predict(drivers.shares), series)
        theirs = (
            ours if self.theirs is None else _in_x(self.theirs.predict(drivers.shares[:, : drivers.sources]), series)
        )
        theirs = np.where(np.isfinite(drivers.told), _in_x(drivers.told, series), theirs)
        return (ours + theirs) / 2


def fit_mix(series: Scaled, drivers: Drivers, known: int) -> Mix:
    """From hours before `known`."""
    hours = np.arange(drivers.first, known)
    hours = hours[drivers.whole[hours]]
    importance = 0.5 ** ((known - hours) / HALF_LIFE_H)
    X = drivers.shares[hours]
    value = series.back(series.x[hours])
    ours = least_squares(X, value, importance, PENALTY)
    for _ in range(ROUNDS):
        size = np.maximum(np.abs(ours.predict(X) - value), 0.02 * np.abs(value) + 1e-9)
        relative = np.abs(value) + 1e-9 if series.is_log else 1.0
        ours = least_squares(X, value, importance / size / relative, PENALTY)
    mix = Mix(ours, _fit_theirs(drivers, hours), np.arange(DAY))
    return msgspec.structs.replace(
        mix, place=_place(series, mix.guess(series, drivers), hours[hours >= known - JUDGED_H])
    )


def _place(series: Scaled, guess: FloatArray, hours: IntArray) -> IntArray:
    """For each hour of the day, where its guess is to be found: elsewhere only if it clearly fits better there.

    Files misplace hours: those made from days that end at 24:00 call that hour 00:00 of the day it ended.
    """
    clock = (hours + series.hour0) % DAY
    place = np.arange(DAY)
    for hour in range(DAY):
        here = hours[clock == hour]
        here = here[(here >= hour) & (here - hour + DAY <= len(guess))]
        if len(here) < LEAST_PLACED:
            continue
        around = (hour + np.arange(-SHIFTS_H, SHIFTS_H + 1)) % DAY
        apart = guess[here[:, None] - hour + around] - series.x[here][:, None]
        error = np.abs(apart - np.median(apart, axis=0)).mean(axis=0)
        best = int(np.argmin(error))
        if error[best] < CLEARLY * error[SHIFTS_H]:
            place[hour] = around[best]
    return place


def _fit_theirs(drivers: Drivers, hours: IntArray) -> Linear | None:
    hours = hours[np.isfinite(drivers.told[hours])]
    if len(hours) < WEEK or not drivers.sources:
        return None
    X, told = drivers.shares[hours, : drivers.sources], drivers.told[hours]
    theirs = least_squares(X, told, np.ones(len(hours)), 1e-8)
    error = np.abs(theirs.predict(X) - told).mean() / max(float(np.abs(told).mean()), 1e-9)
    return theirs if error < FACTORS_FIT else None


def _in_x(value: FloatArray, series: Scaled) -> FloatArray:
    if not series.is_log:
        return value / series.unit
    logs: FloatArray = np.log(np.maximum(value, 1e-3))
    return logs
