"""What would make a plan possible: the least of one kind of limit to give, tried with a plan of all jobs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint.exact.clash import Clash, Way, rows
from heliotrope.plan.joint.exact.program import MOST_COLUMNS, NOTHING, columns, core, fit
from heliotrope.plan.joint.packing import Packing
from heliotrope.plan.joint.problem import Floats, Problem
from heliotrope.units import show_duration

MOST_STEPS = 32  # the longest delay looked for, in steps of the grid


def explained(clash: Clash, price: Floats, rng: np.random.Generator) -> Clash:
    """The same clash with the relaxations that do."""
    ways = (_way(clash, relax, price, rng) for relax in (_raise_capacity, _let_move, _let_wait))
    return Clash(clash.core, clash.fit, tuple(way for way in ways if way is not None))


def refuse_overload(problem: Problem) -> None:
    """More work than room needs no plan tried."""
    if problem.load <= 1:
        return
    everything = core(problem, np.arange(len(problem.capacity)))
    found = fit(everything, "rise") if columns(everything) <= MOST_COLUMNS else None
    if found is not None and found.impossible:
        none = np.zeros((len(problem.capacity), problem.values.shape[1]))
        raise explained(Clash(everything, found), none, np.random.default_rng(0))
    raise Infeasible(
        "there is more work than room",
        cause=f"the jobs fill {problem.load:.1%} of all devices over "
        f"{show_duration(problem.values.shape[1] * problem.step_s)}",
        hint=f"no less than {problem.load:.2f} times the capacity would do",
    )


Relax = Callable[[Clash], Problem | None]


def _way(clash: Clash, relax: Relax, price: Floats, rng: np.random.Generator) -> Way | None:
    """Relaxes until all jobs have a plan: one set of zones may clash behind another."""
    before = clash.core.problem
    for _ in range(len(before.capacity) + 1):
        after = relax(clash)
        if after is None:
            return None
        try:
            Packing(after, price, rng).first_plan(0.0, exact=True)
        except Clash as again:
            clash = again
        except Infeasible:
            return None
        else:
            return Way(_words(before, after), after)
    return None


def _words(before: Problem, after: Problem) -> str:
    raised = np.flatnonzero(after.capacity > before.capacity)
    if len(raised):
        return "a capacity of " + ", ".join(
            f"{after.capacity[z]:g} in {before.zones[z]} (now {before.capacity[z]:g})" for z in raised.tolist()
        )
    moved = np.flatnonzero(after.places != before.places)
    if len(moved):
        return f"letting {len(moved)} job{'s' if len(moved) > 1 else ''} run in any zone ({rows(moved)})"
    later = np.flatnonzero(after.latest > before.latest)
    most = show_duration(float((after.latest - before.latest).max()))
    return f"deadlines up to {most} later for {len(later)} job{'s' if len(later) > 1 else ''} ({rows(later)})"


def _raise_capacity(clash: Clash) -> Problem:
    problem, capacity = clash.core.problem, clash.core.problem.capacity.copy()
    capacity[clash.core.zones] += np.ceil(clash.fit.beyond * 1e3 - 1e-2) / 1e3
    return msgspec.structs.replace(problem, capacity=capacity)


def _let_move(clash: Clash) -> Problem | None:
    asked = clash.core
    problem = asked.problem
    found = fit(asked, "moves")
    if found is None:
        return None
    places = problem.places.copy()
    for j, z in zip(asked.jobs.tolist(), found.zone.tolist(), strict=True):
        allowed = problem.sets[problem.sets_ptr[places[j]] : problem.sets_ptr[places[j] + 1]]
        if z not in allowed:
            places[j] = len(problem.sets_ptr) - 1
    return msgspec.structs.replace(
        problem,
        places=places,
        sets=np.concatenate([problem.sets, np.arange(len(problem.capacity))]),
        sets_ptr=np.append(problem.sets_ptr, len(problem.sets) + len(problem.capacity)),
    )


def _let_wait(clash: Clash) -> Problem | None:
    """The fewest steps of the grid by which jobs of the core need to be later, by halving."""
    low, high = 0, MOST_STEPS
    best = _fits_later(clash, high)
    while best is not None and high - low > 1:
        middle = (low + high) // 2
        found = _fits_later(clash, middle)
        if found is None:
            low = middle
        else:
            high, best = middle, found
    return best


def _fits_later(clash: Clash, steps: int) -> Problem | None:
    """Who starts no later than before keeps its deadline."""
    asked = clash.core
    problem, jobs = asked.problem, asked.jobs
    end_s = problem.values.shape[1] * problem.step_s
    latest = problem.latest.copy()
    later = np.minimum(latest[jobs] + steps * problem.step_s, end_s - problem.length[jobs])
    latest[jobs] = np.maximum(latest[jobs], later)
    relaxed = msgspec.structs.replace(problem, latest=latest)
    later_core = msgspec.structs.replace(asked, problem=relaxed)
    found = fit(later_core, "rise") if columns(later_core) <= MOST_COLUMNS else None
    if found is None or found.extra > NOTHING:
        return None
    in_time = jobs[found.start <= problem.seats.final[jobs]]
    latest[in_time] = problem.latest[in_time]
    return relaxed
