"""On a disk that this machine sees: a folder of pieces, or the very folder that a state was saved in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from heliotrope.checkpoint.depots.protocol import Piece
from heliotrope.checkpoint.manifest import checked, survey
from heliotrope.errors import StoreError
from heliotrope.files import put_whole, sync_folders


class LocalDepot:
    """One file a piece, named by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not (self.folder / name).exists()]

    def put(self, pieces: Iterable[Piece]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, data in pieces:
            put_whole(self.folder / name, checked(name, data, str(self.folder)))
        sync_folders([self.folder])

    def get(self, names: Sequence[str]) -> Iterator[Piece]:
        for name in names:
            try:
                yield name, (self.folder / name).read_bytes()
            except FileNotFoundError as error:
                raise StoreError(f"{self.folder}: a piece of the state is missing", cause=name) from error

    def keep_only(self, names: Sequence[str]) -> None:
        kept = frozenset(names)
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in kept:
                path.unlink(missing_ok=True)


class FolderSource:
    """Hands out pieces of a folder that nobody writes to any more. Its manifest is one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest, self._spots = survey(folder)

    def get(self, names: Sequence[str]) -> Iterator[Piece]:
        for name in names:
            if name in self._spots:
                yield name, self._spots[name].read()
            elif name == self.manifest.digest:
                yield name, self.manifest.encoded()
            else:
                raise StoreError(f"{self.folder}: the state is another by now", cause=f"it has no piece {name}")
