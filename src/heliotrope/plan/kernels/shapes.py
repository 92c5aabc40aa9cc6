"""What kernels take and give: a chunk of jobs, the zones' curves, and slots in flat arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]


class Lines(NamedTuple):
    """`Curves` as loops take them."""

    values: Floats
    area: Floats
    step: float


class Jobs(NamedTuple):
    """`Batch` as loops take it."""

    submitted: Floats
    length: Floats
    slack: Floats
    devices: Floats
    watts: Floats
    pausable: Bytes
    movable: Bytes
    places: Ints
    sets: Ints
    sets_ptr: Ints


class Pieces(NamedTuple):
    """Room for slots, which a loop fills from the first row on."""

    job: Ints
    zone: Ints
    start: Floats
    end: Floats


class Curves(msgspec.Struct, frozen=True, eq=False):
    """`values[z, i]` holds over [i*step_s, (i+1)*step_s), seconds since the grid's first hour; g/kWh.

    `values` has one column more than there are steps, so that a time at the very end can be looked up.
    `area[z, i]` is the integral from 0 to i*step_s, in (g/kWh)·s.
    """

    zones: tuple[str, ...]
    step_s: float
    values: Floats
    area: Floats

    @classmethod
    def of(cls, zones: tuple[str, ...], values: Floats, step_s: float = 3600.0) -> Curves:
        padded = np.concatenate([values, values[:, -1:]], axis=1)
        area = np.zeros_like(padded)
        np.cumsum(values * step_s, axis=1, out=area[:, 1:])
        return cls(zones, float(step_s), np.ascontiguousarray(padded), area)

    @property
    def lines(self) -> Lines:
        return Lines(self.values, self.area, self.step_s)

    @property
    def steps(self) -> int:
        return int(self.values.shape[1]) - 1

    @property
    def end_s(self) -> float:
        return self.steps * self.step_s


class Batch(msgspec.Struct, frozen=True, eq=False):
    """A chunk of jobs by column. Times are seconds since the grid's first hour.

    `slack_s`: how long a job may wait in all, so deadline = submitted + length + slack.
    `places`: which row of `sets` (zones allowed, home first) each job has; `sets_ptr` delimits the rows.
    `power_w` is the whole draw of a running job; `devices` what it holds.
    """

    first: int
    submitted_s: Floats
    length_s: Floats
    devices: Floats
    power_w: Floats
    slack_s: Floats
    pausable: Bytes
    movable: Bytes
    places: Ints
    sets: Ints
    sets_ptr: Ints
    flexible: bool
    ids: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.submitted_s)

    @property
    def jobs(self) -> Jobs:
        return Jobs(
            self.submitted_s,
            self.length_s,
            self.slack_s,
            self.devices,
            self.power_w,
            self.pausable,
            self.movable,
            self.places,
            self.sets,
            self.sets_ptr,
        )

    @property
    def home(self) -> Ints:
        """The zone where each job would run if nobody chose."""
        return self.sets[self.sets_ptr[self.places]]

    def home_only(self) -> Batch:
        """The same jobs, each allowed its home zone only."""
        if len(self.sets) == len(self.sets_ptr) - 1:
            return self
        homes, places = np.unique(self.home, return_inverse=True)
        return msgspec.structs.replace(
            self,
            places=places.astype(np.int32),
            sets=homes.astype(np.int32),
            sets_ptr=np.arange(len(homes) + 1, dtype=np.int32),
        )

    def take(self, rows: Any) -> Batch:
        """The same columns, some of the rows."""
        columns = ("submitted_s", "length_s", "devices", "power_w", "slack_s", "pausable", "movable", "places")
        return msgspec.structs.replace(
            self,
            ids=None if self.ids is None else tuple(np.asarray(self.ids, dtype=object)[rows]),
            **{name: getattr(self, name)[rows] for name in columns},
        )


class Slots(msgspec.Struct, frozen=True, eq=False):
    """Row i: job `job[i]` (its place in the batch) runs in zone `zone[i]` over [start_s, end_s). By job, then time."""

    job: Ints
    zone: Ints
    start_s: Floats
    end_s: Floats

    def __len__(self) -> int:
        return len(self.job)

    def only(self, keep: npt.NDArray[np.bool_]) -> Slots:
        """The slots of the jobs kept, renumbered as `Batch.take(keep)` renumbers them."""
        rows = keep[self.job]
        place = (np.cumsum(keep) - 1).astype(np.int32)
        return Slots(place[self.job[rows]], self.zone[rows], self.start_s[rows], self.end_s[rows])

    @classmethod
    def whole(cls, batch: Batch, start_s: Floats, zone: Ints | None = None) -> Slots:
        """One slot a job."""
        return cls(
            np.arange(len(batch), dtype=np.int32),
            batch.home if zone is None else zone.astype(np.int32),
            start_s,
            start_s + batch.length_s,
        )
