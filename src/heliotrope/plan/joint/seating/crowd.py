"""A stuck job crowds in: it takes the place where others lose least, and those find places anew."""

# ruff: noqa: NPY002 — compiled loops know no other generator than the seeded one.
from __future__ import annotations

import numpy as np

from heliotrope.plan.joint.problem import Ints, Seats
from heliotrope.plan.joint.seating.seat import ROOM, Ground, Seating, take
from heliotrope.plan.kernels.jit import compiled


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
