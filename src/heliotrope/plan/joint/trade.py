"""Jobs change places: one is put where it wishes to be, those in its way are seated anew, and savings are kept."""

# ruff: noqa: NPY002 — compiled loops know no other generator than the seeded one.
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint.problem import Floats, Ints, Seats
from heliotrope.plan.joint.seat import ROOM, Ground, Seating, best_seat, cost, emitted, take
from heliotrope.plan.kernels.jit import compiled


class ByZone(NamedTuple):
    """`jobs[ptr[z]:ptr[z + 1]]`: those allowed in zone z by first start; no window is longer than `widest` cells."""

    jobs: Ints
    ptr: Ints
    widest: int


class Scratch(NamedTuple):
    """For those who give way at once: who, where they sat, and in which order they are seated anew."""

    gone: Ints
    zone: Ints
    start: Ints
    rank: Floats

    @classmethod
    def of(cls, most: int) -> Scratch:
        gone, zone, start = (np.empty(most, dtype=np.int64) for _ in range(3))
        return cls(gone, zone, start, np.empty(most))


@compiled
def reseed(seed: int) -> None:
    np.random.seed(seed)


@compiled
def crowd_in(j: int, seating: Seating, ground: Ground, seats: Seats, pushed: Ints, out: Ints) -> int:
    """Seats a stuck job where the least must give way, and puts those who give way in `out`; how many did.

    `pushed[i]` counts how often job i gave way before: who did is spared, so that two jobs cannot push each other
    for ever.
    """
    zone, start, used, capacity = seating.zone, seating.start, ground.used, ground.capacity
    w, n = seats.width[j], seats.cells[j]
    best, best_z, best_k = np.inf, -1, -1
    for index in range(seats.sets_ptr[seats.places[j]], seats.sets_ptr[seats.places[j] + 1]):
        z = seats.sets[index]
        if capacity[z] + ROOM < w:
            continue
        excess = 0.0
        for k in range(seats.first[j], seats.first[j] + n - 1):
            excess += max(0.0, used[z, k] + w - capacity[z])
        for k in range(seats.first[j], seats.final[j] + 1):
            excess += max(0.0, used[z, k + n - 1] + w - capacity[z])
            # A little chance keeps the same place from being fought over.
            tried = excess * (1.0 + 0.5 * np.random.random()) + np.random.random() * w * 0.1
            if tried < best:
                best, best_z, best_k = tried, z, k
            excess -= max(0.0, used[z, k] + w - capacity[z])
    if best_z < 0:
        return -1
    z, k = best_z, best_k
    gone = 0
    while True:
        worst, over = -1, ROOM
        for c in range(k, k + n):
            if used[z, c] + w - capacity[z] > over:
                worst, over = c, used[z, c] + w - capacity[z]
        if worst < 0:
            break
        chosen, least = -1, np.inf
        for i in range(len(zone)):
            if zone[i] == z and start[i] <= worst < start[i] + seats.cells[i]:
                choices = seats.sets_ptr[seats.places[i] + 1] - seats.sets_ptr[seats.places[i]]
                freedom = choices * (1.0 + seats.final[i] - seats.first[i])
                short = max(0.0, over - seats.width[i])
                burden = (seats.width[i] * seats.cells[i] + 10.0 * short * n) * (1.0 + 4.0 * pushed[i]) / freedom
                if burden < least:
                    chosen, least = i, burden
        take(ground, seats, chosen, z, start[chosen], -1.0)
        zone[chosen] = -1
        pushed[chosen] += 1
        out[gone] = chosen
        gone += 1
    zone[j], start[j] = z, k
    take(ground, seats, j, z, k, 1.0)
    return gone


@compiled
def _wish(ground: Ground, seats: Seats, j: int, weight: float, noise: float) -> tuple[int, int]:
    """Where job `j` would sit by price if all room were free, give or take `noise`: (zone, first cell)."""
    best, best_z, best_k = np.inf, -1, -1
    for index in range(seats.sets_ptr[seats.places[j]], seats.sets_ptr[seats.places[j] + 1]):
        z = seats.sets[index]
        if ground.capacity[z] + ROOM < seats.width[j]:
            continue
        for k in range(seats.first[j], seats.final[j] + 1):
            found = cost(ground, seats, j, z, k, weight) * (1.0 + noise * np.random.random())
            if found < best:
                best, best_z, best_k = found, z, k
    return best_z, best_k


@compiled
def _crowded(ground: Ground, seats: Seats, j: int, z: int, k: int, until: int) -> bool:
    """Is there too little room for job `j` in some cell from k to `until`?"""
    over = False
    for c in range(k, until):
        over = over or ground.used[z, c] + seats.width[j] > ground.capacity[z] + ROOM
    return over


