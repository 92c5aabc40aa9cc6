"""A joint plan as it is worked on: jobs seated where there is room, crowded in where there is none, and improved."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint.exact.clash import Clash, unproven
from heliotrope.plan.joint.exact.program import MOST_COLUMNS, NOTHING, Core, columns, core, cores_of, fit, zones_of
from heliotrope.plan.joint.problem import Floats, Ints, Problem
from heliotrope.plan.joint.seating import seat
from heliotrope.plan.joint.seating.crowd import crowd_in
from heliotrope.plan.joint.seating.repair import repair

# (weight of prices, how fast those of unused room sink), pass by pass: slowly where that costs little.
LAST = ((0.9, 0.0), (0.7, 0.0), (0.4, 0.0), (0.0, 0.0), (0.0, 0.0))
SLOWLY = tuple((1.0, float(push)) for push in np.geomspace(0.3, 0.03, 30)) + LAST
BRIEFLY = ((1.0, 0.3), (1.0, 0.1), (1.0, 0.05), (1.0, 0.02), (0.8, 0.0), (0.4, 0.0), (0.0, 0.0), (0.0, 0.0))
ONCE = ((1.0, 0.3), (0.9, 0.02), (0.0, 0.0))
# Above the first number of jobs passes are few; above the second one is worth less: single jobs hardly matter.
SOME, MANY = 20_000, 200_000
# Rounds of a first plan, rounds times jobs, and how much earlier a job comes that found no seat (log of its bulk).
MOST_ROUNDS, MOST_ROUNDS_OF_JOBS, EARLIER = 8, 400_000, 2.0
# Jobs and columns of a program that chooses for all jobs at once.
MOST_CHOSEN = 2000
# What a job laid by itself counts as having given way: others go first.
STAYS = 50
# Each job that makes others give way looks at all jobs; a thousand may, however many there are.
MOST_LOOKED_AT, MANY_TRIES = 250_000_000, 1000


class Packing:
    """Where each job sits, and how much of each cell is used."""

    def __init__(self, problem: Problem, price: Floats, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.price = price.copy()
        self.seats = problem.seats
        area = problem.fine_area
        self.ground = seat.Ground(problem.capacity, area, np.zeros_like(area), np.zeros((len(area), area.shape[1] - 1)))
        self.seating = seat.Seating(np.full(len(problem), -1, dtype=np.int64), np.zeros(len(problem), dtype=np.int64))

    def grams(self) -> float:
        return float(seat.carbon(self.seating, self.ground, self.seats))

    def settle(self, order: Ints, weight: float, push: float = 0.0) -> int:
        p = self.problem
        block = max(16, self.price.size // 10)
        push = push * p.mean_gram if push else 0.0
        return int(
            seat.settle(
                order, block, push, weight, self.seating, self.ground, self.seats, self.price, p.per_step, p.cell_s
            )
        )

    def first_plan(self, noise: float, *, exact: bool) -> None:
        """Bulky work with little freedom first; who finds no seat comes earlier in the next round.

        After the last round others give way.
        """
        seats = self.seats
        choices = seats.sets_ptr[seats.places + 1] - seats.sets_ptr[seats.places]
        freedom = choices * (1.0 + (seats.final - seats.first) / seats.cells)
        rank = np.log(seats.width * seats.cells / freedom) + self.rng.normal(0.0, noise, len(self.problem))
        usual = rank.copy()
        for _ in range(max(1, min(MOST_ROUNDS, MOST_ROUNDS_OF_JOBS // len(rank)))):
            self.seating.zone[:] = -1
            self.ground.used[:] = 0.0
            if self.settle(np.argsort(-rank), 1.0) == 0:
                return
            rank[self.seating.zone < 0] += EARLIER
        if exact:
            self._refuse(np.flatnonzero(rank > usual))
        self._make_room(exact=exact)

    def _refuse(self, hard: Ints) -> None:
        """Those who found no seat in some round are often too many by themselves: a small program says so at once."""
        for asked in cores_of(self.problem, hard.tolist()):
            few = Core(self.problem, asked.zones, np.intersect1d(asked.jobs, hard))
            if asked.whole or columns(few) > MOST_COLUMNS:
                continue
            found = fit(few, "rise")
            if found is not None and found.impossible:
                raise Clash(few, found)

    def _make_room(self, *, exact: bool) -> None:
        pushed = np.zeros(len(self.problem), dtype=np.int64)
        stuck = self._crowd(pushed)
        if not stuck:
            return
        if exact:
            if self._decide(stuck, pushed):
                return
            stuck = np.flatnonzero(self.seating.zone < 0).tolist()
            zone, start = self.seating
            if repair(self.problem, zone, start, self.ground.used, self.ground.area, stuck, self.rng):
                return
        raise unproven(self.problem, stuck)

    def _crowd(self, pushed: Ints) -> list[int]:
        """Seats who has no seat, where others must give way; who is left where that does not end."""
        seats = self.seats
        waiting = np.flatnonzero(self.seating.zone < 0).tolist()
        out = np.empty(len(self.problem), dtype=np.int64)
        tries = min(2000 + 100 * len(waiting), max(MANY_TRIES, MOST_LOOKED_AT // len(seats.first)))
        while waiting:
            j = waiting.pop()
            if self.settle(np.array([j]), 1.0) == 0:
                continue
            tries -= 1
            gone = int(crowd_in(j, self.seating, self.ground, seats, pushed, out)) if tries > 0 else -1
            if gone < 0:
                return [j, *waiting]
            pushed[j] += 1
            waiting += sorted(out[:gone].tolist(), key=lambda i: float(seats.width[i] * seats.cells[i]))
        return []

    def _decide(self, stuck: list[int], pushed: Ints) -> bool:
        """Lays those who may run only where the stuck may, alone; raises `Clash` where even they do not fit.

        Zones are looked at one set at a time, then together with those where jobs are still stuck.
        """
        cores = cores_of(self.problem, stuck)
        while cores:
            asked = cores.pop(0)
            laid = self._lay(asked)
            if laid is None:
                continue
            self._reseat(asked, *laid)
            pushed[asked.jobs] += STAYS
            stuck = self._crowd(pushed)
            if not stuck:
                return True
            if not cores and not asked.whole:
                zones = np.union1d(asked.zones, zones_of(self.problem, stuck))
                if len(zones) > len(asked.zones):
                    cores = [core(self.problem, zones)]
        return False

    def _lay(self, asked: Core) -> tuple[Ints, Ints] | None:
        """Zone and start of each job of the core in empty zones; None where neither a plan nor a proof was found."""
        alone = Packing(self.problem.only(asked.jobs), self.price, self.rng)
        if not asked.whole:
            with suppress(Infeasible):
                alone.first_plan(0.0, exact=False)
                return alone.seating
        if columns(asked) > MOST_COLUMNS:
            return None
        found = fit(asked, "rise")
        if found is None or (found.extra > NOTHING and not found.impossible):
            return None
        if found.impossible:
            raise Clash(asked, found)
        return found.zone, found.start

    def _reseat(self, asked: Core, zone: Ints, start: Ints) -> None:
        """The core sits as laid; all others of its zones find seats around it."""
        moved = np.union1d(asked.jobs, np.flatnonzero(np.isin(self.seating.zone, asked.zones)))
        for j in moved[self.seating.zone[moved] >= 0].tolist():
            seat.take(self.ground, self.seats, j, self.seating.zone[j], self.seating.start[j], -1.0)
        self.seating.zone[moved] = -1
        self.seating.zone[asked.jobs], self.seating.start[asked.jobs] = zone, start
        for j in asked.jobs.tolist():
            seat.take(self.ground, self.seats, j, self.seating.zone[j], self.seating.start[j], 1.0)
        others = np.setdiff1d(moved, asked.jobs)
        self.settle(others[np.argsort(-(self.seats.width * self.seats.cells)[others])], 1.0)

    def polish(self) -> None:
        """Reseats every job, pass by pass: prices of unused room sink, then grams alone count."""
        jobs = len(self.problem)
        passes = SLOWLY if jobs <= SOME else BRIEFLY if jobs <= MANY else ONCE
        for weight, push in passes:
            self.settle(self.rng.permutation(len(self.problem)), weight, push)

    def choose_exactly(self) -> None:
        """All jobs of a small problem at once, by a program: what single jobs' changes never find."""
        if len(self.problem) > MOST_CHOSEN:
            return
        everything = core(self.problem, np.arange(len(self.problem.capacity)))
        found = fit(everything, "grams") if columns(everything) <= MOST_CHOSEN else None
        if found is None:
            return
        zone, start, before = *(column.copy() for column in self.seating), self.grams()
        self._seat_all(found.zone, found.start)
        if self.grams() > before:
            self._seat_all(zone, start)

    def _seat_all(self, zone: Ints, start: Ints) -> None:
        self.ground.used[:] = 0.0
        self.seating.zone[:], self.seating.start[:] = zone, start
        for j in range(len(zone)):
            seat.take(self.ground, self.seats, j, zone[j], start[j], 1.0)
