"""C2SP tlog-proof: one text that shows, offline, that an entry is in a log under a checkpoint."""

from __future__ import annotations

import msgspec

from heliotrope.errors import BadNote, BadProof
from heliotrope.prove.formats import note
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.merkle import MAX_PROOF, leaf_hash, verify_inclusion
from heliotrope.prove.formats.text import decimal, decode, encode

HEADER = "c2sp.org/tlog-proof@v1"


class Proof(msgspec.Struct, frozen=True):
    """`extra` is not authenticated by anything."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: note.Note
    extra: bytes | None = None

    def text(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode(step) for step in self.path]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, raw: bytes) -> Proof:
        head, blank, signed = raw.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise BadProof("a proof's head must be ASCII") from error
        if not blank or lines.pop(0) != HEADER:
            raise BadProof("not a tlog-proof", hint=f"its first line reads {HEADER}")
        try:
            extra = None
            if lines and lines[0].startswith("extra "):
                extra = decode(lines.pop(0).removeprefix("extra "))
            if not lines or not lines[0].startswith("index "):
                raise BadProof("a proof needs an index line")
            index = decimal(lines.pop(0).removeprefix("index "))
            if len(lines) > MAX_PROOF:
                raise BadProof(f"a proof of {len(lines)} hashes", hint=f"at most {MAX_PROOF}")
            path = tuple(decode(line) for line in lines)
        except BadNote as error:
            raise BadProof("a proof that cannot be read", cause=str(error)) from error
        return cls(index, path, note.Note.parse(signed), extra)

    def tree(self) -> Checkpoint:
        return Checkpoint.parse(self.checkpoint.text)

    def verify(self, entry: bytes) -> Checkpoint:
        """That `entry` is in the checkpoint's tree; who signed the checkpoint is for a policy to say."""
        tree = self.tree()
        verify_inclusion(self.index, tree.size, leaf_hash(entry), self.path, tree.root)
        return tree
