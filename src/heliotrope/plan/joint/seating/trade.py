"""Jobs change places: one is put where it wishes to be, smaller ones in its way find places elsewhere, and what is
gained is kept, at first also a little of what is lost (annealing).

A large job finds no room where a zone is full, small ones do: holes too small for it close as they move in.
"""

# ruff: noqa: NPY002 — compiled loops know no other generator than the seeded one.
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint.problem import Floats, Ints, Seats
from heliotrope.plan.joint.seating.seat import ROOM, Ground, Seating, best_seat, cost, emitted, take
from heliotrope.plan.kernels.jit import compiled

# Jobs that one may move at once, of how many in its way, how much larger than itself they may be; jobs looked at for
# the one that sits worst; places tried for one that is better, of which the first few are compared.
MOST_GIVE_WAY, MOST_NEAR, LARGER, LOOKED_AT, TRIED, COMPARED = 24, 120, 2.0, 4, 24, 2
# Prices that a wish may exceed the present place by, and grams that a try may be behind before it is given up, in
# units of what is lost at random.
DEARER, BEHIND = 3.0, 10.0


class Span(NamedTuple):
    """Cells low..high-1 and the `jobs` that sit wholly within, which stay there: two spans never meet.

    `least[j]` is the price of job j where all room is free; `head`, `after`, `before` list the jobs of each zone.
    """

    low: int
    high: int
    jobs: Ints
    least: Floats
    head: Ints
    after: Ints
    before: Ints


class Scratch(NamedTuple):
    """Those in the way by bulk; those who gave way and where they sat."""

    near: Ints
    bulk: Floats
    gone: Ints
    start: Ints

    @classmethod
    def new(cls) -> Scratch:
        near, gone, start = (np.empty(n, dtype=np.int64) for n in (MOST_NEAR, MOST_GIVE_WAY, MOST_GIVE_WAY))
        return cls(near, np.empty(MOST_NEAR), gone, start)


@compiled
def reseed(seed: int) -> None:
    np.random.seed(seed)


@compiled
def wishes(ground: Ground, seats: Seats, least: Floats) -> None:
    """`least[j]`: the price of job j at its best place, room or not."""
    for j in range(len(least)):
        best = np.inf
        for index in range(seats.sets_ptr[seats.places[j]], seats.sets_ptr[seats.places[j] + 1]):
            z = seats.sets[index]
            if seats.width[j] <= ground.capacity[z] + ROOM:
                for k in range(seats.first[j], seats.final[j] + 1):
                    best = min(best, cost(ground, seats, j, z, k, 1.0))
        least[j] = best


@compiled
def enlist(span: Span, seating: Seating) -> None:
    """Lists the span's jobs by zone."""
    for z in range(len(span.head)):
        span.head[z] = -1
    for j in span.jobs:
        _join(span, j, seating.zone[j])


@compiled
def _join(span: Span, j: int, z: int) -> None:
    span.before[j], span.after[j] = -1, span.head[z]
    if span.head[z] >= 0:
        span.before[span.head[z]] = j
    span.head[z] = j


@compiled
def _leave(span: Span, j: int, z: int) -> None:
    if span.before[j] >= 0:
        span.after[span.before[j]] = span.after[j]
    else:
        span.head[z] = span.after[j]
    if span.after[j] >= 0:
        span.before[span.after[j]] = span.before[j]


@compiled
def _wish(span: Span, ground: Ground, seats: Seats, j: int, below: float) -> tuple[int, int]:
    """A place for job `j` at a price below `below`, room or not: (zone, first cell), zone -1 if none was met."""
    n, begin = seats.cells[j], seats.sets_ptr[seats.places[j]]
    choices = seats.sets_ptr[seats.places[j] + 1] - begin
    first, final = max(seats.first[j], span.low), min(seats.final[j], span.high - n)
    best_z, best_k, met = -1, -1, 0
    for _ in range(TRIED):
        z = seats.sets[begin + np.random.randint(choices)]
        k = first + np.random.randint(final - first + 1)
        if seats.width[j] > ground.capacity[z] + ROOM:
            continue
        found = cost(ground, seats, j, z, k, 1.0)
        if met == 0 and found >= below:
            continue
        met += 1
        if found < below:
            below, best_z, best_k = found, z, k
        if met == COMPARED:
            break
    return best_z, best_k


@compiled
def _full(ground: Ground, z: int, begin: int, until: int, limit: float) -> bool:
    """Is more than `limit` used in some cell from `begin` to `until`?"""
    while begin < until and ground.used[z, begin] <= limit:
        begin += 1
    return begin < until


