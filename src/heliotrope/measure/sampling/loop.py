"""One thread for all measurements of a process: it wakes when the next one is due."""

from __future__ import annotations

import math
import os
import threading
import time
from typing import Protocol


class Due(Protocol):
    beat_s: float

    def beat(self) -> None: ...


class Loop:
    """The thread is there while somebody is due, and gone with the last one. A forked child starts with none."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._guard = threading.Lock()
        self._due: dict[Due, float] = {}
        self._thread: threading.Thread | None = None
        self._asleep = threading.Lock()  # held while there is nothing new; a condition would cost twice as much a beat
        self._asleep.acquire()

    def add(self, one: Due) -> None:
        with self._guard:
            self._due[one] = time.monotonic() + one.beat_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="helio-measure", daemon=True)
                self._thread.start()
            else:
                self._wake()

    def remove(self, one: Due) -> None:
        with self._guard:
            self._due.pop(one, None)
            self._wake()

    def _wake(self) -> None:
        if self._asleep.locked():
            self._asleep.release()

    def _run(self) -> None:
        one: Due | None = None
        at_s = 0.0
        while True:
            with self._guard:
                if one in self._due:
                    self._due[one] = at_s
                if not self._due:
                    self._thread = None
                    return
                one = min(self._due, key=self._due.__getitem__)
                at_s = self._due[one]
            wait_s = at_s - time.monotonic()
            if wait_s > 0 and self._asleep.acquire(timeout=wait_s):
                continue  # somebody came or went
            one.beat()
            at_s += one.beat_s
            late_s = time.monotonic() - at_s
            if late_s > 0:
                at_s += one.beat_s * math.ceil(late_s / one.beat_s)  # missed beats are skipped, not caught up


LOOP = Loop()
