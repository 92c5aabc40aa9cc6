"""One thread for all measurements of a process: it wakes when the next one is due."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol


class Due(Protocol):
    interval_s: float

    def sample(self) -> None: ...


class Loop:
    """The thread is there while somebody is due, and gone with the last one. A forked child starts with none."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: dict[Due, float] = {}
        self._thread: threading.Thread | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._wake = threading.Condition()
        self._due = {}
        self._thread = None

    def add(self, one: Due) -> None:
        with self._wake:
            self._due[one] = time.monotonic() + one.interval_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="helio-measure", daemon=True)
                self._thread.start()
            else:
                self._wake.notify()

    def remove(self, one: Due) -> None:
        with self._wake:
            self._due.pop(one, None)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._due:
                    self._thread = None
                    return
                one, at_s = min(self._due.items(), key=lambda item: item[1])
                wait_s = at_s - time.monotonic()
                if wait_s > 0:
                    self._wake.wait(wait_s)
                    continue
                # Beats that were missed are skipped, not caught up.
                missed = int(-wait_s / one.interval_s)
                self._due[one] = at_s + (missed + 1) * one.interval_s
            one.sample()


LOOP = Loop()
