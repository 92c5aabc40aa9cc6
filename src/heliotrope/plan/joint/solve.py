"""Plans many jobs under one capacity: prices first, then a plan that holds, then better plans until time is up."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint import dual, primal
from heliotrope.plan.joint.problem import Floats, Ints, Problem
from heliotrope.plan.joint.repair import repair

# Jobs whose answers shape the prices before all jobs are asked; capacity is scaled with them.
SAMPLE = 60_000
ROUGH_PASSES, FINE_PASSES = 24, 10
MOST_FINE_PRICES = 200_000
# (weight of prices, how fast those of unused room sink), pass by pass.
POLISH = ((1.0, 0.3), (1.0, 0.1), (0.9, 0.02), (0.7, 0.0), (0.0, 0.0), (0.0, 0.0))
# Small problems are packed anew in other orders: wide jobs weigh more there.
MOST_RESTARTS, RESTARTED_JOBS = 8, 80_000
# Above this a pass is worth less: single jobs hardly matter.
MANY = 50_000
TRADES, TRADES_AT_ONCE = 20_000, 2000


class JointPlan(msgspec.Struct, frozen=True, eq=False):
    """Job j runs in `zone[j]` from `start_s[j]`. `price[z, k]`: grams a device-second costs there, the certificate.

    No plan that keeps the limits is below `bound_g`; `gap` = (carbon - bound) / bound.
    """

    zone: Ints
    start_s: Floats
    price: Floats
    carbon_g: float
    bound_g: float

    @property
    def gap(self) -> float:
        return (self.carbon_g - self.bound_g) / self.bound_g if self.bound_g > 0 else 0.0


def solve(problem: Problem, *, goal: float = 5e-4, seed: int = 0) -> JointPlan:
    """Stops at a gap of `goal` or after a fixed amount of work, never by the clock: one seed, one plan."""
    rng = np.random.default_rng(seed)
    primal.reseed(seed)
    problem, price, bound_g = _prices(problem, rng, goal)
    best = _plan(problem, price, rng, 0.0)
    for _ in range(min(MOST_RESTARTS, RESTARTED_JOBS // len(problem))):
        if best.grams() <= bound_g * (1 + goal):
            break
        # Another order packs wide work differently; where room is scarce it may strand some.
        with suppress(Infeasible):
            best = min(best, _plan(problem, price, rng, 0.3, exact=False), key=_Seating.grams)
    if len(problem) <= RESTARTED_JOBS:
        best.trade(bound_g * (1 + goal), min(TRADES, 4 * len(problem)))
    return JointPlan(
        zone=best.zone,
        start_s=(best.start + problem.seats[3]) * problem.cell_s,
        price=price,
        carbon_g=best.grams(),
        bound_g=bound_g,
    )


def _plan(problem: Problem, price: Floats, rng: np.random.Generator, noise: float, *, exact: bool = True) -> _Seating:
    seating = _Seating(problem, price, rng)
    seating.first_plan(noise, exact=exact)
    seating.polish()
    return seating


def bound(problem: Problem, price: Floats) -> float:
    """L(price), on every core; valid for any price of at least 0."""
    priced = np.zeros((price.shape[0], price.shape[1] + 1))
    np.cumsum(price * problem.step_s, axis=1, out=priced[:, 1:])
    workers = os.cpu_count() or 1
    edges = np.linspace(0, len(problem), 4 * workers + 1).astype(np.int64)
    area = problem.area

    def part(i: int) -> float:
        return float(dual.least(area, priced, problem.step_s, edges[i], edges[i + 1], *problem.columns))

    with ThreadPoolExecutor(workers) as pool:
        answers = sum(pool.map(part, range(len(edges) - 1)))
    return answers - float(problem.capacity @ price.sum(axis=1)) * problem.step_s


def _prices(problem: Problem, rng: np.random.Generator, goal: float) -> tuple[Problem, Floats, float]:
    """Prices by step first, then by cell: work that fills a part of an hour leaves the rest of it cheap.

    Returns the problem at the resolution of the prices, the best average price and its bound.
    """
    price = np.zeros(problem.values.shape)
    for push in np.geomspace(1.0, 0.02, ROUGH_PASSES):
        price = _pass(problem, price, push, rng)[0]
    fine = problem.by_cell
    if fine.values.size <= MOST_FINE_PRICES and fine is not problem:
        price, problem = np.repeat(price, problem.per_step, axis=1), fine
    best_price, best, stale = price, bound(problem, price), 0
    whole = len(problem) > 2 * SAMPLE
    for i, push in enumerate(np.geomspace(0.05, 0.003, FINE_PASSES)):
        last = i >= FINE_PASSES - 2
        price, mean = _pass(problem, price, push, rng, whole=last)
        if (whole and not last) or i < FINE_PASSES - 4:
            continue
        found = bound(problem, mean)
        stale = 0 if found > best * (1 + goal / 20) else stale + 1
        if found > best:
            best, best_price = found, mean
        if stale > 2:
            break
    return problem, best_price, best


def _pass(
    problem: Problem, price: Floats, push: float, rng: np.random.Generator, *, whole: bool = False
) -> tuple[Floats, Floats]:
    """One pass over all jobs in random order, or over a sample of them with room scaled alike."""
    order, capacity = rng.permutation(len(problem)), problem.capacity
    if len(problem) > 2 * SAMPLE and not whole:
        order = order[:SAMPLE]
        work = problem.width * problem.length
        capacity = capacity * (work[order].sum() / work.sum())
    price, mean = price.copy(), np.zeros_like(price)
    block = max(16, price.size // 50)
    dual.ascend(
        problem.area, price, mean, capacity, problem.step_s, push * problem.mean_gram, order, block, *problem.columns
    )
    return price, mean


class _Seating:
    """A plan as it is worked on: where each job sits, and how much of each cell is used."""

    def __init__(self, problem: Problem, price: Floats, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.price = price.copy()
        self.area = problem.fine_area
        self.used = np.zeros((price.shape[0], price.shape[1] * problem.per_step))
        self.seats = problem.seats
        self.zone = np.full(len(problem), -1, dtype=np.int64)
        self.start = np.zeros(len(problem), dtype=np.int64)

    def grams(self) -> float:
        _, _, cells, head, tail, _, grams, *_ = self.seats
        return float(primal.carbon(self.zone, self.start, self.area, cells, head, tail, grams))

    def settle(self, order: Ints, weight: float, push: float = 0.0) -> int:
        p = self.problem
        block = max(16, self.price.size // 10)
        return int(
            primal.settle(
                order,
                block,
                push * p.mean_gram,
                self.zone,
                self.start,
                self.used,
                p.capacity,
                self.area,
                self.price,
                p.per_step,
                p.cell_s,
                weight,
                *self.seats,
            )
        )

    def first_plan(self, noise: float, *, exact: bool) -> None:
        """Bulky work with little freedom first; who finds no seat makes others give way."""
        p = self.problem
        first, final, cells = self.seats[:3]
        choices = p.sets_ptr[p.places + 1] - p.sets_ptr[p.places]
        freedom = choices * (1.0 + (final - first) / cells)
        rank = np.log(p.width * cells / freedom) + self.rng.normal(0.0, noise, len(p))
        self.settle(np.argsort(-rank), 1.0)
        self._make_room(exact=exact)

    def _make_room(self, *, exact: bool) -> None:
        p = self.problem
        waiting = np.flatnonzero(self.zone < 0).tolist()
        pushed = np.zeros(len(p), dtype=np.int64)
        out = np.empty(len(p), dtype=np.int64)
        first, final, cells, _, _, width, _, places, sets, sets_ptr = self.seats
        tries = 2000 + 100 * len(waiting)
        while waiting:
            j = waiting.pop()
            if self.settle(np.array([j]), 1.0) == 0:
                continue
            tries -= 1
            gone = -1
            if tries > 0:
                gone = primal.crowd_in(
                    j,
                    self.zone,
                    self.start,
                    pushed,
                    self.used,
                    p.capacity,
                    out,
                    first,
                    final,
                    cells,
                    width,
                    places,
                    sets,
                    sets_ptr,
                )
            if gone < 0:
                stuck = [j, *waiting]
                if not exact or not repair(p, self.zone, self.start, self.used, self.area, stuck, self.rng):
                    raise self._no_room(len(stuck), j)
                return
            pushed[j] += 1
            waiting += sorted(out[:gone].tolist(), key=lambda i: float(width[i] * cells[i]))

    def _no_room(self, left: int, j: int) -> Infeasible:
        p = self.problem
        return Infeasible(
            f"{left} of {len(p)} jobs find no room",
            cause=f"the jobs fill {p.load:.1%} of all devices, and some hours or zones more than that; "
            f"one that is left: row {j}, {p.width[j]:g} devices for {p.length[j]:g} s",
            hint="more capacity, later deadlines or more zones for the wide jobs",
        )

    def polish(self) -> None:
        """Reseats every job, pass by pass: prices of unused room sink, then grams alone count."""
        for weight, push in POLISH if len(self.problem) <= MANY else POLISH[::2]:
            self.settle(self.rng.permutation(len(self.problem)), weight, push)

    def trade(self, enough_g: float, rounds: int) -> None:
        """Jobs change places where that saves grams, in small groups."""
        p = self.problem
        by_zone, ptr = self._by_zone()
        first, final, cells = self.seats[:3]
        widest = int((final - first + cells).max())
        priced = np.zeros((self.used.shape[0], self.used.shape[1] + 1))
        np.cumsum(np.repeat(self.price, p.per_step, axis=1) * p.cell_s, axis=1, out=priced[:, 1:])
        for _ in range(0, rounds, TRADES_AT_ONCE):
            if self.grams() <= enough_g:
                return
            primal.trade(
                TRADES_AT_ONCE,
                24,
                widest,
                self.zone,
                self.start,
                self.used,
                p.capacity,
                self.area,
                priced,
                by_zone,
                ptr,
                *self.seats,
            )

    def _by_zone(self) -> tuple[Ints, Ints]:
        p = self.problem
        rows, ptr = [], [0]
        order = np.argsort(p.release, kind="stable")
        for z in range(len(p.capacity)):
            allowed = np.array(
                [z in p.sets[p.sets_ptr[s] : p.sets_ptr[s + 1]] for s in range(len(p.sets_ptr) - 1)], dtype=bool
            )
            rows.append(order[allowed[p.places[order]]])
            ptr.append(ptr[-1] + len(rows[-1]))
        return np.concatenate(rows), np.array(ptr, dtype=np.int64)