@compiled
def _clear(
    j: int, z: int, k: int, seating: Seating, ground: Ground, seats: Seats, by_zone: ByZone, gone: Ints
) -> tuple[int, bool]:
    """Takes jobs out of zone z, in no order, until `j` fits at cell k: how many, and whether it fits."""
    until = k + seats.cells[j]
    if not _crowded(ground, seats, j, z, k, until):
        return 0, True
    jobs, begin, end = by_zone.jobs, by_zone.ptr[z], by_zone.ptr[z + 1]
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if seats.first[jobs[middle]] < k - by_zone.widest:
            low = middle + 1
        else:
            high = middle
    high = low
    while high < end and seats.first[jobs[high]] < until:
        high += 1
    span = high - low
    n = 0
    offset = np.random.randint(span) if span > 0 else 0
    for step in range(span):
        i = jobs[low + (offset + step) % span]
        at, over = seating.start[i], seating.start[i] + seats.cells[i]
        if seating.zone[i] != z or i == j or at >= until or over <= k:
            continue
        if not _crowded(ground, seats, j, z, max(k, at), min(until, over)):
            continue
        if n == len(gone):
            return n, False
        take(ground, seats, i, z, at, -1.0)
        gone[n] = i
        n += 1
        if not _crowded(ground, seats, j, z, k, until):
            return n, True
    return n, False


@compiled
def _shuffle_out(
    j: int,
    weight: float,
    noise: float,
    seating: Seating,
    ground: Ground,
    seats: Seats,
    by_zone: ByZone,
    scratch: Scratch,
) -> float:
    """One try: grams saved, 0 where all was put back."""
    zone, start = seating.zone, seating.start
    gone, rank = scratch.gone, scratch.rank
    z, k = _wish(ground, seats, j, weight, noise)
    was_z, was_k = zone[j], start[j]
    if z == was_z and k == was_k:
        return 0.0
    take(ground, seats, j, was_z, was_k, -1.0)
    n, fits = _clear(j, z, k, seating, ground, seats, by_zone, gone)
    before = emitted(ground, seats, j, was_z, was_k)
    for i in range(n):
        o = gone[i]
        scratch.zone[i], scratch.start[i] = zone[o], start[o]
        before += emitted(ground, seats, o, zone[o], start[o])
    for i in range(n):
        rank[i] = -seats.width[gone[i]] * seats.cells[gone[i]] * (0.5 + np.random.random())
        at = i
        while at > 0 and rank[at - 1] > rank[at]:
            rank[at - 1], rank[at] = rank[at], rank[at - 1]
            gone[at - 1], gone[at] = gone[at], gone[at - 1]
            scratch.zone[at - 1], scratch.zone[at] = scratch.zone[at], scratch.zone[at - 1]
            scratch.start[at - 1], scratch.start[at] = scratch.start[at], scratch.start[at - 1]
            at -= 1
    placed = 0
    if fits:
        take(ground, seats, j, z, k, 1.0)
        after = emitted(ground, seats, j, z, k)
        while placed < n and after < before:
            o = gone[placed]
            _, to, at = best_seat(ground, seats, o, weight)
            if to < 0:
                break
            after += emitted(ground, seats, o, to, at)
            zone[o], start[o] = to, at
            take(ground, seats, o, to, at, 1.0)
            placed += 1
        if placed == n and after < before:
            zone[j], start[j] = z, k
            return float(before - after)
        take(ground, seats, j, z, k, -1.0)
    for i in range(placed):
        take(ground, seats, gone[i], zone[gone[i]], start[gone[i]], -1.0)
    for i in range(n):
        zone[gone[i]], start[gone[i]] = scratch.zone[i], scratch.start[i]
        take(ground, seats, gone[i], scratch.zone[i], scratch.start[i], 1.0)
    take(ground, seats, j, was_z, was_k, 1.0)
    return 0.0


@compiled
def trade(rounds: int, seating: Seating, ground: Ground, seats: Seats, by_zone: ByZone, scratch: Scratch) -> float:
    """Grams saved in `rounds` tries; bulky jobs try more often."""
    saved = 0.0
    for _ in range(rounds):
        j, stake = -1, -1.0
        for _ in range(3):
            i = np.random.randint(len(seating.zone))
            weighed = seats.width[i] * seats.cells[i] * np.random.random()
            if weighed > stake:
                j, stake = i, weighed
        weight, noise = np.random.random() * 1.1, 0.05 * np.random.random()
        saved += _shuffle_out(j, weight, noise, seating, ground, seats, by_zone, scratch)
    return saved
