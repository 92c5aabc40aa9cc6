"""What a folder holds, as names of its pieces: equal folders have equal manifests, and so one digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from heliotrope.checkpoint.shelf import CHUNK_BYTES
from heliotrope.errors import InvalidInput, StoreError


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file, or where `link` is not empty a symbolic link. `mode`: permissions alone; `path` with slashes."""

    path: str
    mode: int
    pieces: tuple[str, ...] = ()
    link: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sizes`: bytes of each piece. Empty folders hold nothing, and are not carried."""

    entries: tuple[Entry, ...]
    sizes: dict[str, int]

    def encoded(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        return name_of(self.encoded())

    @property
    def whole_bytes(self) -> int:
        """Of the folder, where a piece may lie more than once."""
        return sum(self.sizes[name] for entry in self.entries for name in entry.pieces)

    def bytes_of(self, names: Iterable[str]) -> int:
        return sum(self.sizes[name] for name in names)


class Spot(msgspec.Struct, frozen=True):
    """Where a piece lies in a folder."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def name_of(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def checked(name: str, data: bytes, where: str) -> bytes:
    """A piece is what its name says, wherever it came from."""
    if name_of(data) != name:
        raise StoreError(f"{where}: a piece of the state is damaged", cause=f"{name} holds something else")
    return data


def survey(folder: Path) -> tuple[Manifest, dict[str, Spot]]:
    """Everything in a folder, each byte read once; and where each piece lies."""
    entries: list[Entry] = []
    spots: dict[str, Spot] = {}
    for path in _files(folder):
        at = path.relative_to(folder).as_posix()
        if path.is_symlink():
            entries.append(Entry(at, 0, link=_inside(folder, path)))
            continue
        names = []
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                name = name_of(data)
                spots.setdefault(name, Spot(path, file.tell() - len(data), len(data)))
                names.append(name)
        entries.append(Entry(at, path.stat().st_mode & 0o777, tuple(names)))
    return Manifest(tuple(entries), {name: spot.size for name, spot in spots.items()}), spots


def decoded(data: bytes) -> Manifest:
    """Comes from another site: nothing in it may point outside the folder that it describes."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("not a manifest of a folder", cause=str(error)) from error
    if strange := next((name for name in found.sizes if not _is_digest(name)), None):
        raise InvalidInput("a manifest of pieces that bear other names", field="sizes", found=strange)
    for entry in found.entries:
        targets = (entry.path, str(PurePosixPath(entry.path).parent / entry.link)) if entry.link else (entry.path,)
        if any(_leaves(target) for target in targets):
            raise InvalidInput("a manifest that points outside its folder", field="path", found=entry.path)
        if missing := [name for name in entry.pieces if name not in found.sizes]:
            raise InvalidInput("a manifest that does not know its pieces", field=entry.path, found=missing[0])
    if unused := set(found.sizes).difference(*(entry.pieces for entry in found.entries)):
        raise InvalidInput("a manifest of pieces that are of no file", field="sizes", found=min(unused))
    paths = {entry.path for entry in found.entries}
    through = [p for p in paths if any(str(parent) in paths for parent in PurePosixPath(p).parents)]
    if len(paths) < len(found.entries) or through:
        raise InvalidInput("a manifest that says two things of one path", field="path", found=(through or [""])[0])
    return found


def _is_digest(name: str) -> bool:
    """A piece's name becomes a file's."""
    return len(name) == 64 and not name.strip("0123456789abcdef")


def _files(folder: Path) -> Iterator[Path]:
    """Files and links, sorted by their path as it is written down."""
    found = [
        Path(at, name)
        for at, folders, files in os.walk(folder)
        for name in (*files, *(one for one in folders if Path(at, one).is_symlink()))
    ]
    for path in sorted(found, key=lambda one: one.relative_to(folder).as_posix()):
        if path.is_symlink() or path.is_file():
            yield path
        else:
            raise InvalidInput("a state cannot hold this", file=str(path), allowed="files, folders, links inside it")


def _inside(folder: Path, path: Path) -> str:
    target = os.readlink(path)  # noqa: PTH115  the text of the link, not what it leads to
    if _leaves(os.path.normpath((path.relative_to(folder).parent / target).as_posix())):
        raise InvalidInput(
            "a link that leads out of the state", file=str(path), found=target, allowed="links inside it"
        )
    return target


def _leaves(path: str) -> bool:
    whole = os.path.normpath(path)
    return not path or path.startswith("/") or whole == "." or whole.split("/")[0] == ".." or "\0" in path
