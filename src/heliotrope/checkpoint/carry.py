"""Carries a folder from one site to another: only what is missing, every byte checked, to be broken off anywhere.

`push` lays a folder's pieces into a depot, `pull` makes a folder of them elsewhere. Both may be killed at any instant
and begun again: what came is kept under its digest, and the folder appears by a rename once it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from heliotrope.checkpoint.depots.local import LocalDepot
from heliotrope.checkpoint.depots.protocol import Depot, Piece, Source
from heliotrope.checkpoint.manifest import Entry, Manifest, Spot, checked, decoded, survey
from heliotrope.errors import StoreError
from heliotrope.files import sync_folders

Stop = Callable[[], bool]
_HAND_BYTES = 64 << 20  # asked of a source at once


class Lack(msgspec.Struct, frozen=True):
    """What has to come over the way for a folder to be a state. `here`: where everything else lies."""

    manifest: Manifest
    names: tuple[str, ...]
    here: dict[str, Spot]

    @property
    def missing_bytes(self) -> int:
        return self.manifest.bytes_of(self.names)

    @property
    def whole_bytes(self) -> int:
        return self.manifest.whole_bytes


def push(folder: Path, depot: Depot) -> str:
    """The digest under which `pull` finds it. It is named last: a depot that knows it has everything."""
    manifest, spots = survey(folder)
    digest, names = manifest.digest, list(manifest.sizes)
    depot.put((name, spots[name].read()) for name in depot.missing(names))
    depot.put([(digest, manifest.encoded())])
    depot.keep_only([digest, *names])
    return digest


def lack(source: Source, digest: str, folder: Path) -> Lack:
    """What `pull` has to fetch: neither in the folder as it was left here before, nor come already."""
    data = next(source.get([digest]))[1]
    manifest = decoded(checked(digest, data, str(folder)))
    here = _found_here(folder)
    return Lack(manifest, tuple(name for name in manifest.sizes if name not in here), here)


def pull(source: Source, asked: Lack, folder: Path, *, stop: Stop = lambda: False) -> None:
    """When it returns, `folder` is what it was over there; until then it is what it was before, or not there."""
    coming = _coming(folder)
    pieces, whole = LocalDepot(coming / "pieces"), coming / "whole"
    wanted = [name for name in asked.manifest.sizes if name in asked.here]
    pieces.put((n, asked.here[n].read()) for n in wanted if asked.here[n].path != pieces.folder / n)
    for hand in _hands(asked):
        pieces.put(_until(stop, source.get(hand), folder))
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir(parents=True)
    for entry in asked.manifest.entries:
        _build(entry, whole, pieces.folder)
    sync_folders([whole, *(path for path in whole.rglob("*") if path.is_dir() and not path.is_symlink())])
    gone = coming / "gone"
    if folder.exists():
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
    whole.rename(folder)
    sync_folders([folder.parent])
    shutil.rmtree(coming)


def drop(folder: Path) -> None:
    """A state that is not needed here any more, and whatever came of another."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(_coming(folder), ignore_errors=True)


def _coming(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.coming")


def _found_here(folder: Path) -> dict[str, Spot]:
    """Pieces of what was left here, and of what came; where a kill hit between two renames, it lies aside."""
    coming = _coming(folder)
    shutil.rmtree(coming / "whole", ignore_errors=True)
    found: dict[str, Spot] = {}
    for place in (coming / "gone", folder, coming / "pieces"):
        if place.is_dir():
            found |= survey(place)[1]
    return found


def _hands(asked: Lack) -> Iterator[list[str]]:
    """The missing pieces, as many at once as one hand holds."""
    hand: list[str] = []
    size = 0
    for name in asked.names:
        hand.append(name)
        size += asked.manifest.sizes[name]
        if size >= _HAND_BYTES:
            yield hand
            hand, size = [], 0
    if hand:
        yield hand


def _until(stop: Stop, pieces: Iterator[Piece], folder: Path) -> Iterator[Piece]:
    for piece in pieces:
        if stop():
            raise StoreError(f"{folder}: its coming was stopped on the way", hint="it goes on where it was")
        yield piece


def _build(entry: Entry, whole: Path, pieces: Path) -> None:
    path = whole / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.link:
        path.symlink_to(entry.link)
        return
    with path.open("xb") as file:
        for name in entry.pieces:
            file.write(checked(name, (pieces / name).read_bytes(), str(pieces)))
        file.flush()
        os.fsync(file.fileno())
    path.chmod(entry.mode)