@compiled
def _clear(span: Span, scratch: Scratch, seating: Seating, ground: Ground, seats: Seats, j: int, z: int, k: int) -> int:
    """Takes small jobs out of zone z until `j` fits at cell k: how many, or -1 if it cannot (and all are back)."""
    start, used = seating.start, ground.used
    until, limit = k + seats.cells[j], ground.capacity[z] - seats.width[j] + ROOM
    largest = LARGER * seats.width[j] * seats.cells[j]
    found, i = 0, span.head[z]
    while i >= 0 and found < MOST_NEAR:
        bulk = seats.width[i] * seats.cells[i]
        if start[i] < until and start[i] + seats.cells[i] > k and bulk < largest:
            bulk *= 0.5 + np.random.random()
            at = found
            while at > 0 and scratch.bulk[at - 1] > bulk:
                scratch.near[at], scratch.bulk[at] = scratch.near[at - 1], scratch.bulk[at - 1]
                at -= 1
            scratch.near[at], scratch.bulk[at] = i, bulk
            found += 1
        i = span.after[i]
    gone, full = 0, k
    for at in range(found):
        while full < until and used[z, full] <= limit:
            full += 1
        if full == until or gone == MOST_GIVE_WAY:
            break
        i = scratch.near[at]
        if _full(ground, z, max(full, start[i]), min(until, start[i] + seats.cells[i]), limit):
            take(ground, seats, i, z, start[i], -1.0)
            scratch.gone[gone], scratch.start[gone] = i, start[i]
            gone += 1
    if _full(ground, z, full, until, limit):
        for at in range(gone):
            take(ground, seats, scratch.gone[at], z, scratch.start[at], 1.0)
        return -1
    # The largest left last; who turns out not to be in the way is back first.
    for at in range(gone - 1, -1, -1):
        i = scratch.gone[at]
        begin, end = max(k, start[i]), min(until, start[i] + seats.cells[i])
        if not _full(ground, z, begin, end, limit - seats.width[i]):
            take(ground, seats, i, z, start[i], 1.0)
            gone -= 1
            for later in range(at, gone):
                scratch.gone[later], scratch.start[later] = scratch.gone[later + 1], scratch.start[later + 1]
    return gone


@compiled
def _change(
    span: Span,
    scratch: Scratch,
    seating: Seating,
    ground: Ground,
    seats: Seats,
    j: int,
    z: int,
    k: int,
    most: float,
    given_up: float,
) -> float:
    """Puts job `j` at cell k of zone z if that loses less than `most` grams in all: grams saved, 0 if it does not."""
    zone, start = seating.zone, seating.start
    was_z, was_k = zone[j], start[j]
    lost = emitted(ground, seats, j, z, k) - emitted(ground, seats, j, was_z, was_k)
    take(ground, seats, j, was_z, was_k, -1.0)
    gone = _clear(span, scratch, seating, ground, seats, j, z, k)
    if gone < 0:
        take(ground, seats, j, was_z, was_k, 1.0)
        return 0.0
    take(ground, seats, j, z, k, 1.0)
    left = gone
    while left > 0 and lost < given_up:
        i = scratch.gone[left - 1]
        _, to, at = best_seat(ground, seats, i, 1.0, span.low, span.high)
        if to < 0:
            break
        lost += emitted(ground, seats, i, to, at) - emitted(ground, seats, i, z, start[i])
        take(ground, seats, i, to, at, 1.0)
        zone[i], start[i] = to, at
        left -= 1
    if left == 0 and lost < most:
        zone[j], start[j] = z, k
        _leave(span, j, was_z)
        _join(span, j, z)
        for at in range(gone):
            _leave(span, scratch.gone[at], z)
            _join(span, scratch.gone[at], zone[scratch.gone[at]])
        return -lost
    for at in range(left, gone):
        i = scratch.gone[at]
        take(ground, seats, i, zone[i], start[i], -1.0)
        zone[i], start[i] = z, scratch.start[at]
    take(ground, seats, j, z, k, -1.0)
    for at in range(gone):
        take(ground, seats, scratch.gone[at], z, scratch.start[at], 1.0)
    take(ground, seats, j, was_z, was_k, 1.0)
    return 0.0


@compiled
def trade(
    tries: int, hot: float, cold: float, span: Span, scratch: Scratch, seating: Seating, ground: Ground, seats: Seats
) -> float:
    """Grams saved in `tries` tries; what a try may lose falls from about `hot` to `cold` grams."""
    saved = 0.0
    for i in range(tries):
        heat = hot * (cold / hot) ** (i / tries)
        j, worst = -1, -1.0
        for _ in range(LOOKED_AT):
            o = span.jobs[np.random.randint(len(span.jobs))]
            above = cost(ground, seats, o, seating.zone[o], seating.start[o], 1.0) - span.least[o]
            if above >= worst:
                j, worst = o, above
        if j < 0:
            continue
        z, k = _wish(span, ground, seats, j, span.least[j] + worst + DEARER * heat)
        if z < 0 or (z == seating.zone[j] and k == seating.start[j]):
            continue
        most = -heat * np.log(1.0 - np.random.random())
        saved += _change(span, scratch, seating, ground, seats, j, z, k, most, most + BEHIND * heat)
    return saved
