"""One thread for all measurements of a process: it wakes when the next one is due."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

NAP_S = 0.1  # so short a sleep nobody may end: it costs half of one that somebody may


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
        self._changed = self._naps = False  # whether somebody came or went; whether the thread sleeps deaf
        self._asleep = threading.Lock()  # held while there is nothing new; a condition would cost twice as much
        self._asleep.acquire()

    def add(self, one: Due) -> None:
        with self._guard:
            self._due[one] = time.monotonic() + one.beat_s
            self._wake()
            if self._thread is None or (self._naps and one.beat_s < NAP_S):  # one that naps finds itself replaced
                self._naps = False
                self._thread = threading.Thread(target=self._run, name="helio-measure", daemon=True)
                self._thread.start()

    def remove(self, one: Due) -> None:
        with self._guard:
            self._due.pop(one, None)
            self._wake()

    def _wake(self) -> None:
        self._changed = True
        if self._asleep.locked():
            self._asleep.release()

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._guard:
                if self._thread is not me:
                    return
                if not self._due:
                    self._thread = None
                    return
                one = min(self._due, key=self._due.__getitem__)
                at_s, alone = self._due[one], len(self._due) == 1
                wait_s = at_s - time.monotonic()
                self._naps = wait_s <= NAP_S
                self._changed = False
            if wait_s > NAP_S:
                self._asleep.acquire(timeout=wait_s)
                continue
            time.sleep(max(0.0, wait_s))
            if self._changed:
                continue
            at_s = self._beats(one, at_s, alone=alone)
            with self._guard:
                if one in self._due:
                    self._due[one] = at_s

    def _beats(self, one: Due, at_s: float, *, alone: bool) -> float:
        """Beats, once or for as long as `one` is alone; when it is due next. After a sleep every line of it is dear."""
        beat, beat_s, monotonic, sleep = one.beat, one.beat_s, time.monotonic, time.sleep
        while True:
            beat()
            at_s += beat_s
            wait_s = at_s - monotonic()
            if wait_s < 0:
                at_s -= wait_s // beat_s * beat_s  # beats missed are skipped, not caught up
                wait_s = max(0.0, at_s - monotonic())
            if wait_s > NAP_S or not alone:
                return at_s
            sleep(wait_s)
            if self._changed:
                return at_s


LOOP = Loop()
