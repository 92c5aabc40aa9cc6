"""How claims stand on their chain, asked beside the pages: a page shows what was known last, and waits for nobody."""

from __future__ import annotations

import threading
import time

import msgspec

from heliotrope.config import Settings
from heliotrope.errors import HelioError
from heliotrope.prove import Ledger

FRESH_S = 60.0


class ChainState(msgspec.Struct, frozen=True):
    """`states`: by claim; `asked_s` 0: nobody has answered yet. `fault`: why the chain could not be asked last."""

    states: dict[str, str] = msgspec.field(default_factory=dict)
    asked_s: float = 0.0
    fault: str = ""


class ChainWatch:
    """One a house. Asks at most once a minute, and only while somebody looks."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._known = ChainState()

    def state(self) -> ChainState:
        with self._lock:
            asking = self._thread is not None and self._thread.is_alive()
            if not asking and time.time() - self._known.asked_s > FRESH_S:
                self._thread = threading.Thread(target=self._ask, name="chain", daemon=True)
                self._thread.start()
            return self._known

    def wait(self) -> None:
        """Until who is being asked has answered."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _ask(self) -> None:
        from heliotrope.prove.chain.book import Book
        from heliotrope.prove.chain.opening import Chain

        try:
            registry = Chain(self._settings, self._ledger.store).registry
            standings = Book(self._ledger, registry).standings(now_s=time.time())
            found = ChainState({one.id: _said(one.state, one.retired, one.grams) for one in standings}, time.time())
        except HelioError as error:
            found = msgspec.structs.replace(self._known, asked_s=time.time(), fault=error.what)
        finally:
            # Each thread has a connection of its own, and this one ends here.
            self._ledger.store.close()
        with self._lock:
            self._known = found


def _said(state: str, retired_g: int, grams: int) -> str:
    if state == "minted" and retired_g:
        return f"minted, {retired_g / grams:.0%} retired"
    return state
