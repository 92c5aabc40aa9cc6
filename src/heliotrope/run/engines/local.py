"""The local machine as an engine: every attempt in a session of its own, kept by a shepherd that outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import msgspec

from heliotrope.errors import EngineError
from heliotrope.run.engines.keeping import end_here, order
from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.settings import Options, settings
from heliotrope.run.lifecycle import Seen, Sight
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.processes import alive, signal_all


class LocalSettings(msgspec.Struct, frozen=True):
    """None are needed here."""


class LocalEngine:
    """A handle is the attempt's folder."""

    name = "local"

    def __init__(self, options: Options) -> None:
        settings(LocalSettings, options)

    @cached_property
    def capabilities(self) -> Capabilities:
        """Caps where we may set limits."""
        from heliotrope.measure.machine.system import System
        from heliotrope.run.engines.capping import capable

        return Capabilities(suspend=True, checkpoint=True, measures=True, caps=capable(System()))

    def launch(self, task: Task) -> None:
        """Starts it, unless it was ever started: an attempt whose command may have run is never run again."""
        try:
            self._launch(task, Folder(Path(task.handle)))
        except OSError as error:
            raise EngineError(
                f"{task.handle}: cannot be begun", cause=str(error), hint="is there room, and may it be written?"
            ) from error

    def _launch(self, task: Task, folder: Folder) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = folder.try_lock()
        if lock is None:
            return
        try:
            if folder.began is not None or folder.exit is not None:
                return
            Path(task.checkpoint).mkdir(parents=True, exist_ok=True)
            folder.write("order", order(task))
            with (folder.path / "shepherd.log").open("ab") as log:
                sent = subprocess.run(
                    [sys.executable, "-m", "heliotrope.run.working.shepherd", str(folder.path), str(lock)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=False,
                    pass_fds=(lock,),
                    cwd="/",
                )
            # One that was killed on its way is sent again at the next look.
            if sent.returncode > 0:
                raise EngineError(f"{task.handle}: no shepherd could be sent", hint=f"see {folder.path}/shepherd.log")
        finally:
            os.close(lock)

    def observe(self, handle: str) -> Sight:
        folder = Folder(Path(handle))
        if not folder.path.is_dir():
            return Sight(Seen.ABSENT)
        lock = folder.try_lock()
        if lock is None:
            # The exit is known an instant before its measurement is whole: alive until both are.
            return Sight(Seen.ALIVE)
        try:
            ended = folder.exit
            if ended is not None:
                return Sight(Seen.EXITED, ended.code, ended.why)
            return Sight(Seen.ABSENT if folder.began is None else Seen.GONE)
        finally:
            os.close(lock)

    def pause(self, handle: str) -> None:
        self._signal(handle, signal.SIGSTOP)

    def resume(self, handle: str) -> None:
        self._signal(handle, signal.SIGCONT)

    def save(self, handle: str) -> None:
        """Asks it once to save its state and leave; a stopped one is woken to hear it."""
        asked = Folder(Path(handle)).asked
        if not asked.exists():
            self._signal(handle, signal.SIGTERM)
            self._signal(handle, signal.SIGCONT)
            asked.touch()

    def kill(self, handle: str) -> None:
        self._signal(handle, signal.SIGKILL)

    def reap(self, handle: str) -> None:
        """Makes certain that nothing of it lives, before another attempt may."""
        end_here(Folder(Path(handle)))

    def _signal(self, handle: str, number: signal.Signals) -> None:
        folder = Folder(Path(handle))
        began = folder.began
        if began is not None and alive(began.child):
            signal_all(folder.path, began.child, number)
