"""The best way to run at one site, by what the work allows: unbroken, with pauses, or changing width and power."""

from __future__ import annotations

import msgspec
import numpy as np

from heliotrope.plan.shape import elastic
from heliotrope.plan.shape.contiguous import TIE, TOUCH_S, best_window
from heliotrope.plan.shape.suspend import best_pieces, fill_cost
from heliotrope.plan.shape.unsure import best_cells
from heliotrope.plan.shape.walk import Ground, best_walk
from heliotrope.plan.single.choice import Choice, Leg
from heliotrope.plan.single.option import Option
from heliotrope.plan.timeline import Timeline

_FRESH, _WAITS, _RUNS = 0, 1, 2


def at_once(option: Option) -> Choice:
    """From the first possible moment, as it was asked for, without a pause of its own choosing."""
    for mode in (0, option.fastest):
        needed_s = option.needs_s(mode)
        for start, end in option.line.gaps():
            if end - start >= needed_s - TOUCH_S:
                return Choice.of(option, [Leg(option, start, start + needed_s, mode)])
    # Other work leaves no gap as long as that: the gaps in order, each resumed at its cost.
    legs: list[Leg] = []
    for start, end in option.line.gaps():
        resume_s = option.pause_s if legs else 0.0
        if needed_s > TOUCH_S and end - start > resume_s:
            legs.append(Leg(option, start, min(end, start + resume_s + needed_s), mode))
            needed_s -= legs[-1].end - start - resume_s
    return Choice.of(option, legs)


def unbroken(option: Option) -> Choice:
    """The best window over all modes, one mode throughout; what runs already goes on."""
    if option.running:
        return at_once(option)
    found = []
    for mode, way in enumerate(option.ways):
        if not option.fits(mode):
            continue
        share = way.watts / option.watts
        due = option.due if option.due is None else (option.due[0], option.due[1] / share)
        _, (start, end) = best_window(option.line, option.turns(mode), due)
        found.append(Choice.of(option, [Leg(option, start, end, mode)]))
    return min(found, key=lambda choice: choice.score)


def floor(option: Option) -> float:
    """No way to run here scores less: as if pauses and changes were free and nothing late.

    Of a length that is not known: as if each case were known from the start, the expected cost of its cheapest steps.
    """
    done_s = cost = before = 0.0
    for seconds, share in option.phases:
        done_s += seconds
        filled = _fill_cost(option, done_s)
        cost += share * (filled - before)
        before = filled
    return cost + option.moving_g


def _fill_cost(option: Option, work_s: float) -> float:
    if len(option.ways) == 1:
        return fill_cost(option.line, work_s)
    return min(
        elastic.fill_cost(option.line, work_s, [option.ways[mode] for mode in group], option.watts)
        for group in option.groups
    )


def paused(option: Option, step_s: float, below: float) -> Choice | None:
    """The best with pauses and changes; None where nothing scores below `below`."""
    # Unbroken is always allowed: pieces have to beat it.
    whole = at_once(option) if option.running or not option.fits(option.fastest) else unbroken(option)
    if len(option.phases) > 1:
        return _unsure(option, step_s, below, whole)
    limit = min(below, whole.score) - option.moving_g
    found = (
        _simple(option, step_s, limit) if len(option.ways) == 1 and option.due is None else _rich(option, step_s, limit)
    )
    found = _sooner(whole, found)
    return found if found.score <= below else None


def _sooner(whole: Choice, other: Choice | None) -> Choice:
    """The cheaper one; of two that cost the same the one that ends first."""
    if other is None:
        return whole
    tie = TIE * max(1.0, abs(whole.score))
    if abs(other.score - whole.score) <= tie:
        return other if other.finish < whole.finish else whole
    return min(whole, other, key=lambda choice: choice.score)


def _unsure(option: Option, step_s: float, below: float, whole: Choice) -> Choice | None:
    """Of a length that is not known: cell by cell, or as for the longest case where more than pauses is free."""
    least = floor(option)
    if len(option.ways) == 1 and option.due is None:
        pieces = best_cells(
            option.line, option.phases, option.pause_s, first_cost=option.first_s, running=option.running, step=step_s
        )
        found = Choice.of(option, [Leg(option, start, end) for start, end in pieces]) if pieces else None
    else:
        found = _rich(option, step_s, float("inf"))
    best = _sooner(whole, found)
    return msgspec.structs.replace(best, floor=min(least, best.score)) if best.score <= below else None


def _simple(option: Option, step_s: float, limit: float) -> Choice | None:
    found = best_pieces(
        option.line.coarser(step_s),
        option.work_s,
        option.pause_s,
        first_cost=option.first_s,
        running=option.running,
        below=limit,
    )
    return None if found is None else Choice.of(option, [Leg(option, start, end) for start, end in found[1]])


def _rich(option: Option, step_s: float, limit: float) -> Choice | None:
    """Over the modes that may follow one another; work that cannot change on the way keeps one."""
    best: Choice | None = None
    for group in option.groups:
        found = _within(option, step_s, limit, group)
        if found is not None and (best is None or found.score < best.score):
            best = found
            limit = min(limit, best.score - option.moving_g)
    return best


def _within(option: Option, step_s: float, limit: float, group: list[int]) -> Choice | None:
    """`group`: the modes to choose from."""
    line = option.line.coarser(step_s)
    if option.due is None and option.pause_s <= 0 and option.first_s <= 0:
        filled = elastic.fill(line, option.work_s, [option.ways[mode] for mode in group], option.watts)
        if filled is None:
            return None
        return Choice.of(option, [Leg(option, start, end, group[mode]) for mode, start, end in filled[1]])
    if option.running and 0 not in group:
        return None
    walk = best_walk(_ground(option, line, group), option.work_s, _RUNS if option.running else _FRESH, limit)
    if walk is None:
        return None
    legs = elastic.joined([(group[state - _RUNS], start, end) for state, start, end in walk.stays])
    return Choice.of(option, [Leg(option, start, end, mode) for mode, start, end in legs], walk.bound + option.moving_g)


def _ground(option: Option, line: Timeline, group: list[int]) -> Ground:
    """States: not begun, waiting, and running in each mode; each change but to waiting takes the cost of a pause."""
    edges, rates = line.edges, line.rates
    if option.due is not None and line.start < option.due[0] < line.end:
        edges = np.union1d(edges, [option.due[0]])
        rates = rates[np.searchsorted(line.edges, edges[:-1], side="right") - 1]
    lengths = np.diff(edges)
    taken = [option.ways[mode] for mode in group]
    watts = np.array([way.watts for way in taken])
    states = _RUNS + len(taken)
    cost = np.zeros((states, len(lengths)))
    cost[_RUNS:] = np.outer(watts / option.watts, rates * lengths)
    lost = np.full((states, states), option.pause_s)
    lost[_FRESH] = option.first_s
    lost[:, :_RUNS] = 0.0
    np.fill_diagonal(lost, 0.0)
    fee = np.zeros((states, states))
    fee[1:, _FRESH] = np.inf
    hold = np.zeros(len(lengths))
    if option.due is not None:
        hold = np.where(edges[:-1] >= option.due[0] - TOUCH_S, option.due[1] * lengths, 0.0)
    return Ground(edges, cost, np.array([0.0, 0.0, *(way.speed for way in taken)]), lost, fee, hold)
