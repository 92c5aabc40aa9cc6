"""What every engine can be asked, and what it says of itself."""

from __future__ import annotations

from typing import Protocol

import msgspec

from heliotrope.run.lifecycle import Sight


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What plans may rely on."""

    suspend: bool = False
    checkpoint: bool = False
    measures: bool = False


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attempt, complete: an engine needs nothing else. `handle` is chosen by us before anything starts."""

    handle: str
    command: tuple[str, ...]
    working_directory: str
    environment: dict[str, str]
    checkpoint: str
    interval_s: float
    meters: tuple[str, ...] = ()
    memory_bytes: int = 0
    cpu_time_s: float | None = None


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
