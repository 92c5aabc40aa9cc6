"""Processes by an identity that is never recycled: pid, start time and boot."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ticks`: when it started, in clock ticks since boot; two processes of one boot never share both."""

    pid: int
    ticks: int
    boot: str


def boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def identity(pid: int) -> Identity | None:
    """None where no such process lives."""
    fields = _stat(pid)
    return Identity(pid, int(fields[19]), boot_id()) if fields else None


def alive(who: Identity) -> bool:
    """The very same process, and not a zombie."""
    fields = _stat(who.pid)
    return bool(fields) and int(fields[19]) == who.ticks and fields[0] not in {"Z", "X"} and boot_id() == who.boot


def _stat(pid: int) -> list[str]:
    """The fields after the command's name: state first."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def session_members(session: int) -> list[int]:
    """Every living process whose session that is."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[3]) == session and fields[0] not in {"Z", "X"}:
                found.append(int(entry.name))
    return found


def signal_session(session: int, number: signal.Signals) -> None:
    for pid in session_members(session):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_session(session: int, *, within_s: float = 10.0) -> bool:
    """Kills until nobody is left: a stopped or forking process cannot slip away. False if somebody still lives."""
    deadline = time.monotonic() + within_s
    while session_members(session):
        signal_session(session, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
