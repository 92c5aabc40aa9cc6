"""What every engine can be asked, and what it says of itself."""

from __future__ import annotations

from typing import Protocol

import msgspec

from heliotrope.run.lifecycle import Sight


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What plans may rely on.

    `queues`: it may wait before it begins. `holds`: what waits can be held back, and let go. `requeues`: the engine
    itself may take one back and begin it again, within one attempt. `power_pool`: it keeps a pool of watts.
    `caps`: it holds a slot's power cap on its devices.
    """

    suspend: bool = False
    checkpoint: bool = False
    measures: bool = False
    queues: bool = False
    holds: bool = False
    requeues: bool = False
    power_pool: bool = False
    caps: bool = False


class Left(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state that lies ready to be fetched: which, and the site that an attempt before left it at."""

    site: str
    digest: str


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attempt, complete: an engine needs nothing else. `handle` is chosen by us before anything starts.

    `left`: what has to lie at `checkpoint` before it begins, where whoever begins it has to fetch it.

    `cpus`, `devices` and `power_w` are of one unit of width, `power_cap_w` of the whole. `options` are the work's own,
    as in `slurm.partition`.
    """

    handle: str
    command: tuple[str, ...]
    working_directory: str
    environment: dict[str, str]
    checkpoint: str
    interval_s: float
    meters: tuple[str, ...] = ()
    memory_bytes: int = 0
    cpu_time_s: float | None = None
    width: int = 1
    cpus: float = 1.0
    devices: int = 0
    device_kind: str | None = None
    power_w: float | None = None
    power_cap_w: float | None = None
    organisation: str = ""
    site: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    left: Left | None = None


class Engine(Protocol):
    """Every call may be repeated without harm."""

    name: str
    capabilities: Capabilities

    def launch(self, task: Task) -> None: ...
    def observe(self, handle: str) -> Sight: ...
    def pause(self, handle: str) -> None: ...
    def resume(self, handle: str) -> None: ...
    def save(self, handle: str) -> None: ...
    def kill(self, handle: str) -> None: ...
    def reap(self, handle: str) -> None: ...
