"""A letterbox in an attempt's folder: what the sender wishes of a command that runs on another machine.

Words are only ever appended to a file that was there from the beginning: network file systems look anew at a file
that is opened, but may take half a minute to see that a new one came.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path


class Wish(StrEnum):
    SAVE = "save"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"


class Letterbox:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "wishes"

    def lay_out(self) -> None:
        self.path.touch()

    def put(self, wish: Wish) -> None:
        """A wish that was the last already is not said again."""
        if self.all()[-1:] == [wish]:
            return
        with self.path.open("ab") as file:
            file.write(f"{wish}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def all(self) -> list[Wish]:
        """Whole lines; one that is still being written is read at the next look."""
        try:
            text = self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        return [Wish(line) for line in text.split("\n")[:-1]]
