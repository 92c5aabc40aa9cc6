"""Better plans: the time is cut in two so that both cores work at one plan, again and again at another cut.

On either side narrow work is laid anew around the wide, then jobs change places one by one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from heliotrope.plan.joint.packing import Packing
from heliotrope.plan.joint.problem import Floats, Ints
from heliotrope.plan.joint.seating.relay import Share, relay
from heliotrope.plan.joint.seating.trade import Scratch, Span, enlist, reseed, trade, wishes

# Where the time is cut, as a part of all work; what a change of places may lose at first and at last, in parts of a
# mean job's grams.
CUTS = (0.5, 0.35, 0.65, 0.45, 0.55, 0.4, 0.6, 0.3)
HOT, COLD = 3e-3, 1e-4
# Changes of places tried, a job and in all; jobs laid anew, likewise; the most jobs of a zone all tries may look at.
TRADES, MOST_TRADES = 150, 800_000
LAID, MOST_LAID = 12, 64_000
MOST_SEEN = 4 * 10**7
# Jobs above which single ones hardly matter: none changes places, and few cuts are enough; and above which nothing is
# laid anew either.
SOME, MANY = 80_000, 200_000
FEW_CUTS = 2
# Jobs up to such a width are laid anew, as parts of all jobs, wider ones each time; in what part of a turn's cells.
NARROW = (0.25, 0.4, 0.65, 0.8)
PARTS = (0.3, 0.6, 1.0)
# Jobs below which a part is not worth the while, and about how many of a turn's jobs a part may hold.
FEWEST, MOST_AT_ONCE = 20, 16_000


def improve(plan: Packing, price: Floats, enough_g: float) -> None:
    """Works on a plan until it emits `enough_g` at most, or a fixed amount of work is done."""
    p, seats = plan.problem, plan.seats
    if len(p) > MANY:
        return
    by_cell = np.repeat(price, p.per_step, axis=1)
    plan.ground.priced[:, 1:] = np.cumsum(by_cell * p.cell_s, axis=1)
    least = np.zeros(len(p))
    if len(p) <= SOME:
        wishes(plan.ground, seats, least)
    middle = np.argsort(plan.seating.start, kind="stable")
    done = np.cumsum((seats.width * seats.cells)[middle])
    heat = enough_g / len(p) * np.geomspace(HOT, COLD, len(CUTS) + 1)
    for i, part in enumerate(CUTS if len(p) <= SOME else CUTS[:FEW_CUTS]):
        if plan.grams() <= enough_g:
            return
        cut = int(plan.seating.start[middle[np.searchsorted(done, part * done[-1])]])
        sides = ((0, cut), (cut, plan.ground.used.shape[1]))
        with ThreadPoolExecutor(2) as pool:
            turns = [
                pool.submit(_turn, plan, by_cell, low, high, least, heat[i : i + 2], rng)
                for (low, high), rng in zip(sides, plan.rng.spawn(2), strict=True)
            ]
            for turn in turns:
                turn.result()


def _turn(
    plan: Packing, price: Floats, low: int, high: int, least: Floats, heat: Floats, rng: np.random.Generator
) -> None:
    """Jobs that sit wholly within cells low..high-1 find other places there."""
    jobs = len(plan.problem)
    within = np.flatnonzero((plan.seating.start >= low) & (plan.seating.start + plan.seats.cells <= high))
    if len(within) < 2:
        return
    largest = min(1.0, MOST_AT_ONCE / len(within))
    _lay_anew(plan, price, low, high, largest, min(MOST_LAID, LAID * jobs) * len(within) // (jobs * len(CUTS)), rng)
    if jobs > SOME:
        return
    reseed(int(rng.integers(2**31)))
    head, after, before = (np.full(n, -1, dtype=np.int64) for n in (len(plan.problem.capacity), jobs, jobs))
    span = Span(low, high, within, least, head, after, before)
    enlist(span, plan.seating)
    crowd = np.bincount(plan.seating.zone[within]).max()
    tries = min(min(MOST_TRADES, TRADES * jobs) * len(within) // (jobs * len(CUTS)), MOST_SEEN // int(crowd))
    trade(tries, heat[0], heat[1], span, Scratch.new(), plan.seating, plan.ground, plan.seats)


def _lay_anew(
    plan: Packing, price: Floats, low: int, high: int, largest: float, most: int, rng: np.random.Generator
) -> None:
    """Narrow jobs of up to a `largest` part of the cells at once, again and again until `most` were laid."""
    seats, seating, p = plan.seats, plan.seating, plan.problem
    widths = np.quantile(seats.width, NARROW, method="lower")
    while most > 0:
        cells = int((high - low) * min(largest, rng.choice(PARTS)))
        begin = int(rng.integers(low, high - cells + 1))
        inside = (seating.start >= begin) & (seating.start + seats.cells <= begin + cells)
        jobs: Ints = np.flatnonzero(inside & (seats.width <= rng.choice(widths)))
        most -= max(len(jobs), FEWEST)
        if len(jobs) >= FEWEST:
            share = Share.of(jobs, begin, begin + cells, seating, plan.ground, seats, p.cell_s)
            relay(share, seating, plan.ground, price, p.mean_gram, rng)
