"""Files that are there whole or not at all, and a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


def write_whole(path: Path, raw: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Durable under its name when this returns; a reader sees the old bytes or the new, never a part."""
    put_whole(path, raw, mode=mode)
    sync_folders([path.parent])


def put_whole(path: Path, raw: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Whole, and its bytes durable; its name is durable once `sync_folders` was called on its folder."""
    put_all([(path, raw)], mode=mode)


def put_all(files: Iterable[tuple[Path, bytes | memoryview]], *, mode: int = 0o644) -> None:
    """Each as `put_whole` leaves it. All are written before one is waited for: the disk then commits many at once."""
    with ExitStack() as stack:
        written: list[tuple[int, Path, Path]] = []
        for path, raw in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
            out = stack.enter_context(os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb"))
            stack.callback(fresh.unlink, missing_ok=True)
            out.write(raw)
            out.flush()
            written.append((out.fileno(), fresh, path))
        for handle, _, _ in written:
            os.fsync(handle)
        for _, fresh, path in written:
            fresh.replace(path)


def sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """One holder at a time, across processes; the kernel lets go when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
