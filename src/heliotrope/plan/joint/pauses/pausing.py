"""A plan in which those who may pause do so where that saves: never worse than the plan in which nobody does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint.packing import MOST_ROUNDS, Packing
from heliotrope.plan.joint.pauses import pieces
from heliotrope.plan.joint.pauses.pieces import Cells, Choice
from heliotrope.plan.joint.problem import Floats, Ints, Problem
from heliotrope.plan.joint.seating import seat
from heliotrope.plan.kernels.shapes import Slots

# Weights of the prices, pass by pass; how much earlier a job comes that found no room (log of its bulk).
WEIGHTS = (1.0, 1.0, 0.9, 0.7, 0.4, 0.0, 0.0, 0.0)
EARLIER = 2.0


class Laid(NamedTuple):
    """Every job in a place: in one piece, or on the cells it holds."""

    seating: seat.Seating
    cells: Cells
    carbon_g: float


def least(problem: Problem, price: Floats, jobs: Ints) -> float:
    """Sum of the least grams and prices of jobs that may pause."""
    priced = np.zeros((price.shape[0], price.shape[1] + 1))
    np.cumsum(price * problem.step_s, axis=1, out=priced[:, 1:])
    choice = Choice.of(price.shape[1])
    return float(pieces.fluid_sum(problem.area, priced, problem.step_s, problem.asks, jobs, choice))


def paused(problem: Problem, plan: Packing, price: Floats) -> Laid | None:
    """The better of two: from `plan` on by grams alone, and by prices first; None where some job finds no room.

    Where `plan` has no place for some job, all are laid anew.
    """
    by_cell = np.repeat(price, problem.per_step, axis=1) * problem.cell_s
    plan.ground.priced[:, 1:] = np.cumsum(by_cell, axis=1)
    if (plan.seating.zone < 0).any():
        found = _from_nothing(problem, plan)
        return None if found is None else _passes(plan, found, WEIGHTS)
    begun = pieces.cells_of(problem, plan.seating)
    tries = [_passes(plan, begun, weights) for weights in ((0.0, 0.0), WEIGHTS)]
    return min(tries, key=lambda laid: laid.carbon_g)


def _passes(plan: Packing, begun: Cells, weights: tuple[float, ...]) -> Laid:
    """Reseats every job, pass by pass; nobody is left without room who had some."""
    seating = seat.Seating(plan.seating.zone.copy(), plan.seating.start.copy())
    cells = begun._replace(cell=begun.cell.copy())
    ground = plan.ground._replace(used=plan.ground.used.copy())
    choice = Choice.of(ground.used.shape[1])
    rng = np.random.default_rng(0)
    for weight in weights:
        pieces.settle(rng.permutation(len(seating.zone)), weight, seating, ground, plan.seats, cells, choice)
    return Laid(seating, cells, float(pieces.carbon(seating, ground, plan.seats, cells)))


def _from_nothing(problem: Problem, plan: Packing) -> Cells | None:
    """All jobs laid in pieces from the start, bulk over freedom first; who finds no room comes earlier next time."""
    seats = plan.seats
    plan.seating.start[:] = 0
    cells = pieces.cells_of(problem, plan.seating)
    choices = seats.sets_ptr[seats.places + 1] - seats.sets_ptr[seats.places]
    rank = np.log(seats.width * seats.cells / (choices * (1.0 + (seats.final - seats.first) / seats.cells)))
    rank[np.diff(cells.begin) == 0] += EARLIER
    choice = Choice.of(plan.ground.used.shape[1])
    for _ in range(MOST_ROUNDS):
        plan.seating.zone[:] = -1
        plan.ground.used[:] = 0.0
        if pieces.settle(np.argsort(-rank), 1.0, plan.seating, plan.ground, seats, cells, choice) == 0:
            return cells
        rank[plan.seating.zone < 0] += EARLIER
    return None


def slots(problem: Problem, laid: Laid) -> Slots:
    """When each job runs: by job, then time; cells that follow one another are one slot."""
    seats, cells, cell_s = problem.seats, laid.cells, problem.cell_s
    held = np.diff(cells.begin)
    whole = np.flatnonzero(held == 0)
    owner = np.repeat(np.arange(len(problem)), held)
    part = np.ones(len(owner))
    part[cells.begin[1:][held > 0] - 1] = cells.part[held > 0]
    order = np.lexsort((cells.cell, owner))
    job, cell, part = owner[order], cells.cell[order], part[order]
    follows, leads = np.zeros((2, len(job)), dtype=bool)
    follows[1:] = (job[1:] == job[:-1]) & (cell[1:] == cell[:-1] + 1)
    leads[:-1] = follows[1:]
    # A cell used in part is used at the end that touches the rest.
    late = np.where(leads & ~follows, 1.0 - part, 0.0)
    begin, end = (cell + late) * cell_s, (cell + late + part) * cell_s
    new = ~follows
    new[1:] |= np.abs(begin[1:] - end[:-1]) > cell_s * 1e-6
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(job)) - 1 if len(job) else first
    start_s = (laid.seating.start + seats.head)[whole] * cell_s
    jobs = np.concatenate([job[first], whole])
    begins, ends = np.concatenate([begin[first], start_s]), np.concatenate([end[last], start_s + problem.length[whole]])
    by_time = np.lexsort((begins, jobs))
    jobs = jobs[by_time].astype(np.int32)
    return Slots(jobs, laid.seating.zone[jobs].astype(np.int32), begins[by_time], ends[by_time])
