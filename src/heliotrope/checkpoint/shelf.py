"""Where states lie: buffers under the digest of what they hold, and one small file a state that names them.

A state is there once `HEAD` names it, and `HEAD` is renamed into place after everything it needs is on the disk: a
kill at any instant leaves the state before or the state after. What did not change is not written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from heliotrope.checkpoint.tree import pack, unpack
from heliotrope.errors import StoreError
from heliotrope.files import sync_folders, write_whole

CHUNK_BYTES = 8 << 20  # of a buffer: what is sent again when a transfer breaks
KEPT = 2  # states: the newest, and the one before it for whoever is reading that


class Shelf:
    """One folder. One writer; any number of readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head = folder / "HEAD"
        self.objects = folder / "objects"

    def save(self, state: Any) -> str:
        """The digest of all of it: equal states have equal digests, wherever they were saved."""
        self.objects.mkdir(parents=True, exist_ok=True)
        digest = self._put(memoryview(_json(pack(state, self._put_all))))
        sync_folders([self.objects])
        write_whole(self.head, digest.encode() + b"\n" + b"\n".join(d.encode() for d in self._states()[: KEPT - 1]))
        self._sweep()
        return digest

    def digest(self) -> str:
        """Of the newest state; empty where there is none."""
        return next(iter(self._states()), "")

    def load(self, digest: str = "") -> Any:
        """The newest state, or the one named; every byte is checked against its name."""
        name = digest or self.digest()
        if not name:
            raise StoreError(f"{self.folder}: no state was saved here", hint="start from the beginning")
        return unpack(json.loads(self._get(name)), self._get_all)

    def names(self) -> set[str]:
        """Every object that the kept states need, the states' own among them."""
        return {name for state in self._states() for name in (state, *_named(json.loads(self._get(state))))}

    def path(self, name: str) -> Path:
        return self.objects / name

    def _states(self) -> list[str]:
        try:
            return self.head.read_text().split()
        except FileNotFoundError:
            return []

    def _put_all(self, data: memoryview) -> list[str]:
        return [self._put(data[i : i + CHUNK_BYTES]) for i in range(0, len(data), CHUNK_BYTES)]

    def _put(self, data: memoryview) -> str:
        name = hashlib.sha256(data).hexdigest()
        path = self.path(name)
        if not path.exists():
            write_whole(path, data)
        return name

    def _get_all(self, names: Iterable[str]) -> bytearray:
        whole = bytearray()
        for name in names:
            whole += self._get(name)
        return whole

    def _get(self, name: str) -> bytes:
        try:
            data = self.path(name).read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"{self.folder}: a piece of the state is missing", cause=name) from error
        if hashlib.sha256(data).hexdigest() != name:
            raise StoreError(f"{self.folder}: a piece of the state is damaged", cause=f"{name} holds something else")
        return data

    def _sweep(self) -> None:
        """What no kept state needs, and what a killed writer left half."""
        needed = self.names()
        for path in self.objects.iterdir():
            if path.name not in needed:
                path.unlink()


def _named(packed: list[Any]) -> Iterator[str]:
    kind = packed[0]
    if kind in {"tensor", "array", "scalar", "bytes"}:
        yield from packed[-1]
    elif kind == "dict":
        for _key, value in packed[1]:
            yield from _named(value)
    elif kind in {"tuple", "list"}:
        for item in packed[1]:
            yield from _named(item)


def _json(packed: list[Any]) -> bytes:
    return json.dumps(packed, separators=(",", ":"), ensure_ascii=False).encode()
