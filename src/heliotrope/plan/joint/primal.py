"""Plans that hold: jobs put where there is room at every instant, moved while it helps, made room for where stuck."""

# ruff: noqa: NPY002 — compiled loops know no other generator than the seeded one.
from __future__ import annotations

import numpy as np

from heliotrope.plan.joint.problem import Floats, Ints
from heliotrope.plan.kernels.jit import compiled

ROOM = 1e-9  # of a device


@compiled
def take(used: Floats, z: int, start: int, cells: int, width: float) -> None:
    for k in range(start, start + cells):
        used[z, k] += width


@compiled
def burnt(area: Floats, z: int, k: int, n: int, head: float, tail: float) -> float:
    """Integral of intensity from `head` of cell k to `tail` of cell k+n-1."""
    start = area[z, k] + head * (area[z, k + 1] - area[z, k])
    last = k + n - 1
    burnt_area: float = area[z, last] + tail * (area[z, last + 1] - area[z, last]) - start
    return burnt_area


@compiled
def seat(
    used: Floats,
    capacity: Floats,
    area: Floats,
    priced: Floats,
    weight: float,
    first: Ints,
    final: Ints,
    cells: Ints,
    head: Floats,
    tail: Floats,
    width: Floats,
    grams: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    j: int,
) -> tuple[float, int, int]:
    """The best place with room for job `j` by grams + weight · price: (cost, zone, first cell), zone -1 if none."""
    w, g, n, begin, end = width[j], grams[j], cells[j], first[j], final[j]
    best, best_z, best_k = np.inf, -1, -1
    for index in range(sets_ptr[places[j]], sets_ptr[places[j] + 1]):
        z = sets[index]
        limit = capacity[z] - w + ROOM
        if limit < 0.0:
            continue
        open_since = begin
        for k in range(begin, begin + n - 1):
            if used[z, k] > limit:
                open_since = k + 1
        for k in range(begin, end + 1):
            if used[z, k + n - 1] > limit:
                open_since = k + n
            if open_since > k:
                continue
            cost = g * burnt(area, z, k, n, head[j], tail[j]) + weight * w * (priced[z, k + n] - priced[z, k])
            if cost < best:
                best, best_z, best_k = cost, z, k
    return best, best_z, best_k


@compiled
def settle(
    order: Ints,
    block: int,
    push: float,
    zone: Ints,
    start: Ints,
    used: Floats,
    capacity: Floats,
    area: Floats,
    price: Floats,
    per_step: int,
    cell: float,
    weight: float,
    first: Ints,
    final: Ints,
    cells: Ints,
    head: Floats,
    tail: Floats,
    width: Floats,
    grams: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
) -> int:
    """Takes each job of `order` out, if it is in, and seats it anew; how many found no seat.

    With `push` above 0 the prices follow: room that stays unused grows cheaper by up to `push` over the pass.
    """
    n_zones, n_steps = price.shape
    priced = np.zeros((n_zones, n_steps * per_step + 1))
    without = 0
    for begin in range(0, len(order), block):
        until = min(begin + block, len(order))
        share = push * (until - begin) / len(order)
        if begin == 0 or push > 0.0:
            for z in range(n_zones):
                total = 0.0
                for step in range(n_steps):
                    held = 0.0
                    for c in range(step * per_step, (step + 1) * per_step):
                        held += used[z, c]
                    price[z, step] = max(0.0, price[z, step] + share * (held / (per_step * capacity[z]) - 1.0))
                    for c in range(step * per_step, (step + 1) * per_step):
                        total += price[z, step] * cell
                        priced[z, c + 1] = total
        for i in range(begin, until):
            j = order[i]
            if zone[j] >= 0:
                take(used, zone[j], start[j], cells[j], -width[j])
            _, z, k = seat(
                used,
                capacity,
                area,
                priced,
                weight,
                first,
                final,
                cells,
                head,
                tail,
                width,
                grams,
                places,
                sets,
                sets_ptr,
                j,
            )
            zone[j], start[j] = z, k
            if z >= 0:
                take(used, z, k, cells[j], width[j])
            else:
                without += 1
    return without


