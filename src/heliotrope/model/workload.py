"""What someone wants run."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class WorkloadKind(StrEnum):
    TRAIN = "train"
    FINETUNE = "finetune"
    INFER = "infer"
    BATCH = "batch"
    FEDERATE = "federate"
    SLIM = "slim"


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of width needs while it runs, and may not exceed where the engine can hold it to that.

    `power_w` is a declared draw; None lets devices say. `memory_bytes` 0 and `cpu_time_s` None: no limit.
    """

    cpus: Positive = 1.0
    devices: Annotated[int, msgspec.Meta(ge=0)] = 0
    device_kind: str | None = None
    memory_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    cpu_time_s: Positive | None = None
    power_w: Positive | None = None


class Length(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of running at width 1. Known when low == high; else 90 % lie between."""

    expected_s: Positive
    low_s: Positive
    high_s: Positive

    def __post_init__(self) -> None:
        if not self.low_s <= self.expected_s <= self.high_s:
            raise ValueError("a length needs low_s <= expected_s <= high_s")

    @classmethod
    def known(cls, seconds: float) -> Length:
        return cls(seconds, seconds, seconds)


class PauseBy(StrEnum):
    """Signal: stopped in memory. Checkpoint: told to save and exit, started again later."""

    SIGNAL = "signal"
    CHECKPOINT = "checkpoint"


class PowerCap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cap the work may run under. `power_w`: IT watts of width 1 then; `speed`: relative to no cap."""

    power_w: Positive
    speed: Annotated[float, msgspec.Meta(gt=0, le=1)]


class Flexibility(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the work allows and what each costs.

    `pause_cost_s`: seconds of running lost by one pause and resume (start-up, re-reading, repeated steps).
    `speedup[k-1]`: speed at width k relative to width 1, of any shape. `caps`: power caps it may be run under.
    Who may pause may change width and cap at the same cost; else one width and cap hold throughout.
    """

    pausable: bool = False
    pause_by: PauseBy = PauseBy.SIGNAL
    pause_cost_s: NonNegative = 0.0
    movable: bool = False
    move_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    speedup: tuple[Positive, ...] = (1.0,)
    caps: tuple[PowerCap, ...] = ()

    @property
    def max_width(self) -> int:
        return len(self.speedup)

    @property
    def moves(self) -> bool:
        """Whether it can go on at another site in the middle."""
        return self.pausable and self.movable and self.pause_by is PauseBy.CHECKPOINT


class DataNeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Data the work reads. `jurisdictions` empty: it may go anywhere. `held_at`: the site that has it now."""

    name: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    jurisdictions: tuple[str, ...] = ()
    held_at: str | None = None


class LatencyBound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Round trip between `to` (a site) and wherever this runs."""

    to: str
    limit_ms: Positive


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    carbon_g: Positive | None = None
    cost: Positive | None = None


class Lateness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deadline with a price: each hour after `due` counts as `g_per_h` grams and `cost_per_h` EUR."""

    due: Aware
    g_per_h: NonNegative = 0.0
    cost_per_h: NonNegative = 0.0


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`not_before` and `deadline` bound when it runs; both may be absent. `late`: a deadline that has a price instead.

    `engine_options`: what only one kind of engine understands, as in `slurm.partition`; the others pass over it.
    """

    id: str
    kind: WorkloadKind
    command: tuple[str, ...]
    submitted_at: Aware
    length: Length
    resources: Resources = Resources()
    flexibility: Flexibility = Flexibility()
    not_before: Aware | None = None
    deadline: Aware | None = None
    late: Lateness | None = None
    sites: tuple[str, ...] = ()
    data: tuple[DataNeed, ...] = ()
    latency: LatencyBound | None = None
    organisation: str = "me"
    budget: Budget = Budget()
    working_directory: str = ""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    max_attempts: Annotated[int, msgspec.Meta(ge=1)] = 5
    engine_options: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError("a workload needs a command")
        earliest = max(self.submitted_at, self.not_before or self.submitted_at)
        if self.deadline is not None and self.deadline <= earliest:
            raise ValueError("the deadline lies before the earliest start")
