"""Files that are there whole or not at all, and a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, raw: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Durable under its name when this returns; a reader sees the old bytes or the new, never a part."""
    put_whole(path, raw, mode=mode)
    sync_folders([path.parent])


def put_whole(path: Path, raw: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Whole, and its bytes durable; its name is durable once `sync_folders` was called on its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


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
