"""What is on its way, each on a thread of its own: what broke is tried again later, and keeps no other waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from heliotrope.errors import EngineError, HelioError

PATIENCE_S = 2.0  # before what broke is tried again; doubled each time
LONGEST_S = 300.0
Stop = Callable[[], bool]


class Ways:
    """By name. A kill loses only what had not come."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Way] = {}
        self._broken: dict[str, tuple[float, float]] = {}

    def go(self, name: str, carry: Callable[[Stop], None]) -> HelioError | None:
        """Begins it, or looks how it goes: what broke it is said once. Asked again when it is there, it begins anew."""
        way = self._under_way.get(name)
        if way is None:
            broke_s, wait_s = self._broken.get(name, (0.0, 0.0))
            if time.monotonic() - broke_s < wait_s:
                return None
            way = self._under_way[name] = _Way(name, carry)
            way.start()
        if way.is_alive():
            return None
        del self._under_way[name]
        if way.broke is None:
            self._broken.pop(name, None)
            return None
        _, wait_s = self._broken.get(name, (0.0, PATIENCE_S / 2))
        self._broken[name] = (time.monotonic(), min(2 * wait_s, LONGEST_S))
        return way.broke

    def end(self, name: str) -> None:
        """It is not wanted any more. Returns when nothing of it is done any longer."""
        way = self._under_way.pop(name, None)
        self._broken.pop(name, None)
        if way is not None:
            way.stop.set()
            way.join()

    def close(self) -> None:
        """What is on its way stops between two pieces."""
        for way in self._under_way.values():
            way.stop.set()
        for way in self._under_way.values():
            way.join()
        self._under_way.clear()


class _Way(threading.Thread):
    def __init__(self, name: str, carry: Callable[[Stop], None]) -> None:
        super().__init__(name=f"helio-carry-{name}", daemon=True)
        self.stop = threading.Event()
        self.broke: HelioError | None = None
        self._carry = carry

    def run(self) -> None:
        try:
            self._carry(self.stop.is_set)
        except HelioError as error:
            self.broke = error
        except OSError as error:
            self.broke = EngineError("the disk refused it", cause=str(error))