@compiled
def carbon(zone: Ints, start: Ints, area: Floats, cells: Ints, head: Floats, tail: Floats, grams: Floats) -> float:
    """Grams of all seated jobs."""
    total = 0.0
    for j in range(len(zone)):
        if zone[j] >= 0:
            total += grams[j] * burnt(area, zone[j], start[j], cells[j], head[j], tail[j])
    return total


@compiled
def crowd_in(
    j: int,
    zone: Ints,
    start: Ints,
    pushed: Ints,
    used: Floats,
    capacity: Floats,
    out: Ints,
    first: Ints,
    final: Ints,
    cells: Ints,
    width: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
) -> int:
    """Seats a stuck job where the least must give way, and puts those who give way in `out`; how many did.

    `pushed[i]` counts how often job i gave way before: who did is spared, so that two jobs cannot push each other
    for ever.
    """
    w, n = width[j], cells[j]
    best, best_z, best_k = np.inf, -1, -1
    for index in range(sets_ptr[places[j]], sets_ptr[places[j] + 1]):
        z = sets[index]
        if capacity[z] + ROOM < w:
            continue
        excess = 0.0
        for k in range(first[j], first[j] + n - 1):
            excess += max(0.0, used[z, k] + w - capacity[z])
        for k in range(first[j], final[j] + 1):
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
            if zone[i] == z and start[i] <= worst < start[i] + cells[i]:
                choices = (sets_ptr[places[i] + 1] - sets_ptr[places[i]]) * (1.0 + final[i] - first[i])
                short = max(0.0, over - width[i])
                burden = (width[i] * cells[i] + 10.0 * short * n) * (1.0 + 4.0 * pushed[i]) / choices
                if burden < least:
                    chosen, least = i, burden
        take(used, z, start[chosen], cells[chosen], -width[chosen])
        zone[chosen] = -1
        pushed[chosen] += 1
        out[gone] = chosen
        gone += 1
    zone[j], start[j] = z, k
    take(used, z, k, n, w)
    return gone


@compiled
def reseed(seed: int) -> None:
    np.random.seed(seed)


@compiled
def wish(
    area: Floats,
    priced: Floats,
    weight: float,
    noise: float,
    first: Ints,
    final: Ints,
    cells: Ints,
    head: Floats,
    tail: Floats,
    width: Floats,
    grams: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    capacity: Floats,
    j: int,
) -> tuple[int, int]:
    """Where job `j` would sit by price if all room were free, give or take `noise`: (zone, first cell)."""
    best, best_z, best_k = np.inf, -1, -1
    for index in range(sets_ptr[places[j]], sets_ptr[places[j] + 1]):
        z = sets[index]
        if capacity[z] + ROOM < width[j]:
            continue
        for k in range(first[j], final[j] + 1):
            cost = grams[j] * burnt(area, z, k, cells[j], head[j], tail[j])
            cost += weight * width[j] * (priced[z, k + cells[j]] - priced[z, k])
            cost *= 1.0 + noise * np.random.random()
            if cost < best:
                best, best_z, best_k = cost, z, k
    return best_z, best_k


@compiled
def clear(
    j: int,
    z: int,
    k: int,
    zone: Ints,
    start: Ints,
    used: Floats,
    capacity: Floats,
    first: Ints,
    cells: Ints,
    width: Floats,
    widest: int,
    by_zone: Ints,
    begin: int,
    end: int,
    gone: Ints,
) -> int:
    """Takes jobs out of zone z, in no order, until `j` fits at cell k; how many, or -1 where `gone` has no space.

    `by_zone[begin:end]`: jobs allowed in z by first start; no job's window is longer than `widest` cells.
    """
    until = k + cells[j]
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if first[by_zone[middle]] < k - widest:
            low = middle + 1
        else:
            high = middle
    high = low
    while high < end and first[by_zone[high]] < until:
        high += 1
    span = high - low
    n = 0
    over = False
    for c in range(k, until):
        over = over or used[z, c] + width[j] > capacity[z] + ROOM
    if span == 0 or not over:
        return -1 if over else 0
    offset = np.random.randint(span)
    for step in range(span):
        i = by_zone[low + (offset + step) % span]
        if zone[i] != z or i == j or start[i] >= until or start[i] + cells[i] <= k:
            continue
        helps = False
        for c in range(max(k, start[i]), min(until, start[i] + cells[i])):
            helps = helps or used[z, c] + width[j] > capacity[z] + ROOM
        if not helps:
            continue
        if n == len(gone):
            return -1 - n
        take(used, z, start[i], cells[i], -width[i])
        gone[n] = i
        n += 1
        over = False
        for c in range(k, until):
            over = over or used[z, c] + width[j] > capacity[z] + ROOM
        if not over:
            return n
    return -1 - n


