"""Turns knobs for others and puts every one of them back: at the end, when its holder vanishes, after its own death."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput, MeterError, UnknownName, nearest
from heliotrope.measure.power.knobs import GRANT, Knob

ROTATE_BYTES = 1_000_000


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the journal. `took` has what stood before; `set` is written before the knob is turned."""

    event: str  # took, set, stands, gave-back, left
    knob: str
    at_s: float
    who: str = ""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    level: float | None = None
    why: str = ""


class Held(msgspec.Struct):
    """A knob in somebody's hands. `after`: what the machine showed when we had turned it last."""

    who: str
    before: dict[str, str]
    after: dict[str, str]


class Keeper:
    """One for a journal. That tells the next keeper what to put back if this one is killed.

    It lies where a reboot forgets it (/run), since a reboot also forgets the limits.
    """

    def __init__(self, knobs: dict[str, Knob], journal: Path) -> None:
        self.knobs = knobs
        self.journal = journal
        self.held: dict[str, Held] = {}
        self._lock = threading.RLock()
        self._alone = _alone(journal)
        self.recovered = self._recover()

    def take(self, name: str, who: str) -> Knob:
        """Whoever has it alone may set it."""
        with self._lock:
            if name not in self.knobs:
                raise UnknownName(f"no knob is called {name}", field="knob", hint=nearest(name, self.knobs))
            if name in self.held:
                raise MeterError(f"{name} is in use", cause=f"held by {self.held[name].who}")
            knob = self.knobs[name]
            before = knob.stands()
            self._write(Line("took", name, time.time(), who, before=before))
            self.held[name] = Held(who, before, before)
            return knob

    def set(self, name: str, level: float) -> float:
        """Turns a knob that is held; what stands then, since machines round."""
        with self._lock:
            held, knob = self.held[name], self.knobs[name]
            if not knob.levels[0] - 1e-9 <= level <= knob.levels[-1] + 1e-9:
                raise InvalidInput(
                    "not a level of this knob",
                    field=name,
                    found=level,
                    allowed=f"{knob.levels[0]:g} to {knob.levels[-1]:g} {knob.unit}",
                )
            self._write(Line("set", name, time.time(), held.who, level=level))
            try:
                knob.set(level)
            finally:
                held.after = knob.stands()
                self._write(Line("stands", name, time.time(), held.who, after=held.after))
            return knob.now()

    def give_back(self, name: str, why: str = "") -> None:
        """What stood before stands again, unless somebody else has turned it meanwhile."""
        with self._lock:
            held = self.held.pop(name, None)
            if held is not None:
                self._put_back(name, held.before, held.after, held.who, why)

    def close(self, why: str) -> None:
        """Gives back all that is still held, and lets the next keeper in."""
        try:
            for name in list(self.held):
                self.give_back(name, why)
        finally:
            os.close(self._alone)

    def _put_back(self, name: str, before: dict[str, str], after: dict[str, str] | None, who: str, why: str) -> None:
        knob = self.knobs.get(name)
        if knob is None:
            self._write(Line("left", name, time.time(), who, why="the machine no longer has it"))
            return
        if after is not None and knob.stands() != after:
            self._write(Line("left", name, time.time(), who, after=knob.stands(), why="somebody else has set it since"))
            return
        knob.put_back(before)
        self._write(Line("gave-back", name, time.time(), who, after=knob.stands(), why=why))

    # the journal

    def _write(self, line: Line) -> None:
        """On disk before the knob is turned."""
        fd = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, msgspec.json.encode(line) + b"\n")
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def _recover(self) -> tuple[str, ...]:
        """Puts back what a killed keeper left; the knobs it was."""
        left: dict[str, tuple[Line, dict[str, str] | None]] = {}
        for line in read(self.journal):
            if line.event == "took":
                left[line.knob] = (line, line.before)
            elif line.event in {"gave-back", "left"}:
                left.pop(line.knob, None)
            elif line.knob in left:
                # Between `set` and `stands` the machine may show either: then what was before is put back.
                left[line.knob] = (left[line.knob][0], line.after if line.event == "stands" else None)
        for name, (took, after) in left.items():
            self._put_back(name, took.before, after, took.who, "its keeper was killed")
        if self.journal.exists() and self.journal.stat().st_size > ROTATE_BYTES:
            self.journal.replace(self.journal.with_suffix(".old"))
        return tuple(left)


def _alone(journal: Path) -> int:
    """A lock that the kernel lets go when this process ends, however it ends. A torn last line is cut off."""
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(journal.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MeterError("the power journal cannot be kept", cause=str(error), hint=GRANT) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise MeterError(
            "another keeper holds the knobs of this machine",
            cause=f"{journal} is locked",
            hint="one at a time: wait for it, or let `sudo helio meter serve --power` serve all",
        ) from None
    if journal.exists():
        data = journal.read_bytes()
        os.truncate(journal, data.rfind(b"\n") + 1)
    return fd


def read(journal: Path) -> list[Line]:
    """Every whole line; a torn last one was never acted on."""
    try:
        lines = journal.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MeterError("the power journal cannot be read", cause=str(error)) from error
    found = []
    for number, text in enumerate(lines[:-1], start=1):
        try:
            found.append(msgspec.json.decode(text, type=Line))
        except msgspec.MsgspecError as error:
            raise InvalidInput(
                "not a line of a power journal", file=str(journal), line=number, cause=str(error)
            ) from error
    return found
