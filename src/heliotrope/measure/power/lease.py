"""A knob is lent, not given: over a socket, for as long as the borrower lives. Both ends of that conversation."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from heliotrope.errors import HelioError, InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.power.keeper import Keeper
from heliotrope.measure.power.knobs import Found, Knob, show

SOCKET = "run/heliotrope/power.sock"
JOURNAL = "run/heliotrope/power.jsonl"
PATIENCE_S = 30.0  # for an answer; a guard has to start first, on a machine that may be full of work


class Ask(msgspec.Struct, frozen=True):
    """One line to the keeper's side."""

    ask: str  # knobs, take, set, bye
    knob: str = ""
    level: float = 0.0


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back. `what` is there when it was refused."""

    what: str = ""
    cause: str = ""
    hint: str = ""
    knobs: tuple[Found, ...] = ()
    levels: tuple[float, ...] = ()
    now: float = 0.0


class Lines:
    """Whole lines out of a stream socket."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._rest = b""

    def next(self) -> bytes | None:
        """None at the end of the stream."""
        while b"\n" not in self._rest:
            part = self._link.recv(65536)
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def attend(link: socket.socket, keeper: Keeper, who: str, *, pid: int = 0) -> None:
    """Serves one borrower until it says bye, hangs up or dies; then everything it took is given back.

    `pid`: watched too, since children of a killed borrower may hold its end of the socket open.
    """
    taken: list[str] = []
    try:
        alive = _watch(pid)
        try:
            lines = Lines(link)
            # Not select: a training program may have more files open than that can count.
            watch = select.poll()
            for one in (link.fileno(), alive):
                if one is not None:
                    watch.register(one, select.POLLIN)
            while True:
                if link.fileno() not in {one for one, _ in watch.poll()}:
                    return
                line = lines.next()
                if line is None:
                    return
                answer, ended = _answer(line, keeper, who, taken)
                link.sendall(msgspec.json.encode(answer) + b"\n")
                if ended:
                    return
        finally:
            if alive is not None:
                os.close(alive)
    except (ConnectionError, BrokenPipeError):
        return  # hung up in the middle of an answer: as good as gone
    finally:
        for name in taken:
            keeper.give_back(name, "its holder is gone")
        link.close()


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the kernel has none, or it is not ours."""
    if pid <= 0 or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _answer(line: bytes, keeper: Keeper, who: str, taken: list[str]) -> tuple[Answer, bool]:
    try:
        ask = msgspec.json.decode(line, type=Ask)
        if ask.ask == "knobs":
            return Answer(knobs=tuple(show(knob) for knob in keeper.knobs.values())), False
        if ask.ask == "take":
            knob: Knob = keeper.take(ask.knob, who)
            taken.append(ask.knob)
            return Answer(levels=knob.levels, now=knob.now()), False
        if ask.ask == "set":
            if ask.knob not in taken:
                return Answer(what=f"{ask.knob} was not taken", hint="take it first"), False
            return Answer(now=keeper.set(ask.knob, ask.level)), False
        if ask.ask == "bye":
            while taken:
                keeper.give_back(taken.pop())
            return Answer(), True
        return Answer(what=f"nobody here understands {ask.ask}"), False
    except msgspec.MsgspecError as error:
        return Answer(what="not a question", cause=str(error)), False
    except HelioError as error:
        return Answer(what=error.what, cause=error.cause, hint=error.hint), False


def peer(link: socket.socket) -> tuple[int, int]:
    """Process and user at the other end of a Unix socket, as the kernel knows them."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0, -1
    pid, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid


class Lease:
    """The borrower's end. Closing it gives everything back; dying does too."""

    def __init__(
        self,
        link: socket.socket,
        guard: subprocess.Popen[bytes] | None = None,
        successor: Callable[[], Lease] | None = None,
    ) -> None:
        self._link = link
        self._lines = Lines(link)
        self._guard = guard
        self._successor = successor
        self._open = True
        link.settimeout(PATIENCE_S)

    def knobs(self) -> tuple[Found, ...]:
        return self._ask(Ask("knobs")).knobs

    def take(self, knob: str) -> tuple[float, ...]:
        """Its levels, ascending; the last is what stood."""
        return self._ask(Ask("take", knob)).levels

    def set(self, knob: str, level: float) -> float:
        """What stands now."""
        return self._ask(Ask("set", knob, level)).now

    def close(self) -> None:
        """When it returns, everything stands as it stood."""
        if not self._open:
            return
        self._open = False
        try:
            self._ask(Ask("bye"))
        except MeterError:
            if self._successor is None:
                raise
            # Our guard was killed: the next one puts back what it had set.
            self._successor().close()
        finally:
            self._link.close()
            if self._guard is not None:
                self._guard.wait(PATIENCE_S)

    def _ask(self, ask: Ask) -> Answer:
        try:
            self._link.sendall(msgspec.json.encode(ask) + b"\n")
            line = self._lines.next()
        except OSError as error:
            raise MeterError("the keeper of the knobs is gone", cause=str(error), hint=AFTER) from error
        if line is None:
            raise MeterError("the keeper of the knobs is gone", hint=AFTER)
        answer = msgspec.json.decode(line, type=Answer)
        if answer.what:
            raise MeterError(answer.what, cause=answer.cause, hint=answer.hint)
        return answer


AFTER = "what it had set is put back when it starts again: `sudo helio meter serve --power` or `helio power restore`"


def borrow(system: System, *, path: str = "", journal: Path | None = None) -> Lease:
    """From the node's daemon where one lends (or at `path`), else from a guard process of our own, with our rights."""
    wanted = path or system.path(SOCKET)
    if path or os.path.exists(wanted):  # noqa: PTH110  # the fake root of a test is text
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(wanted)
        except OSError as error:
            link.close()
            if path or not isinstance(error, ConnectionRefusedError):
                raise MeterError(
                    "the daemon lends no knobs",
                    cause=f"{wanted}: {error.strerror}",
                    hint="sudo helio meter serve --power",
                ) from error
        else:
            return Lease(link)
    return _with_guard(system, journal or Path(system.path(JOURNAL)))


def _with_guard(system: System, journal: Path) -> Lease:
    """A small process of its own session: it outlives our SIGKILL by the moment it takes to put things back."""
    ours, theirs = socket.socketpair()
    with theirs:
        guard = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "heliotrope.measure.power.guard",
                str(theirs.fileno()),
                str(os.getpid()),
                str(journal),
                system.root or "/",
            ],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    lease = Lease(ours, guard, lambda: _with_guard(system, journal))
    try:
        lease.knobs()
    except HelioError:
        ours.close()
        guard.wait(PATIENCE_S)
        raise
    return lease


def refuse(link: socket.socket, error: HelioError) -> None:
    """Tells a borrower, whatever it asks first, why it gets nothing."""
    if Lines(link).next() is not None:
        link.sendall(msgspec.json.encode(Answer(what=error.what, cause=error.cause, hint=error.hint)) + b"\n")


def check(levels: tuple[float, ...], knob: str) -> None:
    if len(levels) < 2:
        raise InvalidInput("this knob has one level only", field=knob, found=list(levels), allowed="two or more")
