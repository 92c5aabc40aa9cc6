"""Runs a command and measures it: children and orphans included, signals passed on, exit code kept."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from heliotrope.errors import InvalidInput
from heliotrope.measure import registry
from heliotrope.measure.machine.system import System
from heliotrope.measure.sampling.session import Session, own_calibration
from heliotrope.model import Measurement

PR_SET_CHILD_SUBREAPER = 36
# Ctrl-C and Ctrl-\ reach the command from the terminal itself, as it shares our group; these would not.
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
WAITED_OUT = (signal.SIGINT, signal.SIGQUIT)


def run(
    command: tuple[str, ...],
    *,
    interval_s: float,
    meters: tuple[str, ...],
    journal: Path | None,
    began: Callable[[Session], object] | None = None,
) -> tuple[Measurement, int]:
    """The exit code is the command's; 128 + N where signal N ended it, as shells say it.

    `began` is told of the session as soon as there is one.
    """
    _adopt_orphans()
    opened = registry.open_all(System(), meters)
    child = _start(command)
    session: Session | None = None
    before = {}
    try:
        # Nothing may come between the child's start and these: a signal then must not end us without it.
        for number in PASSED_ON:
            before[number] = signal.signal(number, lambda received, _frame: _pass_on(child, received))
        for number in WAITED_OUT:
            before[number] = signal.signal(number, _wait_out)
        session = Session(
            shlex.join(command),
            root_pid=child.pid,
            interval_s=interval_s,
            journal=journal,
            opened=opened,
            calibration=own_calibration(),
        )
        if began is not None:
            began(session)
        code = child.wait()
        return session.stop(), 128 - code if code < 0 else code
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command)
    except FileNotFoundError:
        raise InvalidInput(
            "no such command", field="CMD", found=command[0], hint="check the name, or give its path"
        ) from None
    except PermissionError:
        raise InvalidInput(
            "not a program that may be run", field="CMD", found=command[0], hint=f"chmod +x {command[0]}"
        ) from None
    except OSError as error:
        raise InvalidInput("the command cannot be run", field="CMD", found=command[0], cause=str(error)) from error


def _pass_on(child: subprocess.Popen[bytes], number: int) -> None:
    if child.poll() is None:
        os.kill(child.pid, number)


def _wait_out(_number: int, _frame: FrameType | None) -> None:
    """The command decides what Ctrl-C means; we tell what it used until then."""


def _adopt_orphans() -> None:
    """Linux: a process whose parent ends becomes our child, so that its work is not lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
