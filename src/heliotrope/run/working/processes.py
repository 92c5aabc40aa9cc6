"""Processes by an identity that is never recycled: pid, start time and boot."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

PROC = Path("/proc")
MARK = "HELIO_ATTEMPT"  # in the environment of a command and all that descends from it: the attempt's folder


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


def members(folder: Path, leader: Identity) -> list[int]:
    """Every living process of an attempt: marked with its folder, or in the session that its command leads.

    The mark is inherited, so that a grandchild that made a session of its own is found too. A session counts only
    while its very leader, or a marked process, is in it: its number may have been given to strangers since.
    """
    mark = f"{MARK}={folder}".encode()
    marked, seated = set(), set()
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        fields = _stat(pid)
        if not fields or fields[0] in {"Z", "X"} or pid == os.getpid():
            continue
        if int(fields[3]) == leader.pid:
            seated.add(pid)
        if mark in _environment(pid):
            marked.add(pid)
    ours = bool(marked & seated) or alive(leader)
    return sorted(marked | seated if ours else marked)


def _environment(pid: int) -> list[bytes]:
    """As it was when the process was executed; nothing where it is somebody else's."""
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def signal_all(folder: Path, leader: Identity, number: signal.Signals) -> None:
    for pid in members(folder, leader):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_all(folder: Path, leader: Identity, *, within_s: float = 10.0) -> bool:
    """Kills until nobody is left: a stopped or forking process cannot slip away. False if somebody still lives."""
    deadline = time.monotonic() + within_s
    while members(folder, leader):
        signal_all(folder, leader, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
