"""Who was turned away is noted, alike attempts as one, so that nobody can fill a disk by being refused."""

from __future__ import annotations

import threading
import time

import msgspec

from heliotrope.store import Store, people
from heliotrope.store.people import Refusal

MOST = 10_000  # rows: the last that happened
WORD = 120  # characters of what a stranger may make us remember
BETWEEN_S = 0.5  # each write is durable: what comes faster is counted, and written with the next


class Refusals:
    """One home's. Calls may come from any thread."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, ...], Refusal] = {}
        self._later: threading.Timer | None = None

    def note(self, act: str, why: str, *, who: str = "", address: str = "", about: str = "") -> None:
        now_s = time.time()
        once = Refusal(_plain(who), _plain(address), act, _plain(about), _plain(why), 1, now_s, now_s)
        key = (once.who, once.address, act, once.object, once.why)
        with self._lock:
            before = self._pending.get(key)
            if before is not None:
                once = msgspec.structs.replace(once, times=before.times + 1, first_s=before.first_s)
            if before is not None or len(self._pending) < MOST:
                self._pending[key] = once
            if self._later is None:
                self._later = threading.Timer(BETWEEN_S, self._flush_later)
                self._later.daemon = True
                self._later.start()

    def flush(self) -> None:
        """At once, by whoever looks or ends; else by the timer."""
        with self._lock:
            pending, self._pending = self._pending, {}
            if self._later is not None:
                self._later.cancel()
                self._later = None
        if pending:
            with self.store.write() as tx:
                for refusal in pending.values():
                    people.note_refusal(tx, refusal)
                people.keep_refusals(tx, MOST)

    def _flush_later(self) -> None:
        """On the timer's own thread, whose connection ends with it."""
        try:
            self.flush()
        finally:
            self.store.close()

    def last(self, limit: int) -> tuple[Refusal, ...]:
        self.flush()
        with self.store.read() as tx:
            return people.refusals(tx, limit)


def _plain(text: str) -> str:
    """Short, and nothing that would steer the terminal of whoever reads it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:WORD])
