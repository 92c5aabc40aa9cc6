"""What a training loop holds in its hand: goes on where it stopped, saves in time, leaves when asked."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Any

from heliotrope.checkpoint import randomness
from heliotrope.checkpoint.shelf import Shelf
from heliotrope.errors import InvalidInput

SAVED = os.EX_TEMPFAIL  # "saved, would go on"
ASKS = (signal.SIGTERM, signal.SIGUSR1)


class Checkpoint:
    """`parts`: whatever training changes. Each has `state_dict` and `load_state_dict` (models, optimisers, schedules,
    data loaders), or is a numpy `Generator`, or a dict that is filled in place.

    Without a folder (neither given nor in $HELIO_CHECKPOINT) nothing is saved, and a request to stop just stops it.
    """

    def __init__(self, folder: Path | str | None = None, *, every_s: float = 300.0, **parts: Any) -> None:
        found = folder or os.environ.get("HELIO_CHECKPOINT")
        self.shelf = Shelf(Path(found)) if found else None
        self.every_s = every_s
        self.parts = parts
        self.step = 0
        self.asked = False
        self._saved_s = time.monotonic()
        for name, part in parts.items():
            _check(name, part)

    def restore(self) -> int:
        """How many steps lie behind; 0 where nothing was saved."""
        if self.shelf is None or not self.shelf.digest():
            return 0
        state = self.shelf.load()
        if set(state["parts"]) != set(self.parts):
            raise InvalidInput(
                f"{self.shelf.folder} holds the state of something else",
                field="parts",
                found=", ".join(sorted(state["parts"])) or "none",
                allowed=", ".join(sorted(self.parts)) or "none",
                hint="give it an empty folder, or the parts that it was saved with",
            )
        for name, part in self.parts.items():
            _fill(part, state["parts"][name])
        randomness.given_back(state["random"])
        self.step = state["step"]
        return self.step

    def save(self) -> str:
        """The digest of the state as it is; empty where there is no folder."""
        self._saved_s = time.monotonic()
        if self.shelf is None:
            return ""
        parts = {name: _taken(part) for name, part in self.parts.items()}
        return self.shelf.save({"step": self.step, "parts": parts, "random": randomness.taken()})

    def steps(self, count: int) -> Iterator[int]:
        """The steps that are left of `count`. Saves every `every_s`, at the end, and when asked to stop."""
        before = self._listen()
        try:
            for number in range(self.restore(), count):
                yield number
                self.step = number + 1
                if self.asked:
                    self.save()
                    raise SystemExit(SAVED)
                if time.monotonic() - self._saved_s >= self.every_s:
                    self.save()
            self.save()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _listen(self) -> dict[signal.Signals, Any]:
        if threading.current_thread() is not threading.main_thread():
            # Only the main thread may take signals; whoever owns it sets `asked`.
            return {}
        return {number: signal.signal(number, self._ask) for number in ASKS}

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def _is_generator(part: Any) -> bool:
    return hasattr(part, "bit_generator")


def _check(name: str, part: Any) -> None:
    if hasattr(part, "load_state_dict") or _is_generator(part) or isinstance(part, MutableMapping):
        return
    raise InvalidInput(
        "a part that cannot be saved and restored",
        field=name,
        found=type(part).__name__,
        allowed="something with state_dict and load_state_dict, a numpy Generator, or a dict",
    )


def _taken(part: Any) -> Any:
    if _is_generator(part):
        return part.bit_generator.state
    return dict(part) if isinstance(part, MutableMapping) else part.state_dict()


def _fill(part: Any, state: Any) -> None:
    if _is_generator(part):
        part.bit_generator.state = state
    elif isinstance(part, MutableMapping):
        part.clear()
        part.update(state)
    else:
        part.load_state_dict(state)
