"""What no schedule can be below under capacity: an LP finds prices of devices, and the prices certify the bound.

The LP (HiGHS) lumps jobs that share a window and knows everything. Whatever prices it gives, the bound is then
computed job by job from them: for any prices λ ≥ 0, Σ_jobs (least grams at those prices) − Σ λ·capacity is below
every schedule that keeps the capacity. So a rounding of the LP can weaken the bound and never falsify it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Longs
from heliotrope.plan.kernels.solve import least_priced_grams
from heliotrope.units import J_PER_KWH

MOST_VARIABLES = 100_000  # beyond it windows are coarsened: the LP should not take longer than the replay


class Lump:
    """Jobs alike: device-seconds wanted, the W·s they draw, and the device-seconds that each step can hold of them."""

    __slots__ = ("draw", "room", "wanted")

    def __init__(self, wanted: float, draw: float, room: Floats) -> None:
        self.wanted, self.draw, self.room = wanted, draw, room


class Lumps:
    """Jobs with the same zones, first and last step, as one."""

    def __init__(self, curves: Curves) -> None:
        self.curves = curves
        self.grain = 1
        self.lumps: dict[tuple[tuple[int, ...], int, int], Lump] = {}

    def add(self, batch: Batch) -> None:
        step, steps = self.curves.step_s, self.curves.steps
        begin, end = batch.submitted_s, batch.submitted_s + batch.length_s + batch.slack_s
        first, last = (begin / step).astype(np.int64), (end / step).astype(np.int64)
        a = first // self.grain * self.grain
        touched = np.maximum(first + 1, np.ceil(end / step - 1e-9).astype(np.int64))
        b = np.minimum(-(-touched // self.grain) * self.grain, steps)
        keys, group = np.unique((batch.places * (steps + 1) + a) * (steps + 1) + b, return_inverse=True)
        ends = keys % (steps + 1)
        places, begins = np.divmod(keys // (steps + 1), steps + 1)
        # Groups side by side, each with a step to spare: a window may end where its last step does.
        offset = np.concatenate([[0], np.cumsum(ends - begins + 1)])
        here = offset[group] - a
        room = _held(begin, end, batch.devices, first, last, here, step, int(offset[-1]))
        wanted = np.bincount(group, batch.devices * batch.length_s)
        draw = np.bincount(group, batch.power_w * batch.length_s)
        zones = [tuple(batch.sets[i:j].tolist()) for i, j in pairwise(batch.sets_ptr.tolist())]
        rows = (places, begins, ends, offset[:-1], wanted, draw)
        for place, low, high, at, seconds, joules in zip(*(column.tolist() for column in rows), strict=True):
            self._join((zones[place], low, high), seconds, joules, room[at : at + high - low])
        while self.variables() > MOST_VARIABLES:
            self._coarsen()

    def _join(self, key: tuple[tuple[int, ...], int, int], wanted: float, draw: float, room: Floats) -> None:
        found = self.lumps.get(key)
        if found is None:
            self.lumps[key] = Lump(wanted, draw, room.copy())
            return
        found.wanted += wanted
        found.draw += draw
        found.room += room

    def variables(self) -> int:
        return sum(len(zones) * (b - a) for zones, a, b in self.lumps)

    def _coarsen(self) -> None:
        """Twice the grain: windows widen, lumps merge. The prices get duller, the bound they prove stays one."""
        self.grain *= 2
        old, self.lumps = self.lumps, {}
        for (zones, a, b), lump in old.items():
            low = a // self.grain * self.grain
            high = min(-(-b // self.grain) * self.grain, self.curves.steps)
            wide = np.zeros(high - low)
            wide[a - low : b - low] = lump.room
            self._join((zones, low, high), lump.wanted, lump.draw, wide)

    def prices(self, limits: tuple[float, ...]) -> Floats:
        """[zone, step] g per device-second."""
        return _solve(self, limits)


def _held(
    begin: Floats, end: Floats, devices: Floats, first: Longs, last: Longs, here: Longs, step: float, size: int
) -> Floats:
    """Device-seconds of windows [begin, end) by step: step i of a window lies at row `here` + i."""
    whole = np.bincount(here + first + 1, devices * step, size + 1) - np.bincount(
        here + last + 1, devices * step, size + 1
    )
    parts = np.bincount(here + first, devices * ((first + 1) * step - begin), size)
    parts += np.bincount(here + last, devices * (end - (last + 1) * step), size)
    held: Floats = np.maximum(np.cumsum(whole)[:size] + parts, 0.0)
    return held


def _solve(lumps: Lumps, limits: tuple[float, ...]) -> Floats:
    """Rows: each lump's demand, each (zone, step) held, and what a lump with several zones can put into one step."""
    import highspy

    curves, steps, count = lumps.curves, lumps.curves.steps, len(lumps.lumps)
    columns: list[tuple[Floats, Floats, Longs, Longs, Longs]] = []  # cost, upper, demand, held, shared (-1: none)
    shared_room: list[Floats] = []
    shares = 0
    for i, ((zones, a, b), lump) in enumerate(lumps.lumps.items()):
        shared = np.full(b - a, -1)
        if len(zones) > 1:
            shared = np.arange(shares, shares + b - a)
            shares += b - a
            shared_room.append(lump.room)
        for z in zones:
            cost = curves.values[z, a:b] * (lump.draw / lump.wanted / J_PER_KWH)
            columns.append((cost, lump.room, np.full(b - a, i), np.arange(a, b) + z * steps, shared))
    cost, upper, demand, held, shared = (np.concatenate(column) for column in zip(*columns, strict=True))
    keys, row = np.unique(held, return_inverse=True)
    several = shared >= 0
    starts = np.concatenate([[0], np.cumsum(2 + several)])
    index = np.empty(starts[-1], dtype=np.int64)
    index[starts[:-1]], index[starts[:-1] + 1] = demand, count + row
    index[starts[:-1][several] + 2] = count + len(keys) + shared[several]
    # A hair of give: lumped seconds are sums of rounded ones.
    least = np.array([lump.wanted * (1 - 1e-9) for lump in lumps.lumps.values()])
    most = np.concatenate([np.array(limits)[keys // steps] * curves.step_s, *shared_room])
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), count + len(most)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), upper
    lp.row_lower_ = np.concatenate([least, np.full(len(most), -np.inf)])
    lp.row_upper_ = np.concatenate([np.full(count, np.inf), most])
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = starts, index, np.ones(len(index))
    solver = highspy.Highs()
    solver.silent()
    solver.passModel(lp)
    solver.run()
    duals = np.array(solver.getSolution().row_dual)
    prices = np.zeros_like(curves.values)
    if len(duals) == lp.num_row_:
        prices[keys // steps, keys % steps] = np.maximum(0.0, -duals[count : count + len(keys)])
    return prices


def certified_g(batches: Iterable[Batch], curves: Curves, limits: tuple[float, ...], prices: Floats) -> float:
    """The bound those prices prove, g."""
    jobs = sum(least_priced_grams(batch, curves, prices) for batch in batches)
    return jobs - float((prices * np.array(limits)[:, None]).sum() * curves.step_s)
