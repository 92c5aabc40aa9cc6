"""What the examples share: work in numbered steps that can be stopped between any two and goes on from there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class Steps:
    """`arrays` is all that the work remembers; it is saved in $HELIO_CHECKPOINT on SIGTERM and at the end."""

    def __init__(self, name: str, count: int, **arrays: np.ndarray) -> None:
        folder = os.environ.get("HELIO_CHECKPOINT")
        self.path = Path(folder) / f"{name}-{count}.npz" if folder else None
        self.count, self.done, self.arrays = count, 0, arrays
        self._stop = False
        signal.signal(signal.SIGTERM, self._told)
        if self.path and self.path.exists():
            with np.load(self.path) as saved:
                self.done = int(saved["done"])
                self.arrays = {key: saved[key] for key in arrays}
            print(f"going on after step {self.done}", flush=True)

    def __iter__(self) -> Iterator[int]:
        """The steps that are left; leaves with 143 between two of them when told to stop."""
        while self.done < self.count:
            yield self.done
            self.done += 1
            if self.done % max(self.count // 5, 1) == 0:
                print(f"step {self.done} of {self.count}", flush=True)
            if self._stop and self.done < self.count:
                print(f"told to stop: {'saved' if self._save() else 'not saved'} after step {self.done}", flush=True)
                sys.exit(143)
        self._save()

    def _told(self, *_: object) -> None:
        self._stop = True

    def _save(self) -> bool:
        """Whole or not at all: written beside, then renamed."""
        if self.path is None:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part.npz")
        np.savez(part, done=self.done, **self.arrays)
        part.replace(self.path)
        return True
