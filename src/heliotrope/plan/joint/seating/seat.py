"""Plans that hold: each job is put where there is room at every instant, by grams and by the prices of room."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint.problem import Floats, Ints, Seats
from heliotrope.plan.kernels.jit import compiled

ROOM = 1e-9  # of a device


class Ground(NamedTuple):
    """What jobs sit on: `used` devices of each cell, of `capacity`; intensity and prices summed up to cells' edges."""

    capacity: Floats
    area: Floats
    priced: Floats
    used: Floats


class Seating(NamedTuple):
    """Where each job sits: its zone, -1 while it has none, and its first cell."""

    zone: Ints
    start: Ints


@compiled
def take(ground: Ground, seats: Seats, j: int, z: int, k: int, sign: float) -> None:
    """Adds job `j` at cell k of zone z to what is used, or takes it away."""
    for c in range(k, k + seats.cells[j]):
        ground.used[z, c] += sign * seats.width[j]


@compiled
def leave(ground: Ground, seats: Seats, zone: Ints, start: Ints) -> None:
    """Takes all jobs away."""
    for j in range(len(zone)):
        take(ground, seats, j, zone[j], start[j], -1.0)


@compiled
def emitted(ground: Ground, seats: Seats, j: int, z: int, k: int) -> float:
    """Grams of job `j` from cell k of zone z: from its head within the first cell to its tail within the last."""
    area, last = ground.area, k + seats.cells[j] - 1
    start = area[z, k] + seats.head[j] * (area[z, k + 1] - area[z, k])
    end = area[z, last] + seats.tail[j] * (area[z, last + 1] - area[z, last])
    return float(seats.grams[j] * (end - start))


@compiled
def cost(ground: Ground, seats: Seats, j: int, z: int, k: int, weight: float) -> float:
    """Grams + weight · price of the devices it would hold."""
    held = ground.priced[z, k + seats.cells[j]] - ground.priced[z, k]
    return float(emitted(ground, seats, j, z, k) + weight * seats.width[j] * held)


@compiled
def best_seat(ground: Ground, seats: Seats, j: int, weight: float, low: int, high: int) -> tuple[float, int, int]:
    """The cheapest place with room for job `j` in cells low..high-1: (cost, zone, first cell), zone -1 for none.

    Room is looked for from a place's end: a full cell rules out every start up to itself, so that most of a full
    zone is never looked at.
    """
    n = seats.cells[j]
    first, final = max(seats.first[j], low), min(seats.final[j], high - n)
    best, best_z, best_k = np.inf, -1, -1
    for index in range(seats.sets_ptr[seats.places[j]], seats.sets_ptr[seats.places[j] + 1]):
        z = seats.sets[index]
        limit = ground.capacity[z] - seats.width[j] + ROOM
        if limit < 0.0:
            continue
        used = ground.used[z]
        k = free = first  # cells k..free-1 have room
        while k <= final:
            c = k + n - 1
            while c >= free and used[c] <= limit:
                c -= 1
            free = k + n
            if c >= k and used[c] > limit:
                k = c + 1
                continue
            found = cost(ground, seats, j, z, k, weight)
            if found < best:
                best, best_z, best_k = found, z, k
            k += 1
    return best, best_z, best_k


@compiled
def reprice(ground: Ground, price: Floats, per_step: int, cell: float, share: float) -> None:
    """Prices follow use: full room keeps its price, empty room loses `share` of it. Sums them anew."""
    for z in range(price.shape[0]):
        total = 0.0
        for step in range(price.shape[1]):
            held = 0.0
            for c in range(step * per_step, (step + 1) * per_step):
                held += ground.used[z, c]
            moved = share * (held / (per_step * ground.capacity[z]) - 1.0)
            price[z, step] = max(0.0, price[z, step] + moved)
            for c in range(step * per_step, (step + 1) * per_step):
                total += price[z, step] * cell
                ground.priced[z, c + 1] = total


@compiled
def settle(
    order: Ints,
    block: int,
    push: float,
    weight: float,
    seating: Seating,
    ground: Ground,
    seats: Seats,
    price: Floats,
    per_step: int,
    cell: float,
) -> int:
    """Takes each job of `order` out, if it is in, and seats it anew; how many found no seat.

    With `push` above 0 the prices follow: room that stays unused grows cheaper by up to `push` over the pass.
    """
    without = 0
    for begin in range(0, len(order), block):
        until = min(begin + block, len(order))
        if begin == 0 or push > 0.0:
            reprice(ground, price, per_step, cell, push * (until - begin) / len(order))
        for i in range(begin, until):
            j = order[i]
            home = seating.zone[j]
            if home >= 0:
                take(ground, seats, j, home, seating.start[j], -1.0)
            _, z, k = best_seat(ground, seats, j, weight, 0, ground.used.shape[1])
            seating.zone[j], seating.start[j] = z, k
            if z >= 0:
                take(ground, seats, j, z, k, 1.0)
            else:
                without += 1
    return without


@compiled
def carbon(seating: Seating, ground: Ground, seats: Seats) -> float:
    """Grams of all seated jobs."""
    total = 0.0
    for j in range(len(seating.zone)):
        if seating.zone[j] >= 0:
            total += emitted(ground, seats, j, seating.zone[j], seating.start[j])
    return total
