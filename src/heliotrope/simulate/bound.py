"""What no schedule can be below under capacity: an LP finds prices of devices, and the prices certify the bound.

The LP (HiGHS) lumps jobs that share a window and knows everything. Whatever prices it gives, the bound is then
computed job by job from them: for any prices λ ≥ 0, Σ_jobs (least grams at those prices) − Σ λ·capacity is below
every schedule that keeps the capacity. So a rounding of the LP can weaken the bound and never falsify it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from heliotrope.plan.kernels.shapes import Batch, Curves, Floats
from heliotrope.plan.kernels.solve import least_priced_grams

MOST_VARIABLES = 100_000  # beyond it windows are coarsened: the LP should not take longer than the replay


class Lumps:
    """Jobs with the same zones, first and last step, as one: device-seconds wanted, and the most each step can hold."""

    def __init__(self, curves: Curves) -> None:
        self.curves = curves
        self.grain = 1
        self.wanted: dict[tuple[tuple[int, ...], int, int], list[Any]] = {}

    def add(self, batch: Batch) -> None:
        step = self.curves.step_s
        end = batch.submitted_s + batch.length_s + batch.slack_s
        first = (batch.submitted_s / step).astype(np.int64)
        last = np.maximum(first + 1, np.ceil(end / step - 1e-9).astype(np.int64))
        keys = np.stack([batch.places.astype(np.int64), first, last], axis=1)
        unique, group = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        starts = np.searchsorted(group.ravel()[order], np.arange(len(unique) + 1))
        for g, (place, a, b) in enumerate(unique.tolist()):
            self._lump(batch, place, *self._widened(a, b), order[starts[g] : starts[g + 1]], end)
        while self.variables() > MOST_VARIABLES:
            self._coarsen()

    def _lump(self, batch: Batch, place: int, a: int, b: int, rows: Any, end: Floats) -> None:
        step = self.curves.step_s
        zones = tuple(batch.sets[batch.sets_ptr[place] : batch.sets_ptr[place + 1]].tolist())
        edges = np.arange(a, b + 1) * step
        low = np.maximum(edges[:-1], batch.submitted_s[rows, None])
        high = np.minimum(edges[1:], end[rows, None])
        devices = batch.devices[rows]
        room = (np.maximum(high - low, 0.0) * devices[:, None]).sum(axis=0)
        found = self.wanted.setdefault((zones, a, b), [0.0, 0.0, np.zeros(b - a)])
        found[0] += float((devices * batch.length_s[rows]).sum())
        found[1] += float((batch.power_w[rows] * batch.length_s[rows]).sum())
        found[2] += room

    def variables(self) -> int:
        return sum(len(zones) * (b - a) for zones, a, b in self.wanted)

    def _coarsen(self) -> None:
        """Twice the grain: windows widen, lumps merge. The prices get duller, the bound they prove stays one."""
        self.grain *= 2
        old, self.wanted = self.wanted, {}
        for (zones, a, b), (wanted, energy, room) in old.items():
            low, high = self._widened(a, b)
            wide = np.zeros(high - low)
            wide[a - low : b - low] = room
            found = self.wanted.setdefault((zones, low, high), [0.0, 0.0, np.zeros(high - low)])
            found[0] += wanted
            found[1] += energy
            found[2] += wide

    def _widened(self, a: int, b: int) -> tuple[int, int]:
        return a // self.grain * self.grain, min(-(-b // self.grain) * self.grain, self.curves.steps)

    def prices(self, limits: tuple[float, ...]) -> Floats:
        """[zone, step] g per device-second."""
        return _solve(self, limits)


def _solve(lumps: Lumps, limits: tuple[float, ...]) -> Floats:
    import highspy

    curves = lumps.curves
    steps = curves.steps
    held: dict[int, int] = {}
    cost: list[float] = []
    upper: list[float] = []
    entries: list[list[tuple[int, float]]] = []
    rows_low: list[float] = []
    rows_high: list[float] = []
    for (zones, a, b), (wanted, energy, room) in lumps.wanted.items():
        demand = len(rows_low)
        # A hair of give: lumped seconds are sums of rounded ones.
        rows_low.append(wanted * (1 - 1e-9))
        rows_high.append(np.inf)
        for h in range(a, b):
            shared = -1
            if len(zones) > 1:
                shared = len(rows_low)
                rows_low.append(-np.inf)
                rows_high.append(float(room[h - a]))
            for z in zones:
                key = z * steps + h
                if key not in held:
                    held[key] = len(rows_low)
                    rows_low.append(-np.inf)
                    rows_high.append(limits[z] * curves.step_s)
                cost.append(curves.values[z, h] * energy / wanted / 3.6e6)
                upper.append(float(room[h - a]))
                entries.append([(demand, 1.0), (held[key], 1.0), *([(shared, 1.0)] if shared >= 0 else [])])
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(rows_low)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = np.array(cost), np.zeros(len(cost)), np.array(upper)
    lp.row_lower_, lp.row_upper_ = np.array(rows_low), np.array(rows_high)
    lp.a_matrix_.start_ = np.cumsum([0, *(len(e) for e in entries)])
    lp.a_matrix_.index_ = np.array([r for e in entries for r, _ in e])
    lp.a_matrix_.value_ = np.array([v for e in entries for _, v in e])
    solver = highspy.Highs()
    solver.silent()
    solver.passModel(lp)
    solver.run()
    duals = np.array(solver.getSolution().row_dual)
    prices = np.zeros_like(curves.values)
    if len(duals) == len(rows_low):
        for key, row in held.items():
            prices[key // steps, key % steps] = max(0.0, -duals[row])
    return prices


def certified_g(batches: Iterable[Batch], curves: Curves, limits: tuple[float, ...], prices: Floats) -> float:
    """The bound those prices prove, g."""
    jobs = sum(least_priced_grams(batch, curves, prices) for batch in batches)
    return jobs - float((prices * np.array(limits)[:, None]).sum() * curves.step_s)
