"""What a forecast may look at: for an issue hour t, only values before t, and the calendar.

A series is an array of hourly values; hour i of it is epoch hour `hour0 + i`. Everything is relative to the level of
the last seven days, on a log scale where the series is positive, so that one set of weights fits any grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.free_days import SUNDAY, WORKDAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.inputs.free_days import DayKinds

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

DAY, WEEK = 24, 168
REACH = 21 * DAY  # hours before an issue that some feature looks at
NAMES = (
    "same hour on the last known day",
    "… the day before",
    "… two days before",
    "… mean of seven days",
    "… a week ago",
    "… two weeks ago",
    "last value",
    "the one before",
    "a day before now",
    "last value against a day before",
    "last 3 h against a day before",
    "last 6 h against a day before",
    "last value against its hour's mean of seven days",
    "last value against a week before",
    "mean of 12 h",
    "mean of 24 h",
    "mean of the 24 h before",
    "mean of 72 h",
    "highest of 24 h",
    "lowest of 24 h",
    "free, against the last known day",
    "first day at work after free ones",
    "free: a weekend or holiday",
    "a Sunday or holiday",
    "same hour, mean of the last days of its kind",
    "time of day: cos",
    "… sin",
    "… twice as fast: cos",
    "… sin",
)
OF_WEEK = NAMES.index("… mean of seven days")
ALIKE_DAYS, ALIKE_FADES = 14, 0.9  # how far back days of the same kind are looked for, and what each day takes off


class Scaled(msgspec.Struct, frozen=True, eq=False):
    """A series prepared once: `x` is log(value), or value/spread where values can be zero or less."""

    x: FloatArray
    sums: FloatArray
    hour0: int
    unit: float  # 0 for log, else the spread that one unit of x stands for
    days: DayKinds  # of each day since 1 January 1970

    @property
    def is_log(self) -> bool:
        return self.unit == 0.0

    def past(self, known: int) -> tuple[FloatArray, int, float, DayKinds]:
        """All that a fit which knows the hours before `known` can look at."""
        return self.x[:known], self.hour0, self.unit, self.days

    def kind_of_day(self, hours: IntArray) -> DayKinds:
        kinds: DayKinds = self.days[(hours + self.hour0) // DAY]
        return kinds

    def level(self, issues: IntArray) -> FloatArray:
        """Mean of x over the seven days before each issue."""
        mean: FloatArray = (self.sums[issues] - self.sums[issues - WEEK]) / WEEK
        return mean

    def spread(self, issues: IntArray) -> FloatArray:
        """How far x strayed from its level in those days; never quite 0."""
        windows = np.lib.stride_tricks.sliding_window_view(self.x, WEEK)[issues - WEEK]
        deviation: FloatArray = np.maximum(windows.std(axis=1), 0.01)
        return deviation

    def back(self, x: FloatArray) -> FloatArray:
        """From x to values; kept within what could be."""
        if not self.is_log:
            return x * self.unit
        values: FloatArray = np.exp(np.clip(x, -14.0, 14.0))
        return values


def scale(values: FloatArray, hour0: int, known: int, days: DayKinds | None = None) -> Scaled:
    """Chooses the scale from the first `known` values alone: what follows must not decide anything.

    `days` tells which are free (`free_days`); Saturdays and Sundays where nothing is said.
    """
    past = values[:known]
    middle = float(np.median(np.abs(past))) or 1.0
    if past.min() > 0.02 * middle:
        x, unit = np.log(np.maximum(values, 1e-3 * middle)), 0.0
    else:
        unit = float(past.std()) or 1.0
        x = values / unit
    return Scaled(x, np.concatenate([[0.0], np.cumsum(x)]), hour0, unit, free_days.of("") if days is None else days)


def at_issue(series: Scaled, issues: IntArray) -> FloatArray:
    """(issue, feature): the columns that do not depend on the horizon, `last value` to `lowest of 24 h`."""
    x, level = series.x, series.level(issues)
    t = issues

    def mean(newest: int, oldest: int) -> FloatArray:
        span: FloatArray = (series.sums[t - newest] - series.sums[t - oldest]) / (oldest - newest)
        return span

    same_hour = np.mean([x[t - 1 - DAY * k] for k in range(1, 8)], axis=0)
    day = np.lib.stride_tricks.sliding_window_view(x, DAY)[t - DAY]
    columns = [
        x[t - 1] - level,
        x[t - 2] - level,
        x[t - DAY] - level,
        x[t - 1] - x[t - 1 - DAY],
        mean(0, 3) - mean(DAY, DAY + 3),
        mean(0, 6) - mean(DAY, DAY + 6),
        x[t - 1] - same_hour,
        x[t - 1] - x[t - 1 - WEEK],
        mean(0, 12) - level,
        mean(0, DAY) - level,
        mean(DAY, 2 * DAY) - level,
        mean(0, 3 * DAY) - level,
        day.max(axis=1) - level,
        day.min(axis=1) - level,
    ]
    return np.stack(columns, axis=1)


def matrix(series: Scaled, issues: IntArray, horizon: int | IntArray, shared: FloatArray | None = None) -> FloatArray:
    """(issue, feature) for the hour `issue + horizon`; `shared` is `at_issue` of the same issues, if at hand.

    `horizon` is one of all issues, or one for each.
    """
    x, level = series.x, series.level(issues)
    shared = at_issue(series, issues) if shared is None else shared
    target = issues + horizon
    back = DAY * (horizon // DAY + 1)
    days = [x[target - back - DAY * k] - level for k in range(7)]
    week = WEEK * (horizon // WEEK + 1)
    kind, last = series.kind_of_day(target), series.kind_of_day(target - back)
    free = (kind != WORKDAY).astype(float)
    after_free = (kind == WORKDAY) & (series.kind_of_day(target - DAY) != WORKDAY)
    columns = [
        days[0],
        days[1],
        days[2],
        np.mean(days, axis=0),
        x[target - week] - level,
        x[target - week - WEEK] - level,
    ]
    calendar = [free - (last != WORKDAY), after_free.astype(float), free, (kind == SUNDAY).astype(float)]
    angle = 2 * np.pi * ((target + series.hour0) % DAY) / DAY
    clock = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    return np.column_stack([*columns, shared, *calendar, _alike(series, target, back) - level, *clock])


def _alike(series: Scaled, target: IntArray, back: int | IntArray) -> FloatArray:
    """The target's hour on the days known of the last two weeks that were free if its own is, and not if not."""
    hours = (target - back)[:, None] - DAY * np.arange(ALIKE_DAYS)
    alike = (series.kind_of_day(hours) != WORKDAY) == (series.kind_of_day(target) != WORKDAY)[:, None]
    weight = (alike + 1e-6) * ALIKE_FADES ** np.arange(ALIKE_DAYS)
    mean: FloatArray = (weight * series.x[hours]).sum(axis=1) / weight.sum(axis=1)
    return mean


def yesterday(series: Scaled, issues: IntArray, horizon: int) -> FloatArray:
    """The same hour on the last day that is known, in x."""
    known: FloatArray = series.x[issues + horizon - DAY * (horizon // DAY + 1)]
    return known
