"""A model trained across zones: each zone's own linear forecast, corrected by trees that have seen every zone err.

The trees learn from forecasts that were honest when they were made: linear models fitted at earlier cut-offs, each
judged on the 28 days after its own. They also see how the zones that move with this one were surprised lately.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import DAY, REACH, Scaled, at_issue, matrix, scale, yesterday
from heliotrope.grid.forecast.models import boost, ridge
from heliotrope.grid.forecast.models.fit import Fit, Predictor, fit_own
from heliotrope.grid.forecast.recall import Recall, afresh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

CUT_OFFS = 6
PERIOD_H = 28 * DAY
EVERY_H = 6
MOST_ROWS = 240_000
NEIGHBOURS = 5
TREES = 250
SURPRISES = slice(4, 7)  # of `at_issue`: last 3 h and 6 h against a day before, last value against its hour's mean


class Zones:
    """Aligned series, one array a zone; fits are remembered, since every zone's forecast needs them all."""

    def __init__(
        self, names: Sequence[str], values: Sequence[FloatArray], hour0: int, known: int, recall: Recall = afresh
    ) -> None:
        self.names = list(names)
        self.series = [
            scale(array, hour0, known, free_days.of(name)) for name, array in zip(names, values, strict=True)
        ]
        self._recall = recall
        self._ridge = cache(self._fit_ridge)
        self._honest = cache(self._honest_rows)
        self._trees = cache(self._recalled_trees)
        self._near = cache(self._neighbours)

    def predictor(self, name: str, known: int, horizons: IntArray) -> Across:
        zone = self.names.index(name)
        reach = tuple(horizons.tolist())
        return Across(self, zone, known, self._ridge(zone, known, reach), self._trees(known, reach))

    def examples(self, zone: int, known: int, issues: IntArray, horizons: IntArray) -> tuple[FloatArray, FloatArray]:
        """Rows of features and the linear forecast (relative to level), horizon after horizon."""
        series = self.series[zone]
        shared, level = at_issue(series, issues), series.level(issues)
        linear = self._ridge(zone, known, tuple(horizons.tolist()))
        near = np.mean([at_issue(self.series[k], issues)[:, SURPRISES] for k in self._near(zone, known)], axis=0)
        spread = series.spread(issues)
        rows, bases = [], []
        for h in horizons.tolist():
            X = matrix(series, issues, h, shared)
            base = np.clip(linear.models[h].predict(X), -ridge.MOST_CHANGE, ridge.MOST_CHANGE)
            clock = (issues + series.hour0 + h) % DAY
            since = base - (yesterday(series, issues, h) - level)
            rows.append(np.column_stack([X, near, spread, clock, np.full(len(issues), h), base, since]))
            bases.append(base)
        return np.concatenate(rows), np.concatenate(bases)

    def _fit_ridge(self, zone: int, known: int, horizons: tuple[int, ...]) -> ridge.Ridge:
        return ridge.recalled(self._recall, self.series[zone], known, np.array(horizons))

    def _neighbours(self, zone: int, known: int) -> tuple[int, ...]:
        """The zones whose surprises of the last half year were most like this one's."""
        if len(self.series) == 1:
            return (zone,)
        issues = np.arange(max(REACH, known - 182 * DAY), known, EVERY_H)
        surprises = np.stack([at_issue(series, issues)[:, SURPRISES.start + 1] for series in self.series])
        surprises -= surprises.mean(axis=1, keepdims=True)
        size = np.sqrt((surprises**2).sum(axis=1)) + 1e-9
        likeness = surprises @ surprises[zone] / (size * size[zone])
        likeness[zone] = -np.inf
        return tuple(np.argsort(-likeness)[: min(NEIGHBOURS, len(self.series) - 1)].tolist())

    def _honest_rows(
        self, zone: int, cut: int, horizons: tuple[int, ...]
    ) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """Features, linear forecast, answer and the hour it became known, of issues in the period after `cut`."""
        reach = np.array(horizons)
        issues = np.arange(cut, cut + PERIOD_H, EVERY_H)
        issues = issues[issues + reach[-1] < len(self.series[zone].x)]
        X, base = self.examples(zone, cut, issues, reach)
        target = (issues[None, :] + reach[:, None]).ravel()
        answer = self.series[zone].x[target] - np.tile(self.series[zone].level(issues), len(reach))
        return X.astype(np.float32), base, answer, target

    def _recalled_trees(self, known: int, horizons: tuple[int, ...]) -> boost.Boost | None:
        made_of = (known, horizons, *(part for series in self.series for part in series.past(known)))
        return self._recall(lambda: self._fit_trees(known, horizons), "across", *made_of)

    def _fit_trees(self, known: int, horizons: tuple[int, ...]) -> boost.Boost | None:
        """None while there is too little behind `known` to be honest about."""
        cuts = [known - PERIOD_H * k for k in range(CUT_OFFS, 0, -1)]
        cuts = [cut for cut in cuts if ridge.enough(cut, horizons[-1])]
        if not cuts:
            return None
        random = np.random.default_rng(known)
        share = MOST_ROWS / (len(cuts) * len(self.series) * len(horizons) * PERIOD_H / EVERY_H)
        parts: list[tuple[FloatArray, ...]] = []
        for zone in (z for z, series in enumerate(self.series) if series.is_log):
            for cut in cuts:
                X, base, answer, target = self._honest(zone, cut, horizons)
                rows = (target < known) & (random.random(len(base)) < share)
                parts.append((X[rows], base[rows], answer[rows], np.ones(int(rows.sum()))))
        if not parts:
            return None
        X, base, answer, importance = (np.concatenate(part) for part in zip(*parts, strict=True))
        return boost.fit(X, base, answer, importance, is_log=True, rounds=TREES)


class Across(msgspec.Struct, frozen=True, eq=False):
    """One zone's forecasts at one cut-off."""

    zones: Zones
    zone: int
    known: int
    linear: ridge.Ridge
    trees: boost.Boost | None

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        if self.trees is None or not series.is_log:
            return self.linear.predict(series, issues, horizons)
        X, base = self.zones.examples(self.zone, self.known, issues, horizons)
        corrected = self.trees.correct(X, base).reshape(len(horizons), len(issues)).T
        return self.zones.series[self.zone].level(issues)[:, None] + corrected


def fit_of(names: Sequence[str], values: Sequence[FloatArray], hour0: int, name: str, recall: Recall = afresh) -> Fit:
    """What a backtest of `name` fits, given every zone's values."""
    zones: list[Zones] = []

    def fit(series: Scaled, known: int, horizons: IntArray) -> Predictor:
        if not ridge.enough(known, int(horizons[-1])):
            return fit_own(series, known, horizons)
        if not zones:
            zones.append(Zones(names, values, hour0, known, recall))
        return zones[0].predictor(name, known, horizons)

    return fit
