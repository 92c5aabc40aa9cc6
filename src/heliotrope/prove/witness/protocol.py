"""C2SP tlog-witness as pure functions: what a request says, and what a witness must answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from heliotrope.errors import BadNote, BadProof, BadSignature
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.merkle import HASH_BYTES, MAX_PROOF, verify_consistency
from heliotrope.prove.formats.note import Key, Note
from heliotrope.prove.formats.text import decimal, decode, encode

SIZE_TYPE = "text/x.tlog.size"
MAX_REQUEST_BYTES = 256 * 1024


class Request(msgspec.Struct, frozen=True):
    """POST add-checkpoint: `proof` leads from a tree of `old` to that of `checkpoint`."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Note

    def body(self) -> bytes:
        lines = [f"old {self.old}", *map(encode, self.proof)]
        return ("\n".join(lines) + f"\n\n{self.checkpoint}").encode()

    @classmethod
    def parse(cls, raw: bytes) -> Request:
        head, blank, signed = raw.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise BadNote("a request's head must be ASCII") from error
        if not blank or not first.startswith("old "):
            raise BadNote("a request reads `old N`, proof lines, a blank line, a checkpoint")
        if len(lines) > MAX_PROOF:
            raise BadNote(f"a consistency proof of {len(lines)} hashes", hint=f"at most {MAX_PROOF}")
        proof = tuple(decode(line) for line in lines)
        if any(len(step) != HASH_BYTES for step in proof):
            raise BadNote("a consistency proof holds something that is not a SHA-256 hash")
        return cls(decimal(first.removeprefix("old ")), proof, Note.parse(signed))


class Answer(msgspec.Struct, frozen=True):
    """`tree` is set when it is to be remembered and then cosigned; `conflict` when it proves two histories."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"
    tree: Checkpoint | None = None
    conflict: bool = False


def decide(request: Request, logs: Mapping[str, Sequence[Key]], head: Checkpoint | None) -> Answer:
    """The specification's checks in its order; `head` is the last checkpoint cosigned for that origin."""
    try:
        tree = Checkpoint.parse(request.checkpoint.text)
    except BadNote as error:
        return Answer(400, f"{error.what}\n")
    keys = logs.get(tree.origin)
    if keys is None:
        return Answer(404, f"unknown log {tree.origin}\n")
    try:
        signed = request.checkpoint.verified(keys)
    except BadSignature:
        return Answer(403, "invalid signature\n")
    if not signed:
        return Answer(403, "no signature by a trusted key of this log\n")
    if request.old > tree.size:
        return Answer(400, f"old size {request.old} is beyond the checkpoint's {tree.size}\n")
    known = head.size if head else 0
    if request.old != known:
        return Answer(409, f"{known}\n", SIZE_TYPE)
    if head is not None and tree.size == head.size and tree.root != head.root:
        return Answer(422, "another root was cosigned for this size\n", conflict=True)
    try:
        verify_consistency(known, tree.size, head.root if head else sha256(b"").digest(), tree.root, request.proof)
    except BadProof as error:
        return Answer(422, f"consistency proof: {error.what}\n")
    return Answer(200, "", tree=tree)


def monitor_path(origin: str) -> str:
    """Where a witness shows the last checkpoint that it cosigned."""
    return f"/{sha256(origin.encode()).hexdigest()}/checkpoint"
