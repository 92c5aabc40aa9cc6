"""A transport programme with as many columns as matter: HiGHS on few, all others priced out at once, kept warm.

Minimise Σ cost·x over x[class, site] ≥ 0 with Σ_site x = demand and Σ_class load·x ≤ capacity. What finds no room is
left unserved at a price above any other, so that the programme always has an answer and says what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FIRST = 2  # columns a class begins with: its cheapest sites
_TOLERANCE = 1e-9
_UNSERVED = 1e3  # times the dearest way to serve


class Flow(msgspec.Struct, frozen=True, eq=False):
    """`amount[i]` of class `rows[i]` goes to site `columns[i]`; `scarcity`: what one more unit of room saves."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    amount: Floats
    cost: float
    unserved: Floats
    scarcity: Floats
    worth: Floats  # cost of one more unit of demand, by class
    rounds: int


class Transport:
    """One shape of problem, solved again and again as costs, demands and capacities move."""

    def __init__(self) -> None:
        import highspy

        self._api: Any = highspy
        self._solver: Any = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._shape: tuple[int, int] | None = None
        self._load: Floats = np.zeros((0, 0))
        self._rows: list[int] = []
        self._columns: list[int] = []
        self._known: NDArray[np.bool_] = np.zeros((0, 0), dtype=bool)

    def solve(self, cost: Floats, load: Floats, demand: Floats, capacity: Floats) -> Flow:
        """`cost` is infinite where a class may not go."""
        finite = np.isfinite(cost)
        unit = float(np.abs(cost[finite]).mean()) if finite.any() else 1.0
        unit = unit or 1.0
        scaled = np.where(finite, cost / unit, np.inf)
        dear = _UNSERVED * max(1.0, float(np.abs(scaled[finite]).max()) if finite.any() else 1.0)
        if self._shape != cost.shape or not np.array_equal(self._load, load):
            self._begin(scaled, load)
        self._refresh(scaled, demand, capacity, dear)
        rounds = 0
        while True:
            rounds += 1
            self._solver.run()
            solution = self._solver.getSolution()
            dual = np.asarray(solution.row_dual)
            worth, scarcity = dual[: len(demand)], dual[len(demand) :]
            reduced = scaled - worth[:, None] - load * scarcity
            reduced[self._known] = np.inf
            best = reduced.argmin(axis=1)
            wanted = np.flatnonzero(reduced[np.arange(len(best)), best] < -_TOLERANCE * dear)
            if not len(wanted):
                break
            self._add(wanted, best[wanted], scaled)
        values = np.asarray(solution.col_value)
        rows, columns = np.asarray(self._rows, dtype=np.int64), np.asarray(self._columns, dtype=np.int64)
        sent = values[len(demand) :]
        used = sent > 1e-12
        total = float((cost[rows[used], columns[used]] * sent[used]).sum())
        return Flow(
            rows[used],
            columns[used],
            sent[used],
            total,
            values[: len(demand)],
            np.maximum(-scarcity, 0.0) * unit,
            worth * unit,
            rounds,
        )

    def _begin(self, cost: Floats, load: Floats) -> None:
        """Rows, a column of unserved demand a class, and each class's cheapest sites."""
        classes, sites = cost.shape
        self._shape, self._load = cost.shape, load.copy()
        self._rows, self._columns = [], []
        self._known = ~np.isfinite(cost)
        lp = self._api.HighsLp()
        lp.num_row_, lp.num_col_ = classes + sites, classes
        lp.row_lower_ = np.concatenate((np.zeros(classes), np.full(sites, -self._api.kHighsInf)))
        lp.row_upper_ = np.zeros(classes + sites)
        lp.col_cost_, lp.col_lower_ = np.zeros(classes), np.zeros(classes)
        lp.col_upper_ = np.full(classes, self._api.kHighsInf)
        lp.a_matrix_.format_ = self._api.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.arange(classes + 1)
        lp.a_matrix_.index_, lp.a_matrix_.value_ = np.arange(classes), np.ones(classes)
        self._solver.passModel(lp)
        order = np.argsort(cost, axis=1, kind="stable")
        for k in range(min(FIRST, sites)):
            fits = np.flatnonzero(np.isfinite(cost[np.arange(classes), order[:, k]]))
            self._add(fits, order[fits, k], cost)

    def _refresh(self, cost: Floats, demand: Floats, capacity: Floats, dear: float) -> None:
        """New numbers in the same rows and columns: the last basis still stands."""
        classes, sites = cost.shape
        costs = np.concatenate((np.full(classes, dear), cost[self._rows, self._columns]))
        # A column that is no longer allowed is held at nothing.
        allowed = np.isfinite(costs)
        upper = np.where(allowed, self._api.kHighsInf, 0.0)
        every = np.arange(len(costs), dtype=np.int32)
        self._solver.changeColsCost(len(costs), every, np.where(allowed, costs, 0.0))
        self._solver.changeColsBounds(len(costs), every, np.zeros(len(costs)), upper)
        lower = np.concatenate((demand, np.full(sites, -self._api.kHighsInf)))
        rows = np.arange(classes + sites, dtype=np.int32)
        self._solver.changeRowsBounds(len(rows), rows, lower, np.concatenate((demand, capacity)))
        self._known = ~np.isfinite(cost)
        self._known[self._rows, self._columns] = True

    def _add(self, rows: NDArray[np.int64], columns: NDArray[np.int64], cost: Floats) -> None:
        if self._shape is None or not len(rows):
            return
        count, classes = len(rows), self._shape[0]
        index = np.empty(2 * count, dtype=np.int32)
        index[0::2], index[1::2] = rows, classes + columns
        value = np.ones(2 * count)
        value[1::2] = self._load[rows, columns]
        infinite = np.full(count, self._api.kHighsInf)
        starts = np.arange(0, 2 * count, 2, dtype=np.int32)
        self._solver.addCols(count, cost[rows, columns], np.zeros(count), infinite, 2 * count, starts, index, value)
        self._rows += rows.tolist()
        self._columns += columns.tolist()
        self._known[rows, columns] = True