@compiled
def trade(
    rounds: int,
    most: int,
    widest: int,
    zone: Ints,
    start: Ints,
    used: Floats,
    capacity: Floats,
    area: Floats,
    priced: Floats,
    by_zone: Ints,
    ptr: Ints,
    first: Ints,
    final: Ints,
    cells: Ints,
    head: Floats,
    tail: Floats,
    width: Floats,
    grams: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
) -> float:
    """Puts a job where it wishes to be, seats those in its way anew, and keeps what saves grams.

    Returns the grams saved in `rounds` tries.
    """
    saved = 0.0
    gone = np.empty(most, dtype=np.int64)
    old_z, old_k = np.empty_like(gone), np.empty_like(gone)
    rank = np.empty(most)
    for _ in range(rounds):
        j, stake = -1, -1.0
        for _ in range(3):
            i = np.random.randint(len(zone))
            weighed = width[i] * cells[i] * np.random.random()
            if weighed > stake:
                j, stake = i, weighed
        weight = np.random.random() * 1.1
        z, k = wish(
            area,
            priced,
            weight,
            0.05 * np.random.random(),
            first,
            final,
            cells,
            head,
            tail,
            width,
            grams,
            places,
            sets,
            sets_ptr,
            capacity,
            j,
        )
        was_z, was_k = zone[j], start[j]
        if z == was_z and k == was_k:
            continue
        take(used, was_z, was_k, cells[j], -width[j])
        n = clear(j, z, k, zone, start, used, capacity, first, cells, width, widest, by_zone, ptr[z], ptr[z + 1], gone)
        fits = n >= 0
        n = n if fits else -1 - n
        before = grams[j] * burnt(area, was_z, was_k, cells[j], head[j], tail[j])
        for i in range(n):
            o = gone[i]
            old_z[i], old_k[i] = zone[o], start[o]
            before += grams[o] * burnt(area, zone[o], start[o], cells[o], head[o], tail[o])
            rank[i] = width[o] * cells[o] * (0.5 + np.random.random())
        after, placed = 0.0, 0
        order = np.argsort(-rank[:n])
        if fits:
            take(used, z, k, cells[j], width[j])
            after = grams[j] * burnt(area, z, k, cells[j], head[j], tail[j])
            for i in order:
                o = gone[i]
                _, to, at = seat(
                    used,
                    capacity,
                    area,
                    priced,
                    weight,
                    first,
                    final,
                    cells,
                    head,
                    tail,
                    width,
                    grams,
                    places,
                    sets,
                    sets_ptr,
                    o,
                )
                if to < 0:
                    break
                after += grams[o] * burnt(area, to, at, cells[o], head[o], tail[o])
                zone[o], start[o] = to, at
                take(used, to, at, cells[o], width[o])
                placed += 1
                if after >= before:
                    break
            if placed == n and after < before:
                zone[j], start[j] = z, k
                saved += before - after
                continue
            take(used, z, k, cells[j], -width[j])
        for i in order[:placed]:
            take(used, zone[gone[i]], start[gone[i]], cells[gone[i]], -width[gone[i]])
        for i in range(n):
            zone[gone[i]], start[gone[i]] = old_z[i], old_k[i]
            take(used, old_z[i], old_k[i], cells[gone[i]], width[gone[i]])
        take(used, was_z, was_k, cells[j], width[j])
    return saved
