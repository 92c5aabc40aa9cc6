"""The joint problem as flat arrays: who needs how much, from when to when, where; and the room there is."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Batch, Curves
from heliotrope.units import J_PER_KWH

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Finest first would be exact for any clock; coarser cells are taken where the jobs' own clock allows it.
CELLS_S = (3600.0, 1800.0, 900.0, 600.0, 300.0)


class Asks(NamedTuple):
    """What loops take of the jobs, in seconds; the columns of `Problem`."""

    release: Floats
    length: Floats
    latest: Floats
    width: Floats
    grams: Floats
    places: Ints
    sets: Ints
    sets_ptr: Ints


class Seats(NamedTuple):
    """The same on cells: first and last start, cells held, and what part of the first lies before the start and of
    the last is in use.
    """

    first: Ints
    final: Ints
    cells: Ints
    head: Floats
    tail: Floats
    width: Floats
    grams: Floats
    places: Ints
    sets: Ints
    sets_ptr: Ints


class Problem(msgspec.Struct, frozen=True, eq=False):
    """Times in seconds from the grid's start. Room is held in whole cells, so at no instant is more used than there is.

    `grams[j]` per second and g/kWh of intensity; `width[j]` devices; `sets`/`sets_ptr` the zones of each `place`.
    """

    release: Floats
    length: Floats
    latest: Floats
    width: Floats
    grams: Floats
    places: Ints
    sets: Ints
    sets_ptr: Ints
    pausable: Flags
    values: Floats
    step_s: float
    cell_s: float
    capacity: Floats
    zones: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.release)

    @property
    def asks(self) -> Asks:
        return Asks(
            self.release, self.length, self.latest, self.width, self.grams, self.places, self.sets, self.sets_ptr
        )

    @property
    def seats(self) -> Seats:
        """A job starts at a cell's edge; where its window holds no edge, at its release."""
        early = np.ceil(self.release / self.cell_s - 1e-9)
        stuck = np.floor(self.latest / self.cell_s + 1e-9) < early
        head = np.where(stuck, self.release / self.cell_s - np.floor(self.release / self.cell_s), 0.0)
        first = np.where(stuck, np.floor(self.release / self.cell_s), early).astype(np.int64)
        span = head + self.length / self.cell_s
        cells = np.maximum(np.ceil(span - 1e-9), 1.0).astype(np.int64)
        room = self.values.shape[1] * self.per_step - cells
        final = np.where(stuck, first, np.floor(self.latest / self.cell_s + 1e-9)).astype(np.int64)
        return Seats(
            first,
            np.minimum(final, room),
            cells,
            head,
            span - (cells - 1),
            self.width,
            self.grams,
            self.places,
            self.sets,
            self.sets_ptr,
        )

    @property
    def area(self) -> Floats:
        """Integral of intensity at the steps' edges, (g/kWh)·s."""
        return _summed(self.values, self.step_s)

    @property
    def fine_area(self) -> Floats:
        """The same at the cells' edges."""
        return _summed(np.repeat(self.values, self.per_step, axis=1), self.cell_s)

    @property
    def per_step(self) -> int:
        return round(self.step_s / self.cell_s)

    @property
    def by_cell(self) -> Problem:
        """The same problem with a step for each cell, so that prices may differ within the hour."""
        if self.per_step == 1:
            return self
        return msgspec.structs.replace(self, values=np.repeat(self.values, self.per_step, axis=1), step_s=self.cell_s)

    def only(self, jobs: Ints) -> Problem:
        """The same ground with these jobs alone."""
        columns = ("release", "length", "latest", "width", "grams", "places", "pausable")
        return msgspec.structs.replace(self, **{name: getattr(self, name)[jobs] for name in columns})

    @property
    def on_cells(self) -> bool:
        """Then some plan starts at cells' edges only, if there is any: each job of a plan may be pushed to the left."""
        return _falls_on(self.cell_s, self.release, self.length, self.latest)

    @property
    def mean_gram(self) -> float:
        """Grams a device-second costs on average: the scale of prices."""
        return float(self.values.mean() * self.grams.sum() / self.width.sum())

    @property
    def load(self) -> float:
        """Work over room: above 1 no plan exists."""
        return float((self.width * self.length).sum() / (self.capacity.sum() * self.values.shape[1] * self.step_s))


def _summed(values: Floats, step_s: float) -> Floats:
    out = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values * step_s, axis=1, out=out[:, 1:])
    return out


def problem(batch: Batch, curves: Curves, capacity: tuple[float, ...]) -> Problem:
    """Lays jobs on cells: the coarsest that every job's clock falls on, else five minutes."""
    if not len(batch):
        raise InvalidInput("there is no job to plan", field="jobs")
    if len(capacity) != len(curves.zones):
        raise InvalidInput("one capacity a zone", field="capacity", found=len(capacity), allowed=str(len(curves.zones)))
    release, length = batch.submitted_s, batch.length_s
    latest = release + np.maximum(batch.slack_s, 0.0)
    cell_s = _cell(curves.step_s, release, length, latest)
    return Problem(
        release=np.ascontiguousarray(release),
        length=np.ascontiguousarray(length),
        latest=np.ascontiguousarray(latest),
        width=np.ascontiguousarray(batch.devices, dtype=np.float64),
        grams=batch.power_w / J_PER_KWH,
        places=batch.places.astype(np.int64),
        sets=batch.sets.astype(np.int64),
        sets_ptr=batch.sets_ptr.astype(np.int64),
        pausable=batch.pausable != 0,
        values=np.ascontiguousarray(curves.values[:, : curves.steps]),
        step_s=curves.step_s,
        cell_s=cell_s,
        capacity=np.array(capacity, dtype=np.float64),
        zones=curves.zones,
    )


def _cell(step_s: float, *clocks: Floats) -> float:
    for cell_s in CELLS_S:
        if cell_s <= step_s and step_s % cell_s == 0 and _falls_on(cell_s, *clocks):
            return cell_s
    return min(CELLS_S[-1], step_s)


def _falls_on(cell_s: float, *clocks: Floats) -> bool:
    return max(float(np.abs(clock / cell_s - np.rint(clock / cell_s)).max()) for clock in clocks) < 1e-6
