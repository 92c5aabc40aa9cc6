"""A joint plan as it is worked on: jobs seated where there is room, crowded in where there is none, and improved."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint import seat
from heliotrope.plan.joint.clash import Clash, unproven
from heliotrope.plan.joint.problem import Floats, Ints, Problem
from heliotrope.plan.joint.program import MOST_COLUMNS, NOTHING, Core, columns, core, cores_of, fit, zones_of
from heliotrope.plan.joint.repair import repair
from heliotrope.plan.joint.trade import ByZone, Scratch, crowd_in
from heliotrope.plan.joint.trade import trade as change_places

# (weight of prices, how fast those of unused room sink), pass by pass: slowly where that costs little.
LAST = ((0.9, 0.0), (0.7, 0.0), (0.4, 0.0), (0.0, 0.0), (0.0, 0.0))
SLOWLY = tuple((1.0, float(push)) for push in np.geomspace(0.3, 0.03, 60)) + LAST
BRIEFLY = ((1.0, 0.3), (1.0, 0.1), (0.9, 0.02), (0.7, 0.0), (0.0, 0.0), (0.0, 0.0))
# Above the first number of jobs passes are few; above the second one is worth less: single jobs hardly matter.
SOME, MANY = 20_000, 50_000
TRADES_AT_ONCE, MOST_GIVE_WAY = 2000, 24
# What a job laid by itself counts as having given way: others go first.
STAYS = 50
# Each job that makes others give way looks at all jobs.
MOST_LOOKED_AT = 10**9


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
        push *= p.mean_gram
        return int(
            seat.settle(
                order, block, push, weight, self.seating, self.ground, self.seats, self.price, p.per_step, p.cell_s
            )
        )

    def first_plan(self, noise: float, *, exact: bool) -> None:
        """Bulky work with little freedom first; who finds no seat makes others give way."""
        seats = self.seats
        choices = seats.sets_ptr[seats.places + 1] - seats.sets_ptr[seats.places]
        freedom = choices * (1.0 + (seats.final - seats.first) / seats.cells)
        rank = np.log(seats.width * seats.cells / freedom) + self.rng.normal(0.0, noise, len(self.problem))
        self.settle(np.argsort(-rank), 1.0)
        self._make_room(exact=exact)

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
        tries = min(2000 + 100 * len(waiting), MOST_LOOKED_AT // len(seats.first))
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
        passes = SLOWLY if jobs <= SOME else BRIEFLY if jobs <= MANY else BRIEFLY[::2]
        for weight, push in passes:
            self.settle(self.rng.permutation(len(self.problem)), weight, push)

    def trade(self, enough_g: float, rounds: int) -> None:
        """Jobs change places where that saves grams, in small groups."""
        p = self.problem
        by_zone, scratch = self._by_zone(), Scratch.of(MOST_GIVE_WAY)
        priced = np.cumsum(np.repeat(self.price, p.per_step, axis=1) * p.cell_s, axis=1)
        self.ground.priced[:, 1:] = priced
        for _ in range(0, rounds, TRADES_AT_ONCE):
            if self.grams() <= enough_g:
                return
            change_places(TRADES_AT_ONCE, self.seating, self.ground, self.seats, by_zone, scratch)

    def _by_zone(self) -> ByZone:
        seats = self.seats
        widest = int((seats.final - seats.first + seats.cells).max())
        rows, ptr = [], [0]
        order = np.argsort(self.problem.release, kind="stable")
        sets = [seats.sets[a:b] for a, b in zip(seats.sets_ptr[:-1], seats.sets_ptr[1:], strict=True)]
        for z in range(len(self.problem.capacity)):
            allowed = np.array([z in zones for zones in sets])
            rows.append(order[allowed[seats.places[order]]])
            ptr.append(ptr[-1] + len(rows[-1]))
        return ByZone(np.concatenate(rows), np.array(ptr, dtype=np.int64), widest)
