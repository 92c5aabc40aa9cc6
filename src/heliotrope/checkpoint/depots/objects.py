"""In an object store, or in whatever else fsspec reaches: S3 and what speaks like it, SFTP, memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from heliotrope.checkpoint.depots.protocol import Piece
from heliotrope.errors import InvalidInput, MissingExtra, StoreError

_SENT_AT_ONCE = 8  # pieces in memory on their way up


class ObjectDepot:
    """One object a piece, under `url`; its keys and its endpoint are where fsspec looks for them."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingExtra("fsspec", "objects", needed_for=f"a depot at {url}") from None
        self.url = url
        try:
            self._store, self._path = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(str(error).split()[-1], "objects", needed_for=f"a depot at {url}") from error
        except ValueError as error:
            raise InvalidInput("not a place for states", field="depot", found=url, cause=str(error)) from error

    def missing(self, names: Sequence[str]) -> list[str]:
        known = self._known()
        return [name for name in names if name not in known]

    def put(self, pieces: Iterable[Piece]) -> None:
        hand: dict[str, bytes] = {}
        for name, data in pieces:
            hand[self._at(name)] = data
            if len(hand) == _SENT_AT_ONCE:
                self._ask("pipe", hand)
                hand = {}
        if hand:
            self._ask("pipe", hand)

    def get(self, names: Sequence[str]) -> Iterator[Piece]:
        for name in names:
            yield name, self._ask("cat_file", self._at(name))

    def keep_only(self, names: Sequence[str]) -> None:
        stale = sorted(self._known() - set(names))
        if stale:
            self._ask("rm", [self._at(name) for name in stale])

    def _known(self) -> set[str]:
        """As it stands now: what another wrote a moment ago is listed too."""
        self._store.invalidate_cache()
        try:
            return {str(path).rpartition("/")[2] for path in self._store.ls(self._path, detail=False)}
        except FileNotFoundError:
            return set()
        except Exception as error:
            raise self._told(error) from error

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    def _ask(self, what: str, *asked: Any) -> Any:
        """Every store has errors of its own; what they have in common is that the state is not there."""
        try:
            if what == "pipe":
                self._store.makedirs(self._path, exist_ok=True)
            return getattr(self._store, what)(*asked)
        except Exception as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.url}: the depot cannot be used now",
            cause=f"{type(error).__name__}: {error}",
            hint="its address, keys and room; the transfer goes on where it was",
        )
