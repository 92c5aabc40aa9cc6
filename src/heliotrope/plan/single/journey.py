"""Work that may move while under way: checkpoint here, carry its state there, go on; exact over (site, step)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from heliotrope.plan.shape.walk import Ground, best_walk
from heliotrope.plan.single import ways
from heliotrope.plan.single.admit import Asked
from heliotrope.plan.single.candidate import Progress, transfer
from heliotrope.plan.single.choice import Choice, Leg, joined
from heliotrope.plan.single.option import Option
from heliotrope.plan.timeline import Timeline
from heliotrope.units import J_PER_KWH

Floats = npt.NDArray[np.float64]

SITES = 6  # searched together: the best by their own bounds; beyond, the bound says what was left out
_TOUCH_S = 1e-6


def journey(asked: Asked, options: Mapping[str, Option], step_s: float, below: float) -> tuple[Choice | None, float]:
    """The best with moves that scores less than `below`, and what no plan with moves can score less than.

    While its state travels the work holds the target's devices, and their power is counted: never too little.
    """
    most = _freely(options, step_s, asked.work_s)
    if most >= below * (1 - 1e-9):
        return None, below
    near = sorted(options.values(), key=lambda option: (ways.floor(option), option.name))[:SITES]
    ground, where = _ground(asked, near, step_s)
    start = 0
    if any(option.running for option in near):
        start = next(k for k, (site, mode) in enumerate(where) if mode == 0 and near[site].running)
    walk = best_walk(ground, asked.work_s, start, below * (1 - 1e-9))
    left_out = len(near) < len(options)
    if walk is None:
        return None, most if left_out else below
    legs = [Leg(near[where[state][0]], begin, end, where[state][1]) for state, begin, end in walk.stays]
    moved_g = sum(float(ground.fee[a, b]) for a, b in _changes(walk.stays, start))
    last = legs[-1]
    score = sum(leg.grams for leg in legs) + moved_g + last.option.late_g(last.end)
    return Choice(last.option, joined(legs), score, moved_g, walk.bound), min(
        walk.bound, most
    ) if left_out else walk.bound


def _freely(options: Mapping[str, Option], step_s: float, work_s: float) -> float:
    """As if moves and pauses cost nothing: the cheapest site of each moment, the cheapest moments of all."""
    edges = _edges(list(options.values()), step_s)
    lengths = np.diff(edges)
    bits = []
    for option in options.values():
        rates = _rates(option.line, edges)
        per_work = min(way.watts / way.speed for way in option.ways) / option.watts
        bits.append(rates * per_work)
    fastest = max(way.speed for option in options.values() for way in option.ways)
    cheapest = np.min(bits, axis=0)
    order = np.argsort(cheapest)
    order = order[np.isfinite(cheapest[order])]
    done = np.concatenate(([0.0], np.cumsum(lengths[order] * fastest)))
    spent = np.concatenate(([0.0], np.cumsum(cheapest[order] * lengths[order] * fastest)))
    return float(np.interp(work_s, done, spent)) + min(option.moving_g for option in options.values())


def _edges(options: Sequence[Option], step_s: float) -> Floats:
    """Every time at which a rate, a window or a due time changes at any of the sites."""
    dues = [option.due[0] for option in options if option.due is not None]
    every = np.unique(np.concatenate([option.line.coarser(step_s).edges for option in options]))
    inside = [due for due in dues if every[0] < due < every[-1]]
    every = np.union1d(every, inside)
    return every[np.concatenate(([True], np.diff(every) > _TOUCH_S))]


def _rates(line: Timeline, edges: Floats) -> Floats:
    """Mean rate between neighbouring edges; infinite outside the window and where busy."""
    rates = np.diff(np.interp(edges, line.edges, line.cumulative)) / np.diff(edges)
    middles = (edges[1:] + edges[:-1]) / 2
    held = (middles < line.start) | (middles > line.end)
    for begin, end in line.busy:
        held |= (middles > begin) & (middles < end)
    return np.where(held, np.inf, rates)


def _ground(asked: Asked, near: Sequence[Option], step_s: float) -> tuple[Ground, list[tuple[int, int]]]:
    """States: not begun; then for each site waiting there (mode -1) and running there in each mode."""
    edges = _edges(near, step_s)
    lengths = np.diff(edges)
    where = [(-1, -1)]
    for site, option in enumerate(near):
        where += [(site, mode) for mode in range(-1, len(option.ways))]
    states = len(where)
    cost = np.zeros((states, len(lengths)))
    speed = np.zeros(states)
    for k, (site, mode) in enumerate(where):
        if mode >= 0:
            option = near[site]
            cost[k] = _rates(option.line, edges) * lengths * option.ways[mode].watts / option.watts
            speed[k] = option.ways[mode].speed
    seconds, grams = _between(asked, near)
    lost, fee = np.zeros((states, states)), np.full((states, states), np.inf)
    for j, (here, before) in enumerate(where):
        for k, (there, mode) in enumerate(where):
            if j == k:
                fee[j, k] = 0.0
            elif here < 0 and mode >= 0:
                lost[j, k], fee[j, k] = near[there].first_s, near[there].moving_g
            elif here >= 0 and here == there:
                lost[j, k], fee[j, k] = (near[there].pause_s, 0.0) if mode >= 0 else (0.0, 0.0)
            elif here >= 0 and there >= 0 and mode >= 0 and (before >= 0 or asked.workload.flexibility.pausable):
                lost[j, k], fee[j, k] = near[there].pause_s + seconds[here, there], grams[here, there]
    due = near[0].due
    hold = np.zeros(len(lengths))
    if due is not None:
        hold = np.where(edges[:-1] >= due[0] - _TOUCH_S, due[1] * lengths, 0.0)
    return Ground(edges, cost, speed, lost, fee, hold), where


def _between(asked: Asked, near: Sequence[Option]) -> tuple[Floats, Floats]:
    """Seconds and grams of carrying data and state from one site to another."""
    seconds, grams = np.zeros((len(near), len(near))), np.zeros((len(near), len(near)))
    for a, source in enumerate(near):
        for b, target in enumerate(near):
            if a != b:
                state = Progress(asked.work_s, source.name)
                carried = transfer(asked.workload, target.candidate.site, asked.candidates, asked.home, state)
                intensity = target.candidate.carbon.at(target.window.start_s)
                seconds[a, b], grams[a, b] = carried.seconds, carried.energy_j / J_PER_KWH * intensity
    return seconds, grams


def _changes(stays: Sequence[tuple[int, float, float]], start: int) -> list[tuple[int, int]]:
    states = [start, *(state for state, _, _ in stays)]
    return list(itertools.pairwise(states))
