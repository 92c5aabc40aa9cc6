"""A model trained across zones: each zone's own linear forecast, corrected by trees that have seen every zone err.

The trees learn from forecasts that were honest when they were made: linear models fitted at earlier cut-offs, each
judged on the 28 days after its own. They also see how the zones that move with this one were surprised lately.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import DAY, REACH, Scaled, at_issue, matrix, scale
from heliotrope.grid.forecast.models import boost, ridge
from heliotrope.grid.forecast.models.analogues import Analogues
from heliotrope.grid.forecast.models.fit import Fit, Own, Predictor, fit_own
from heliotrope.grid.forecast.recall import Recall, afresh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

CUT_OFFS = 6
PERIOD_H = 28 * DAY
EVERY_H = 5  # visits every hour of the day
BANDS_H = (0, 6, DAY, 8 * DAY)  # hours ahead that have trees of their own: what helps tomorrow misleads today
MOST_ROWS = (120_000, 160_000, 240_000)  # of each band
NEIGHBOURS = 5
LIKENESS_H = 182 * DAY
TREES = 250
PERIODS_ENOUGH = 120  # of 28 days in one zone, seen by trees: from so many on they are heard alone
SURPRISES = slice(4, 7)  # of `at_issue`: last 3 h and 6 h against a day before, last value against its hour's mean
LAST_DAY = 0  # of `matrix`: the same hour on the last known day


class Zones:
    """Aligned series, one a zone; fits are remembered, since every zone's forecast needs them all."""

    def __init__(self, names: Sequence[str], series: Sequence[Scaled], recall: Recall = afresh) -> None:
        self.names = list(names)
        self.series = list(series)
        self._learnt_from = [zone for zone, one in enumerate(self.series) if one.is_log]
        self._recall = recall
        self._ridge = cache(self._fit_ridge)
        self._trees = cache(self._recalled_trees)
        self._surprises = cache(self._surprised)

    def predictor(self, name: str, known: int, horizons: IntArray) -> Predictor:
        zone = self.names.index(name)
        bands = [part for first, end in pairwise(BANDS_H) if (part := _within(horizons, first, end))]
        linear = ridge.Ridge({h: model for part in bands for h, model in self._ridge(zone, known, part).models.items()})
        say = min(len(_cuts(known, int(horizons[-1]))) * len(self._learnt_from) / PERIODS_ENOUGH, 1.0)
        if say == 0 or not self.series[zone].is_log:
            return Own(linear)
        return Across(self, zone, known, linear, tuple((part, self._trees(known, part)) for part in bands), say)

    def rows(
        self, zone: int, known: int, linear: ridge.Ridge, issues: IntArray, leads: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Features, and the linear forecast relative to level, of the hours `issues + leads`."""
        series = self.series[zone]
        once, of = np.unique(issues, return_inverse=True)
        near = np.mean([at_issue(self.series[k], once)[:, SURPRISES] for k in self.near(zone, known)], axis=0)
        beside = np.column_stack([near, series.spread(once)])[of]
        X = matrix(series, issues, leads, at_issue(series, once)[of])
        base = np.empty(len(X))
        for h in np.unique(leads).tolist():
            here = leads == h
            base[here] = np.clip(linear.models[h].predict(X[here]), -ridge.MOST_CHANGE, ridge.MOST_CHANGE)
        reach, ahead = np.unique(leads, return_inverse=True)
        alike = Analogues().predict(series, once, reach)[of, ahead] - series.level(issues)
        clock = (issues + leads + series.hour0) % DAY
        return np.column_stack([X, beside, clock, leads, base, base - X[:, LAST_DAY], alike - base]), base

    def near(self, zone: int, known: int) -> list[int]:
        """The zones whose surprises of the last half year were most like this one's; itself where it is alone."""
        surprises = self._surprises(known)
        size = np.sqrt(np.einsum("zi,zi->z", surprises, surprises)) + 1e-9
        likeness = np.einsum("zi,i->z", surprises, surprises[zone]) / (size * size[zone])
        others = [k for k in np.argsort(-likeness, kind="stable").tolist() if k != zone and self.series[k].is_log]
        return others[:NEIGHBOURS] or [zone]

    def _surprised(self, known: int) -> FloatArray:
        """(zone, issue): the last 6 h against a day before, less their mean."""
        issues = np.arange(max(REACH, known - LIKENESS_H), known, EVERY_H)
        found = np.stack([at_issue(series, issues)[:, SURPRISES.start + 1] for series in self.series])
        centred: FloatArray = found - found.mean(axis=1, keepdims=True)
        return centred

    def _fit_ridge(self, zone: int, known: int, reach: tuple[int, ...]) -> ridge.Ridge:
        return ridge.recalled(self._recall, self.series[zone], known, np.array(reach))

    def _recalled_trees(self, known: int, reach: tuple[int, ...]) -> boost.Boost:
        made_of = (known, reach, *(part for series in self.series for part in series.past(known)))
        return self._recall(lambda: self._fit_trees(known, reach), "across", *made_of)

    def _fit_trees(self, known: int, reach: tuple[int, ...]) -> boost.Boost:
        cuts = _cuts(known, reach[-1])
        random = np.random.default_rng(known)
        all_rows = len(cuts) * len(self._learnt_from) * len(reach) * PERIOD_H // EVERY_H
        share = MOST_ROWS[bisect(BANDS_H, reach[0]) - 1] / all_rows
        parts = [self._honest(zone, cut, known, reach, share, random) for zone in self._learnt_from for cut in cuts]
        X, base, answer = (np.concatenate(part) for part in zip(*parts, strict=True))
        return boost.fit(X, base, answer, np.ones(len(answer)), is_log=True, rounds=TREES)

    def _honest(
        self, zone: int, cut: int, known: int, reach: tuple[int, ...], share: float, random: np.random.Generator
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Features, linear forecast and answer, of a random `share` of the period after `cut`."""
        series = self.series[zone]
        issues, leads = (part.ravel() for part in np.meshgrid(np.arange(cut, cut + PERIOD_H, EVERY_H), reach))
        picked = (issues + leads < known) & (random.random(len(issues)) < share)
        issues, leads = issues[picked], leads[picked]
        X, base = self.rows(zone, cut, self._ridge(zone, cut, reach), issues, leads)
        return X.astype(np.float32), base, series.x[issues + leads] - series.level(issues)


class Across(msgspec.Struct, frozen=True, eq=False):
    """One zone's forecasts at one cut-off; `bands` are horizons and the trees that correct them.

    Trees that saw few periods are heard the less: the rest of the `say` (0 to 1) is own history's.
    """

    zones: Zones
    zone: int
    known: int
    linear: ridge.Ridge
    bands: tuple[tuple[tuple[int, ...], boost.Boost], ...]
    say: float

    def predict(self, series: Scaled, issues: IntArray, horizons: IntArray) -> FloatArray:
        """(issue, horizon) in x."""
        leads, each = np.repeat(horizons, len(issues)), np.tile(issues, len(horizons))
        X, base = self.zones.rows(self.zone, self.known, self.linear, each, leads)
        for reach, trees in self.bands:
            here = np.isin(leads, reach)
            if here.any():
                base[here] = trees.correct(X[here], base[here])
        found = series.level(issues)[:, None] + base.reshape(len(horizons), len(issues)).T
        if self.say == 1:
            return found
        own = Own(self.linear).predict(series, issues, horizons)
        return own + self.say * (found - own)


def fit_of(names: Sequence[str], values: Sequence[FloatArray], hour0: int, name: str, recall: Recall = afresh) -> Fit:
    """What a backtest of `name` fits, given every zone's values."""
    zones: list[Zones] = []

    def fit(series: Scaled, known: int, horizons: IntArray) -> Predictor:
        if not ridge.enough(known, int(horizons[-1])):
            return fit_own(series, known, horizons)
        if not zones:
            each = zip(names, values, strict=True)
            beside = [series if one == name else scale(array, hour0, known, free_days.of(one)) for one, array in each]
            zones.append(Zones(names, beside, recall))
        return zones[0].predictor(name, known, horizons)

    return fit


def _within(horizons: IntArray, first: int, end: int) -> tuple[int, ...]:
    return tuple(horizons[(horizons >= first) & (horizons < end)].tolist())


def _cuts(known: int, longest: int) -> list[int]:
    """Earlier cut-offs that had enough behind them for fits to be honest about."""
    return [cut for k in range(CUT_OFFS, 0, -1) if ridge.enough(cut := known - PERIOD_H * k, longest)]
