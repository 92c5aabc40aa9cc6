"""Keeps one attempt: starts the command, measures it, writes how it ended. Outlives the controller that sent it.

`python -m heliotrope.run.working.shepherd FOLDER LOCK_FD`. It holds the folder's lock as long as it lives, so nobody
has to guess whether it does.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from heliotrope.errors import HelioError
from heliotrope.run.working.folder import Began, Exit, Folder, Order
from heliotrope.run.working.processes import MARK, end_all, identity

if TYPE_CHECKING:
    from heliotrope.measure.sampling.session import Session
    from heliotrope.run.engines.capping import Held

T = TypeVar("T")
NOT_FOUND, NOT_EXECUTABLE = 127, 126
NO_ROOM_S = 1.0


def keep(folder: Folder, lock_fd: int) -> None:
    from heliotrope import measure

    os.set_inheritable(lock_fd, False)
    order = folder.order
    assert order is not None, "the launcher writes the order before it sends a shepherd"
    started_s = time.time()
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        _become(folder, order, started_s, ready)
    os.close(ready)

    def metered() -> Session:
        # Left by a shepherd that died before its command was executed: nothing was measured yet.
        folder.journal.unlink(missing_ok=True)
        return measure.start(
            folder.path.parent.name,
            root_pid=child,
            interval_s=order.interval_s,
            meters=order.meters,
            journal=folder.journal,
        )

    try:
        session = _roomy(metered, "journal")
    except HelioError as error:
        os.close(go)
        os.waitpid(child, 0)
        _insist(folder, "exit", Exit(NOT_EXECUTABLE, time.time(), error.what))
        raise
    cap = _capped(order)
    os.write(go, b"g")
    os.close(go)
    _, status = os.waitpid(child, 0)
    if cap is not None:
        cap.give_back()
    _insist(folder, "exit", Exit(os.waitstatus_to_exitcode(status), time.time()))
    # Whatever it left behind ends with it.
    began = folder.began
    if began is not None:
        end_all(folder.path, began.child)
    measurement = session.stop()
    if cap is not None:
        measurement = msgspec.structs.replace(measurement, flags=(*measurement.flags, cap.told))
    _insist(folder, "measurement", measurement)


def _capped(order: Order) -> Held | None:
    if order.power_cap_w is None:
        return None
    from heliotrope.measure.machine.system import System
    from heliotrope.run.engines import capping

    return capping.hold(System(), order.power_cap_w, order.devices, order.environment)


def _insist(folder: Folder, name: str, value: object) -> None:
    """A full disk must not turn an end into a loss, and a loss into a second run: it waits for room."""
    _roomy(lambda: folder.write(name, value), name)


def _roomy(act: Callable[[], T], name: str = "out.log") -> T:
    while True:
        try:
            return act()
        except OSError as error:
            _say(f"{name}: {error}; tried again")
            time.sleep(NO_ROOM_S)


def _say(text: str) -> None:
    """Into the shepherd's log or the command's output; where the disk has no room for it, there is nobody to tell."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _become(folder: Folder, order: Order, started_s: float, ready: int) -> None:
    """In the child: leads its own session, says who it is, waits until it is measured, becomes the command."""
    try:
        os.setsid()
        me = identity(os.getpid())
        assert me is not None
        _insist(folder, "began", Began(me, started_s))
        if not os.read(ready, 1):
            # The shepherd died or could not measure: the command never runs.
            os._exit(NOT_EXECUTABLE)
        out = _roomy(lambda: os.open(folder.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        # Python ignores the last two; a command must not inherit that.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        _limit(order)
        os.chdir(order.working_directory)
        environment = order.environment | {
            "HELIO_CHECKPOINT": order.checkpoint,
            "HELIO_WINDOWS": str(folder.windows),
            MARK: str(folder.path),
        }
        os.execvpe(order.command[0], list(order.command), environment)  # noqa: S606  no shell is meant
    except FileNotFoundError as error:
        _say(f"error: {error}")
        os._exit(NOT_FOUND)
    except OSError as error:
        _say(f"error: {error}")
        os._exit(NOT_EXECUTABLE)


def _limit(order: Order) -> None:
    """Held by the kernel, on every process of the command alone: address space, and CPU seconds."""
    if order.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    if order.cpu_time_s is not None:
        seconds = math.ceil(order.cpu_time_s)
        # SIGXCPU at the limit; SIGKILL for whoever ignores that.
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def main() -> None:
    # The launcher waits only for this first process; the one that stays has no parent to miss.
    if os.fork():
        os._exit(0)
    os.setsid()
    # The controller speaks to the command, not to us; a terminal that closes is no reason to stop measuring.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    folder = Folder(Path(sys.argv[1]))
    try:
        keep(folder, int(sys.argv[2]))
    except HelioError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
