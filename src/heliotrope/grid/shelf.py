"""What was learnt once is not learnt again: fits on a shelf, each under a digest of all that its making could look at.

The digest holds the values before the cut-off, what was published by then, and the code: a fit found is, bit for bit,
the one that would be made. A future torn up changes neither. `folder` None keeps them in memory alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from heliotrope.grid import forecast
from heliotrope.grid.forecast.recall import Made

MOST_BYTES = 128 * 1024 * 1024
MOST_HELD = 64
FOLDER = "grid/fits"
ENDING = ".fit"
HOUSE = "heliotrope.grid.forecast."
# What a fit is made of, beside structs of the models: nothing else is ever built from a file.
PARTS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("lightgbm.basic", "Booster"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
}


class Shelf:
    """The fits used last are at hand, and `most_bytes` of them in `folder`; the ones not used for longest go first."""

    def __init__(self, folder: Path | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, Any] = OrderedDict()

    def recall(self, make: Callable[[], Made], kind: str, /, *made_of: object) -> Made:
        """What `make` would return: from the shelf where it lies there. `made_of`: arrays, numbers, names."""
        key = digest(kind, *made_of)
        found: Made | None = self._held.get(key)
        if found is None:
            found = self._read(key)
        if found is None:
            found = make()
            self._write(key, found)
        self._held.pop(key, None)
        self._held[key] = found
        if len(self._held) > MOST_HELD:
            self._held.popitem(last=False)
        return found

    def _read(self, key: str) -> Any:
        """None where there is none that can be read: a fit half written, or of parts that are not ours."""
        if self._folder is None:
            return None
        path = self._folder / f"{key}{ENDING}"
        try:
            found = _Reader(io.BytesIO(path.read_bytes())).load()
            os.utime(path)
        except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError):
            return None
        return found

    def _write(self, key: str, made: object) -> None:
        """A home that cannot be written to is done without: the fit is made again next time."""
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{key}.{os.getpid()}"
            unfinished.write_bytes(pickle.dumps(made, protocol=5))
            unfinished.replace(self._folder / f"{key}{ENDING}")
            self._make_room(self._folder)

    def _make_room(self, folder: Path) -> None:
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.iterdir())
        size = sum(file[1] for file in files)
        for _, bytes_, path in files:
            if size <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            size -= bytes_


class _Reader(pickle.Unpickler):
    """Builds arrays, trees and structs of the models; anything else in a file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(HOUSE) or (module, name) in PARTS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a fit")


def at(home: Path | None) -> Shelf:
    return Shelf(home / FOLDER if home else None)


def digest(*parts: object) -> str:
    """Of arrays by their bytes, of anything else by how it prints; and of the code."""
    found = hashlib.blake2b(_code(), digest_size=20)
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(repr(part).encode())
    return found.hexdigest()


@cache
def _code() -> bytes:
    """The models' own text, numpy's version, and whether there are trees: other code makes other fits."""
    text = hashlib.blake2b(f"{np.__version__} {find_spec('lightgbm') is not None}".encode())
    for path in sorted(Path(forecast.__file__).parent.rglob("*.py")):
        text.update(path.read_bytes())
    return text.digest()[:32]
