"""Work that may pause, in a plan with others: it holds the cheapest cells that have room, one after the other or not.

A pause costs nothing but time. All cells of a job lie in one zone; the dearest of them is used in part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint.problem import Asks, Floats, Ints, Problem, Seats
from heliotrope.plan.joint.seating import seat
from heliotrope.plan.kernels.jit import compiled

DUST = 1e-9  # of a cell
ROUNDING = 1e-12  # of a length: what a sum of steps may lack


class Choice(NamedTuple):
    """Scratch: what each step of a window costs a second, how long it may be used, and the steps in some order."""

    cost: Floats
    size: Floats
    order: Ints
    best: Ints

    @classmethod
    def of(cls, steps: int) -> Choice:
        order, best = (np.empty(steps, dtype=np.int64) for _ in range(2))
        return cls(np.empty(steps), np.empty(steps), order, best)


class Cells(NamedTuple):
    """Job j holds `cell[begin[j] : begin[j + 1]]` of its zone, the last of them only for `part[j]` of its length; none
    where it may not pause. `first[j]`, `until[j]`: the cells that lie wholly within its window.
    """

    cell: Ints
    begin: Ints
    part: Floats
    first: Ints
    until: Ints


@compiled
def cheapest(choice: Choice, steps: int, need: float) -> tuple[int, float]:
    """Puts the cheapest steps that are `need` long together to the front of `order`: how many, and their cost.

    The last of them is the dearest, and is used in part. The cost is infinite where all steps are too short.
    """
    cost, size, order = choice.cost, choice.size, choice.order
    low, high, total = 0, steps, 0.0
    while low < high:
        pivot = cost[order[(low + high) // 2]]
        less, more, i = low, high, low
        shorter = equal = spent = 0.0
        while i < more:
            s = order[i]
            if cost[s] < pivot:
                order[i], order[less] = order[less], s
                shorter += size[s]
                spent += size[s] * cost[s]
                less += 1
                i += 1
            elif cost[s] > pivot:
                more -= 1
                order[i], order[more] = order[more], s
            else:
                equal += size[s]
                i += 1
        if shorter >= need:
            high = less
            continue
        total += spent
        need -= shorter
        if equal >= need:
            i = less
            while size[order[i]] < need:
                need -= size[order[i]]
                total += size[order[i]] * cost[order[i]]
                i += 1
            return i + 1, total + need * cost[order[i]]
        total += equal * pivot
        need -= equal
        low = more
    return steps, np.inf


@compiled
def fluid(area: Floats, priced: Floats, step: float, asks: Asks, j: int, choice: Choice) -> float:
    """Least grams and price of job `j` in pieces, in the cheapest zone; no plan has it for less."""
    begin, length = asks.release[j], asks.length[j]
    end = asks.latest[j] + length
    first = int(begin / step + DUST)
    count = min(int(np.ceil(end / step - DUST)), area.shape[1] - 1) - first
    best = np.inf
    for index in range(asks.sets_ptr[asks.places[j]], asks.sets_ptr[asks.places[j] + 1]):
        z = asks.sets[index]
        for i in range(count):
            k = first + i
            paid = asks.grams[j] * (area[z, k + 1] - area[z, k]) + asks.width[j] * (priced[z, k + 1] - priced[z, k])
            choice.cost[i] = paid / step
            choice.size[i] = min(end, (k + 1) * step) - max(begin, k * step)
            choice.order[i] = i
        _, cost = cheapest(choice, count, length * (1.0 - ROUNDING))
        best = min(best, cost)
    return best


@compiled
def fluid_sum(area: Floats, priced: Floats, step: float, asks: Asks, jobs: Ints, choice: Choice) -> float:
    total = 0.0
    for j in jobs:
        total += fluid(area, priced, step, asks, j, choice)
    return total


@compiled
def hold(ground: seat.Ground, seats: Seats, cells: Cells, j: int, z: int, sign: float) -> None:
    for i in range(cells.begin[j], cells.begin[j + 1]):
        ground.used[z, cells.cell[i]] += sign * seats.width[j]


@compiled
def find(ground: seat.Ground, seats: Seats, cells: Cells, j: int, weight: float, choice: Choice) -> int:
    """Writes the cheapest cells with room for job `j`, by grams + weight · price: their zone, -1 for none."""
    n = cells.begin[j + 1] - cells.begin[j]
    best, best_z = np.inf, -1
    for index in range(seats.sets_ptr[seats.places[j]], seats.sets_ptr[seats.places[j] + 1]):
        z = seats.sets[index]
        limit = ground.capacity[z] - seats.width[j] + seat.ROOM
        free = 0
        for k in range(cells.first[j], cells.until[j]):
            if ground.used[z, k] <= limit:
                held = ground.priced[z, k + 1] - ground.priced[z, k]
                grams = seats.grams[j] * (ground.area[z, k + 1] - ground.area[z, k])
                choice.cost[k], choice.size[k] = grams + weight * seats.width[j] * held, 1.0
                choice.order[free] = k
                free += 1
        if free < n:
            continue
        _, cost = cheapest(choice, free, n - 1 + cells.part[j])
        if cost < best:
            best, best_z = cost, z
            for i in range(n):
                choice.best[i] = choice.order[i]
    if best_z >= 0:
        for i in range(n):
            cells.cell[cells.begin[j] + i] = choice.best[i]
    return best_z


@compiled
def settle(
    order: Ints,
    weight: float,
    seating: seat.Seating,
    ground: seat.Ground,
    seats: Seats,
    cells: Cells,
    choice: Choice,
) -> int:
    """Takes each job of `order` out, if it is in, and lays it anew, in pieces if it may pause; how many without."""
    without = 0
    for j in order:
        home, pauses = seating.zone[j], cells.begin[j + 1] > cells.begin[j]
        if home >= 0 and pauses:
            hold(ground, seats, cells, j, home, -1.0)
        elif home >= 0:
            seat.take(ground, seats, j, home, seating.start[j], -1.0)
        if pauses:
            z = find(ground, seats, cells, j, weight, choice)
            if z >= 0:
                hold(ground, seats, cells, j, z, 1.0)
        else:
            _, z, k = seat.best_seat(ground, seats, j, weight, 0, ground.used.shape[1])
            seating.start[j] = k
            if z >= 0:
                seat.take(ground, seats, j, z, k, 1.0)
        seating.zone[j] = z
        without += z < 0
    return without


@compiled
def carbon(seating: seat.Seating, ground: seat.Ground, seats: Seats, cells: Cells) -> float:
    """Grams of all jobs, each of which has a place."""
    total = 0.0
    for j in range(len(seating.zone)):
        z, begin, end = seating.zone[j], cells.begin[j], cells.begin[j + 1]
        if begin == end:
            total += seat.emitted(ground, seats, j, z, seating.start[j])
        for i in range(begin, end):
            k, part = cells.cell[i], cells.part[j] if i == end - 1 else 1.0
            total += part * seats.grams[j] * (ground.area[z, k + 1] - ground.area[z, k])
    return total


def cells_of(problem: Problem, seating: seat.Seating) -> Cells:
    """The same places as cells, for all that may pause and whose window holds cells enough."""
    seats, cell_s = problem.seats, problem.cell_s
    first = np.ceil(problem.release / cell_s - DUST).astype(np.int64)
    until = np.floor((problem.latest + problem.length) / cell_s + DUST).astype(np.int64)
    until = np.minimum(until, problem.values.shape[1] * problem.per_step)
    able = problem.pausable & (seats.head == 0.0) & (until - first >= seats.cells)
    begin = np.concatenate([[0], np.cumsum(np.where(able, seats.cells, 0))])
    held = np.flatnonzero(able)
    within = np.arange(begin[-1]) - np.repeat(begin[held], seats.cells[held])
    return Cells(np.repeat(seating.start[held], seats.cells[held]) + within, begin, seats.tail.copy(), first, until)
