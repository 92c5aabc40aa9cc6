"""Plans many jobs under one capacity: prices first, then a plan that holds, then better plans until time is up."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint import dual
from heliotrope.plan.joint.exact.clash import Clash, unproven
from heliotrope.plan.joint.exact.relax import explained, refuse_overload
from heliotrope.plan.joint.packing import Packing
from heliotrope.plan.joint.pauses.pausing import Laid, least, paused, slots
from heliotrope.plan.joint.pauses.pieces import cells_of
from heliotrope.plan.joint.problem import Flags, Floats, Ints, Problem
from heliotrope.plan.joint.seating import trade
from heliotrope.plan.joint.seating.better import improve
from heliotrope.plan.kernels.shapes import Slots

# Jobs whose answers shape the prices, first roughly, then before all jobs are asked; capacity is scaled with them.
FEW, SAMPLE = 20_000, 60_000
ROUGH_PASSES, FINE_PASSES = 24, 10
MOST_FINE_PRICES = 200_000
# Up to so many jobs a second order is tried: single jobs matter there.
FEWER = 80_000


class JointPlan(msgspec.Struct, frozen=True, eq=False):
    """`slots`: when each job runs. `price[z, k]`: grams a device-second costs there, the certificate.

    No plan that keeps the limits is below `bound_g`; `gap` = (carbon - bound) / bound.
    """

    slots: Slots
    price: Floats
    carbon_g: float
    bound_g: float

    @property
    def zone(self) -> Ints:
        """Of each job: all its slots lie in one."""
        return self.slots.zone[self._first].astype(np.int64)

    @property
    def start_s(self) -> Floats:
        """When each job starts first."""
        return self.slots.start_s[self._first]

    @property
    def _first(self) -> Ints:
        return np.flatnonzero(np.diff(self.slots.job, prepend=-1))

    @property
    def gap(self) -> float:
        return (self.carbon_g - self.bound_g) / self.bound_g if self.bound_g > 0 else 0.0


def solve(problem: Problem, *, goal: float = 5e-4, seed: int = 0) -> JointPlan:
    """Stops at a gap of `goal` or after a fixed amount of work, never by the clock: one seed, one plan.

    Work that may pause is first seated in one piece like all other.
    """
    rng = np.random.default_rng(seed)
    trade.reseed(seed)
    refuse_overload(problem)
    pausable = problem.pausable
    problem, price, bound_g = _prices(msgspec.structs.replace(problem, pausable=np.zeros_like(pausable)), rng, goal)
    try:
        best = _unbroken(problem, price, bound_g * (1 + goal), rng)
    except Infeasible as error:
        if not _may_pausing_help(pausable, error):
            raise
        best = Packing(problem, price, rng)
    if not pausable.any():
        laid = Laid(best.seating, cells_of(problem, best.seating), best.grams())
        return JointPlan(slots(problem, laid), price, laid.carbon_g, bound_g)
    problem = msgspec.structs.replace(problem, pausable=pausable)
    found = paused(problem, best, price)
    if found is None:
        raise unproven(problem, np.flatnonzero(best.seating.zone < 0).tolist())
    return JointPlan(slots(problem, found), price, found.carbon_g, bound(problem, price))


def _may_pausing_help(pausable: Flags, error: Infeasible) -> bool:
    """Not where jobs that may not pause clash among themselves."""
    among = error.core.jobs if isinstance(error, Clash) else slice(None)
    return bool(pausable[among].any())


def _unbroken(problem: Problem, price: Floats, enough_g: float, rng: np.random.Generator) -> Packing:
    """Every job in one piece."""
    best = _best_plan(problem, price, rng)
    improve(best, price, enough_g)
    if best.grams() > enough_g:
        best.choose_exactly()
    return best


def _best_plan(problem: Problem, price: Floats, rng: np.random.Generator) -> Packing:
    """Of two orders the one that packs better: the second may strand wide work, the first never does."""
    sure, other = (Packing(problem, price, its) for its in rng.spawn(2))
    try:
        sure.first_plan(0.0, exact=True)
    except Clash as clash:
        raise explained(clash, price, rng) from None
    seed = int(rng.integers(2**31))

    def again() -> Packing:
        trade.reseed(seed)
        other.first_plan(0.3, exact=False)
        other.polish()
        return other

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(again) if len(problem) <= FEWER else None
        sure.polish()
        if second is not None:
            with suppress(Infeasible):
                return min(sure, second.result(), key=Packing.grams)
    return sure


def bound(problem: Problem, price: Floats) -> float:
    """L(price), on every core; valid for any price of at least 0."""
    pausing = np.flatnonzero(problem.pausable)
    if len(pausing):
        others = problem.only(np.flatnonzero(~problem.pausable))
        return least(problem, price, pausing) + bound(others, price)
    return _bound(problem, price)


def _bound(problem: Problem, price: Floats) -> float:
    """Of jobs in one piece."""
    priced = np.zeros((price.shape[0], price.shape[1] + 1))
    np.cumsum(price * problem.step_s, axis=1, out=priced[:, 1:])
    workers = os.cpu_count() or 1
    edges = np.linspace(0, len(problem), 4 * workers + 1).astype(np.int64)
    area = problem.area

    def part(i: int) -> float:
        curve = np.empty(area.shape[1])
        return float(dual.least(area, priced, problem.step_s, edges[i], edges[i + 1], problem.asks, curve))

    with ThreadPoolExecutor(workers) as pool:
        answers = sum(pool.map(part, range(len(edges) - 1)))
    return answers - float(problem.capacity @ price.sum(axis=1)) * problem.step_s


def _prices(problem: Problem, rng: np.random.Generator, goal: float) -> tuple[Problem, Floats, float]:
    """Prices by step first, then by cell: work that fills a part of an hour leaves the rest of it cheap.

    Returns the problem at the resolution of the prices, the best average price and its bound.
    """
    price = np.zeros(problem.values.shape)
    for push in np.geomspace(1.0, 0.02, ROUGH_PASSES):
        price = _pass(problem, price, push, rng, FEW if push > 0.1 else SAMPLE)[0]
    fine = problem.by_cell
    if fine.values.size <= MOST_FINE_PRICES and fine is not problem:
        price, problem = np.repeat(price, problem.per_step, axis=1), fine
    best_price, best, stale = price, bound(problem, price), 0
    sampled = len(problem) > 2 * SAMPLE
    for i, push in enumerate(np.geomspace(0.05, 0.003, FINE_PASSES)):
        last = i >= FINE_PASSES - 2
        price, mean = _pass(problem, price, push, rng, SAMPLE if sampled and not last else len(problem))
        if (sampled and not last) or i < FINE_PASSES - 4:
            continue
        found = bound(problem, mean)
        stale = 0 if found > best * (1 + goal / 20) else stale + 1
        if found > best:
            best, best_price = found, mean
        if stale > 2:
            break
    return problem, best_price, best


def _pass(problem: Problem, price: Floats, push: float, rng: np.random.Generator, most: int) -> tuple[Floats, Floats]:
    """One pass over all jobs in random order, or over `most` of them with room scaled alike."""
    order, capacity = rng.permutation(len(problem)), problem.capacity
    if len(problem) > most:
        order = order[:most]
        work = problem.width * problem.length
        capacity = capacity * (work[order].sum() / work.sum())
    price, mean = price.copy(), np.zeros_like(price)
    block = max(16, price.size // 50)
    dual.ascend(
        problem.area,
        price,
        mean,
        np.repeat(capacity[:, None], price.shape[1], axis=1),
        problem.step_s,
        push * problem.mean_gram,
        order,
        block,
        problem.asks,
        np.zeros((price.shape[0], price.shape[1] + 1)),
        np.empty(price.shape[1] + 1),
    )
    return price, mean
