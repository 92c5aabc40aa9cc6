"""The life of a run, pure: what is known and what is seen go in, the next state and what to do come out.

Level-triggered: it never asks what happened before, only how things stand. Asking twice gives the same answer.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from heliotrope.model import PauseBy, Plan, Run, RunState, Slot, Workload
from heliotrope.units import epoch_s

# How a command says that it saved its state and would go on later: sysexits' EX_TEMPFAIL, or a shell's "by SIGTERM".
SAVED = frozenset({75, 143})
MADE_ROOM = "made room for the owner"
SAME_S = 900.0  # by which the edges of a plan under way may differ: what is left is known that well


class Seen(StrEnum):
    """How the engine finds a run.

    `queued`: the engine has it and has not begun it. `gone`: it began and has no keeper and no exit any more.
    """

    ABSENT = "absent"
    QUEUED = "queued"
    ALIVE = "alive"
    EXITED = "exited"
    GONE = "gone"


class Sight(msgspec.Struct, frozen=True):
    """`code` is an exit code, or minus the signal that ended it; `why` says what kept it from beginning at all."""

    seen: Seen
    code: int | None = None
    why: str = ""


class Do(StrEnum):
    """What the controller has to do; each may be done again without harm."""

    NOTHING = "nothing"
    CARRY = "carry"
    LAUNCH = "launch"
    PAUSE = "pause"
    RESUME = "resume"
    SAVE = "save"
    KILL = "kill"
    REAP = "reap"


class Turn(StrEnum):
    """What sharing says of it at this moment: it may run, has to wait for room, or has to make room."""

    GO = "go"
    WAIT = "wait"
    LEAVE = "leave"


class Step(msgspec.Struct, frozen=True):
    """`again`: this attempt is over, another may begin. `wake_s`: when to look again, none for "when it changes"."""

    state: RunState
    do: Do = Do.NOTHING
    slot: int = 0
    exit_code: int | None = None
    reason: str = ""
    again: bool = False
    wake_s: float | None = None


def step(
    state: RunState,
    slot: int,
    attempt: int,
    workload: Workload,
    plan: Plan,
    sight: Sight,
    now_s: float,
    *,
    cancel_s: float | None = None,
    grace_s: float = 0.0,
    turn: Turn = Turn.GO,
    leave_s: float | None = None,
    here: str = "",
    arrived: bool = True,
) -> Step:
    """`cancel_s`: since when somebody wants it over. `grace_s`: what it gets to save its state before it is killed.

    `leave_s`: since when it has to make room. `attempt` counts those that ended by a fault, not those that made room.
    `here`: the site that it began at, empty where it did not yet. `arrived`: what an attempt before it saved is there.
    """
    if state.ended:
        return Step(state, slot=slot)
    if sight.seen is Seen.EXITED:
        return _exited(
            state,
            slot,
            attempt,
            workload,
            plan,
            sight,
            cancelled=cancel_s is not None,
            leaving=leave_s is not None,
            here=here,
            early=_early(plan, slot, now_s),
        )
    if sight.seen is Seen.GONE:
        if cancel_s is not None:
            return Step(RunState.CANCELLED, Do.REAP, slot, reason="cancelled")
        return _lost(slot, attempt, workload, "whoever kept it vanished")
    if cancel_s is not None:
        if sight.seen is Seen.ABSENT:
            return Step(RunState.CANCELLED, slot=slot, reason="cancelled while nothing of it ran")
        return _leave(RunState.CANCELLING, slot, cancel_s + grace_s, now_s)
    if turn is Turn.LEAVE and sight.seen in {Seen.ALIVE, Seen.QUEUED}:
        if workload.flexibility.pause_by is PauseBy.SIGNAL:
            return Step(RunState.PAUSED, Do.PAUSE, slot, reason=MADE_ROOM)
        return _leave(RunState.PAUSING, slot, (now_s if leave_s is None else leave_s) + grace_s, now_s)
    site = plan.slots[slot].site
    if here not in {"", site} and workload.flexibility.pause_by is PauseBy.CHECKPOINT:
        # Planned anew while under way: it leaves now, and another attempt goes on there.
        if sight.seen is Seen.ABSENT:
            return Step(RunState.MOVED, slot=slot, reason=_goes_on(plan, site), again=True)
        return _leave(RunState.PAUSING, slot, epoch_s(plan.made_at) + grace_s, now_s)
    return _on_plan(state, slot, workload, plan, sight.seen, now_s, grace_s, may=turn is Turn.GO, arrived=arrived)


def slot_at(plan: Plan, now_s: float) -> int:
    """The slot that a new attempt belongs to: the first that is not over, else the last."""
    ahead = (i for i, slot in enumerate(plan.slots) if epoch_s(slot.end) > now_s)
    return next(ahead, len(plan.slots) - 1)


def _early(plan: Plan, slot: int, now_s: float) -> bool:
    """Planned anew for later while under way; not merely a clock that was set back."""
    return epoch_s(plan.made_at) <= now_s < epoch_s(plan.slots[slot].start)


def says_the_same(old: Sequence[Slot], new: Sequence[Slot], *, under_way: bool) -> bool:
    """Nothing worth a change. `under_way`: the first slot has begun, and the new one begins now."""
    if len(old) != len(new):
        return False
    for number, (one, other) in enumerate(zip(old, new, strict=True)):
        if (one.site, one.width, one.power_cap_w) != (other.site, other.width, other.power_cap_w):
            return False
        edges = (
            ((one.end, other.end),) if under_way and not number else ((one.start, other.start), (one.end, other.end))
        )
        if any(abs(epoch_s(a) - epoch_s(b)) > SAME_S * under_way for a, b in edges):
            return False
    return True


def saved(run: Run) -> bool:
    """An attempt whose work another goes on with."""
    return run.state is RunState.MOVED or (run.state is RunState.LOST and run.exit_code in SAVED)


def _goes_on(plan: Plan, site: str) -> str:
    """With what the plan knows of staying."""
    stay = next((one.reason for one in plan.alternatives if one.name == "stay"), "")
    return f"goes on at {site}" + (f"; {stay}" if stay else "")


def _leave(state: RunState, slot: int, patience_ends_s: float, now_s: float) -> Step:
    """Asked to save and leave; killed when it does not."""
    return Step(state, Do.SAVE if now_s < patience_ends_s else Do.KILL, slot)


def _exited(
    state: RunState,
    slot: int,
    attempt: int,
    workload: Workload,
    plan: Plan,
    sight: Sight,
    *,
    cancelled: bool,
    leaving: bool,
    here: str,
    early: bool,
) -> Step:
    code = sight.code or 0
    if state is RunState.CANCELLING or (cancelled and code != 0):
        return Step(RunState.CANCELLED, slot=slot, exit_code=code, reason="cancelled")
    if code == 0:
        return Step(RunState.DONE, slot=slot, exit_code=0)
    if sight.why:
        return Step(RunState.FAILED, slot=slot, exit_code=code, reason=sight.why)
    if leaving and (code in SAVED or code == -signal.SIGKILL):
        return Step(RunState.LOST, Do.REAP, slot, code, MADE_ROOM, again=True)
    if state is RunState.PAUSING and here not in {"", plan.slots[slot].site}:
        return Step(RunState.MOVED, Do.REAP, slot, code, _goes_on(plan, plan.slots[slot].site), again=True)
    if state is RunState.PAUSING and early:
        return Step(RunState.PAUSED, slot=slot, wake_s=epoch_s(plan.slots[slot].start))
    if state is RunState.PAUSING and slot + 1 < len(plan.slots):
        there = plan.slots[slot + 1].site
        if there != plan.slots[slot].site:
            return Step(RunState.MOVED, Do.REAP, slot, code, _goes_on(plan, there), again=True)
        return Step(RunState.PAUSED, slot=slot + 1, wake_s=epoch_s(plan.slots[slot + 1].start))
    if code in SAVED and workload.flexibility.pause_by is PauseBy.CHECKPOINT and attempt < workload.max_attempts:
        return Step(RunState.LOST, slot=slot, exit_code=code, reason="saved its state and left", again=True)
    if code == -signal.SIGXCPU:
        return Step(RunState.FAILED, slot=slot, exit_code=code, reason="used all the CPU time it was allowed")
    if code < 0:
        return _lost(slot, attempt, workload, f"ended by signal {-code} that nobody here sent", code)
    return Step(RunState.FAILED, slot=slot, exit_code=code, reason=f"exit code {code}")


def _lost(slot: int, attempt: int, workload: Workload, reason: str, code: int | None = None) -> Step:
    if attempt < workload.max_attempts:
        return Step(RunState.LOST, Do.REAP, slot, code, reason, again=True)
    return Step(RunState.FAILED, Do.REAP, slot, code, f"{reason}; {attempt} attempts were enough")


def _on_plan(
    state: RunState,
    slot: int,
    workload: Workload,
    plan: Plan,
    seen: Seen,
    now_s: float,
    grace_s: float,
    *,
    may: bool,
    arrived: bool,
) -> Step:
    """Alive or not begun, nobody cancels: what the plan says for this moment. `may`: there is room for it."""
    starts_s, ends_s = epoch_s(plan.slots[slot].start), epoch_s(plan.slots[slot].end)
    by_signal = workload.flexibility.pause_by is PauseBy.SIGNAL
    last = slot + 1 == len(plan.slots)
    wake_s = starts_s if now_s < starts_s else None
    if seen is Seen.ABSENT:
        # One that was sent holds its room already, even if nothing is seen of it yet.
        if now_s < starts_s or not (may or state is RunState.STARTING):
            return Step(RunState.PAUSED if state is RunState.PAUSED else RunState.WAITING, slot=slot, wake_s=wake_s)
        # While its state is on the way it holds the room that it comes to.
        return Step(RunState.STARTING, Do.LAUNCH if arrived else Do.CARRY, slot)
    going_on = RunState.STARTING if seen is Seen.QUEUED else RunState.RUNNING
    if state is RunState.PAUSED and by_signal:
        if now_s < starts_s or not may:
            return Step(RunState.PAUSED, Do.PAUSE, slot, wake_s=wake_s)
        return Step(going_on, Do.RESUME, slot, wake_s=None if last else ends_s)
    if _early(plan, slot, now_s) and workload.flexibility.pausable and not by_signal:
        return _leave(RunState.PAUSING, slot, epoch_s(plan.made_at) + grace_s, now_s)
    if last or now_s < ends_s:
        # Said again at each look: a controller may have died between writing "running" and letting it run.
        do = Do.RESUME if by_signal and workload.flexibility.pausable else Do.NOTHING
        return Step(going_on, do, slot, wake_s=None if last else ends_s)
    if by_signal:
        return Step(RunState.PAUSED, Do.PAUSE, slot + 1, wake_s=epoch_s(plan.slots[slot + 1].start))
    return _leave(RunState.PAUSING, slot, ends_s + grace_s, now_s)
