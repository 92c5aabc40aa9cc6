"""C2SP checkpoints: the text that commits to a whole log by origin, size and root."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from heliotrope.errors import BadNote
from heliotrope.prove.formats import note
from heliotrope.prove.formats.merkle import EMPTY_ROOT, HASH_BYTES

MAX_SIZE = 2**63 - 1
DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(msgspec.Struct, frozen=True):
    """Two checkpoints are the same claim when origin, size and root agree; signatures and extensions may differ."""

    origin: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, note.encode(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        if not text.endswith("\n"):
            raise BadNote("a checkpoint must end its last line")
        lines = text.split("\n")[:-1]
        if len(lines) < 3 or not all(lines):
            raise BadNote("a checkpoint needs an origin, a size and a root, and no blank line")
        origin, size, root64, *extensions = lines
        root = note.decode(root64)
        if len(root) != HASH_BYTES:
            raise BadNote(f"a root of {len(root)} bytes, not {HASH_BYTES}")
        checkpoint = cls(origin, decimal(size), root, tuple(extensions))
        if checkpoint.size == 0 and root != EMPTY_ROOT:
            raise BadNote("a tree of 0 with a root that is not the empty root")
        return checkpoint

    def signed(self, *keys: note.SecretKey) -> note.Note:
        text = self.text()
        return note.Note(text, tuple(key.sign(text) for key in keys))


def decimal(text: str) -> int:
    """ASCII digits without leading zeroes, below 2^63."""
    if not DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise BadNote("not a decimal number without leading zeroes", cause=f"found {text[:40]!r}")
    return int(text)
