"""What every depot can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

Piece = tuple[str, bytes]  # its name, and what it holds


class Source(Protocol):
    """Pieces by their names, in any order. What comes may be damaged: whoever takes it checks."""

    def get(self, names: Sequence[str]) -> Iterator[Piece]: ...


class Depot(Source, Protocol):
    """Takes pieces whole or not at all; the same piece may be put again."""

    def missing(self, names: Sequence[str]) -> list[str]: ...
    def put(self, pieces: Iterable[Piece]) -> None: ...
    def keep_only(self, names: Sequence[str]) -> None: ...
