"""Narrow work laid anew around the wide, by prices of the room that the wide leave.

The prices of all jobs value room as if any job could fill it. What the wide ones leave is worth what the narrow ones
that fit there make of it: found as at first, by asking them, for the room that is left of some hours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heliotrope.plan.joint import dual
from heliotrope.plan.joint.problem import Asks, Floats, Ints, Seats
from heliotrope.plan.joint.seating import seat

# How fast prices move, pass by pass; weights of prices when jobs are seated by them, and how fast those of unused room
# sink then; rounds of seating, in which who found no seat comes earlier (log of its bulk).
PUSHES = tuple(np.geomspace(0.5, 0.01, 20).tolist())
PASSES = ((1.0, 0.1), (1.0, 0.1), (0.7, 0.0), (0.4, 0.0), (0.0, 0.0), (0.0, 0.0))
ROUNDS, EARLIER = 4, 2.0
LEAST_ROOM = 0.5  # devices: what is left of a full cell, so that its price stays finite


class Share(NamedTuple):
    """Some of the jobs and the cells from `low` on that they may use; the room is what the others leave."""

    jobs: Ints
    low: int
    seats: Seats
    ground: seat.Ground
    cell_s: float

    @classmethod
    def of(
        cls, jobs: Ints, low: int, high: int, seating: seat.Seating, ground: seat.Ground, seats: Seats, cell_s: float
    ) -> Share:
        """Jobs that sit within cells low..high-1 and stay there; none of them is seated yet."""
        area = np.ascontiguousarray(ground.area[:, low : high + 1])
        cells = seats.cells[jobs]
        own = Seats(
            np.maximum(seats.first[jobs], low) - low,
            np.minimum(seats.final[jobs], high - cells) - low,
            cells,
            seats.head[jobs],
            seats.tail[jobs],
            seats.width[jobs],
            seats.grams[jobs],
            seats.places[jobs],
            seats.sets,
            seats.sets_ptr,
        )
        here = seat.Ground(ground.capacity, area, np.zeros_like(area), ground.used[:, low:high].copy())
        seat.leave(here, own, seating.zone[jobs], seating.start[jobs] - low)
        return cls(jobs, low, own, here, cell_s)

    @property
    def asks(self) -> Asks:
        s = self.seats
        return Asks(
            (s.first + s.head) * self.cell_s,
            (s.cells - 1 + s.tail - s.head) * self.cell_s,
            (s.final + s.head) * self.cell_s,
            s.width,
            s.grams,
            s.places,
            s.sets,
            s.sets_ptr,
        )

    def prices(self, price: Floats, gram: float, rng: np.random.Generator) -> Floats:
        """Of the room that is left, asked from `price` on; `gram` is the scale of prices."""
        mean, room = price, np.maximum(self.ground.capacity[:, None] - self.ground.used, LEAST_ROOM)
        block, asks = max(16, price.size // 100), self.asks
        priced, curve = np.zeros((price.shape[0], price.shape[1] + 1)), np.empty(price.shape[1] + 1)
        for push in PUSHES:
            mean = np.zeros_like(price)
            order = rng.permutation(len(self.jobs))
            dual.ascend(
                self.ground.area, price, mean, room, self.cell_s, push * gram, order, block, asks, priced, curve
            )
        return mean

    def seated(self, price: Floats, gram: float, rng: np.random.Generator) -> seat.Seating | None:
        """A plan by these prices, then by grams; None where someone finds no seat."""
        seats, n, without = self.seats, len(self.jobs), 1
        seating = seat.Seating(np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64))
        empty, block = self.ground.used.copy(), max(16, price.size // 10)
        choices = seats.sets_ptr[seats.places + 1] - seats.sets_ptr[seats.places]
        rank = np.log(seats.width * seats.cells / (choices * (1.0 + (seats.final - seats.first) / seats.cells)))
        for _ in range(ROUNDS):
            seating.zone[:] = -1
            self.ground.used[:] = empty
            order = np.argsort(-rank)
            without = seat.settle(order, block, 0.0, 1.0, seating, self.ground, seats, price, 1, self.cell_s)
            if not without:
                break
            rank[seating.zone < 0] += EARLIER
        if without:
            return None
        for weight, push in PASSES:
            order = rng.permutation(n)
            seat.settle(order, block, push * gram, weight, seating, self.ground, seats, price, 1, self.cell_s)
        return seating


def relay(
    share: Share, seating: seat.Seating, ground: seat.Ground, price: Floats, gram: float, rng: np.random.Generator
) -> None:
    """Lays the share's jobs anew, and leaves them as they were where that saves nothing."""
    was = seat.Seating(seating.zone[share.jobs], seating.start[share.jobs] - share.low)
    before = seat.carbon(was, share.ground, share.seats)
    cells = slice(share.low, share.low + share.ground.used.shape[1])
    found = share.seated(share.prices(price[:, cells].copy(), gram, rng), gram, rng)
    if found is None or seat.carbon(found, share.ground, share.seats) >= before:
        return
    ground.used[:, cells] = share.ground.used
    seating.zone[share.jobs], seating.start[share.jobs] = found.zone, found.start + share.low
