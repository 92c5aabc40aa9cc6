"""C2SP checkpoints: the text that commits to a whole log by origin, size and root."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heliotrope.errors import BadNote
from heliotrope.prove.formats import note
from heliotrope.prove.formats.merkle import EMPTY_ROOT
from heliotrope.prove.formats.text import encode, read_tree


class Checkpoint(msgspec.Struct, frozen=True):
    """Two checkpoints are the same claim when origin, size and root agree; signatures and extensions may differ."""

    origin: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, encode(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        checkpoint = cls(*read_tree(text))
        if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
            raise BadNote("a tree of 0 with a root that is not the empty root")
        return checkpoint

    def signed(self, *keys: note.SecretKey, time_s: int = 0) -> note.Note:
        """`time_s` is only for keys whose signatures tell the time."""
        text = self.text()
        return note.Note(text, tuple(key.sign(text, time_s=time_s) for key in keys))
