"""One attempt to carry out a plan."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from heliotrope.model.workload import Aware


class RunState(StrEnum):
    """waiting → starting → running ⇄ paused → ended in one of the last five.

    `moved`: what it saved goes to another site, where another attempt goes on.
    """

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    MOVED = "moved"

    @property
    def ended(self) -> bool:
        return self in {RunState.DONE, RunState.FAILED, RunState.CANCELLED, RunState.LOST, RunState.MOVED}


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`handle` is the engine's own name for it, enough to find it again after a crash of ours."""

    id: str
    workload: str
    state: RunState
    created_at: Aware
    attempt: Annotated[int, msgspec.Meta(ge=1)] = 1
    site: str = ""
    zone: str = ""
    engine: str = ""
    handle: str = ""
    slot: int = 0
    started_at: Aware | None = None
    ended_at: Aware | None = None
    exit_code: int | None = None
    reason: str = ""
    checkpoints: tuple[str, ...] = ()
    receipt: str = ""
    clock_factor: float = 1.0
