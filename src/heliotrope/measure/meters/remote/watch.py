"""Asks a slow source (a network, a program) in a thread of its own: nobody's sampling ever waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from heliotrope.errors import MeterError
from heliotrope.measure.meters.integrated import Point, Told

EVERY_S = 1.0


class Watch:
    """The thread begins with the first `take`, which waits for the first answer; it ends with `close`."""

    def __init__(self, look: Callable[[], list[Told]]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._points: list[Point] = []
        self._error: MeterError | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, elapsed_s: float) -> list[Point]:
        if self._thread is None:
            self._ask()
            self._thread = threading.Thread(target=self._go, name="helio-watch", daemon=True)
            self._thread.start()
        with self._lock:
            points, self._points = self._points, []
            if self._error is not None and not points:
                raise self._error
            return points

    def now_s(self) -> float:
        return time.monotonic()

    def _go(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._ask()

    def _ask(self) -> None:
        asked_s = time.monotonic()
        try:
            told = self._look()
        except MeterError as error:
            with self._lock:
                self._error = error
            return
        with self._lock:
            self._error = None
            self._points.append(Point((asked_s + time.monotonic()) / 2, told))

    def close(self) -> None:
        """Does not wait for an answer that is still to come."""
        self._ended.set()
