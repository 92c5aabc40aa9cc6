"""Who acts: of all controllers over one store, the one that holds its name, and nobody who held it before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heliotrope.errors import Deposed
from heliotrope.store import Store, Transaction, leading

NAME = "controller"


class Leader:
    """One candidate. The claim falls with its holder or with the link to the store; the term then tells the two apart.

    A claim alone is not enough: whoever was cut off or asleep may not know yet that it fell, so each write compares
    terms, in the transaction that writes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._claim = store.claim(NAME)
        self._held = 0
        self._term = 0

    def leads(self) -> bool:
        """True where this is the one that acts."""
        held = self._claim.hold()
        if held and held != self._held:
            with self._store.write() as tx:
                self._term = leading.begin(tx, NAME)
        self._held = held
        return held > 0

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that becomes true only while nobody else leads."""
        with self._store.write() as tx:
            if leading.term(tx, NAME) != self._term:
                self._held = 0
                self._claim.release()
                raise Deposed("another controller leads now")
            yield tx

    def resign(self) -> None:
        self._claim.release()
        self._held = 0
