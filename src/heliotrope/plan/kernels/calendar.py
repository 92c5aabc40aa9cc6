"""Devices promised, in cells of five minutes: a reservation once made is kept, and no later job can delay it."""

from __future__ import annotations

import math

import numpy as np

from heliotrope.plan.kernels.loops import reserve
from heliotrope.plan.kernels.loops.cheapest import Ranks
from heliotrope.plan.kernels.shapes import Batch, Bytes, Curves, Pieces, Slots
from heliotrope.plan.kernels.solve import filled, room_for

CELL_S = 300.0


class Calendar:
    """The cells of every zone, over the grid's whole length (conservative backfilling)."""

    def __init__(self, curves: Curves, limits: tuple[float, ...]) -> None:
        self._lines = curves.lines
        used = np.zeros((len(curves.zones), math.ceil(curves.end_s / CELL_S)))
        self._cells = reserve.Cells(used, np.array(limits, dtype=np.float64), CELL_S)

    def follow(self, batch: Batch, wished: Slots, stuck: Bytes) -> Slots:
        """What a policy wished, queued for devices; marks in `stuck` the jobs that found none."""
        start, end = np.empty(len(wished)), np.empty(len(wished))
        pieces = Pieces(wished.job, wished.zone, wished.start_s, wished.end_s)
        reserve.follow(self._cells, batch.devices, pieces, start, end, stuck)
        return Slots(wished.job, wished.zone, start, end)

    def choose(self, batch: Batch, stuck: Bytes) -> Slots:
        """Ours: the cleanest of what is free; marks in `stuck` the jobs that found nothing."""
        room = room_for(int((batch.length_s / CELL_S + 3).sum()))
        ranks = Ranks.room(len(self._cells.limits), self._lines.step, batch.jobs)
        take, kept = np.empty((2, ranks.whole.shape[1]))
        return filled(room, reserve.choose(self._lines, self._cells, batch.jobs, ranks, take, kept, room, stuck))
