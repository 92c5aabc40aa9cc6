"""One attempt's folder: what its shepherd was told and what it saw, each file written whole or not at all."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from heliotrope.files import write_whole
from heliotrope.model import Measurement
from heliotrope.run.working.processes import Identity

T = TypeVar("T")


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to run, where, and how to measure it. `power_cap_w`: of all its `devices`, or the machine's packages."""

    command: tuple[str, ...]
    working_directory: str
    environment: dict[str, str]
    checkpoint: str
    interval_s: float
    meters: tuple[str, ...] = ()
    memory_bytes: int = 0
    cpu_time_s: float | None = None
    power_cap_w: float | None = None
    devices: int = 0


class Exit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`code`: the exit code, or minus the signal. `why`: what kept it from beginning, if anything did."""

    code: int
    ended_s: float
    why: str = ""


class Began(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The command's own process, leader of its session; written before the command is executed."""

    child: Identity
    started_s: float


class Folder:
    """Paths and whole-file reads and writes of one attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.jsonl"
        self.out = path / "out.log"
        self.windows = path / "windows.jsonl"
        self.asked = path / "asked"
        self.before = path / "before"

    def earlier(self) -> list[Folder]:
        """Starts of this very attempt that its cluster took back and began again, oldest first."""
        return numbered(self.before)

    def read(self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode((self.path / f"{name}.json").read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def write(self, name: str, value: object) -> None:
        """Durable when it returns; readers see the old file or the new."""
        write_whole(self.path / f"{name}.json", msgspec.json.encode(value))

    @property
    def order(self) -> Order | None:
        return self.read("order", Order)

    @property
    def began(self) -> Began | None:
        return self.read("began", Began)

    @property
    def exit(self) -> Exit | None:
        return self.read("exit", Exit)

    @property
    def measurement(self) -> Measurement | None:
        return self.read("measurement", Measurement)

    @property
    def refused(self) -> str:
        """Why its readings are not believed; those of our own are."""
        return ""

    @property
    def width(self) -> int:
        order = self.order
        return int(order.environment.get("HELIO_WIDTH", 1)) if order else 1

    @property
    def size(self) -> int:
        """Bytes that it said."""
        return self.out.stat().st_size if self.out.exists() else 0

    def said(self, start: int, most: int) -> bytes:
        """From byte `start` on."""
        with self.out.open("rb") as file:
            file.seek(start)
            return file.read(most)

    def try_lock(self, name: str = "lock") -> int | None:
        """A file descriptor that holds the attempt, or None where its shepherd (or its launcher) does."""
        fd = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd


def numbered(path: Path) -> list[Folder]:
    """The folders in `path` that are named by a number, in its order."""
    return [Folder(one) for one in sorted(path.glob("[0-9]*"), key=lambda one: int(one.name))]


def folders_of(runs: Path, run_id: str) -> list[Folder]:
    """In the order of the slots that they are named by; each behind what its cluster took back of it."""
    return [folder for slot in numbered(runs / run_id) for folder in (*slot.earlier(), slot)]
