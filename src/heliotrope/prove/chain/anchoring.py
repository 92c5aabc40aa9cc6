"""Carries the log's newest checkpoint to the chain, once enough witnesses signed, and never across a fork."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from heliotrope.errors import InvalidInput, ProofError, SplitView
from heliotrope.prove import Ledger
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.registry import Registry
from heliotrope.prove.chain.typed import Role, Seal, Signature
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note
from heliotrope.prove.log import sequencer
from heliotrope.store import Store


class Slip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature as a line of JSON, handed from a witness or an auditor to whoever sends the transaction.

    `size`: of the checkpoint that a witness signed.
    """

    digest: str
    v: int
    r: str
    s: str
    size: int | None = None

    @classmethod
    def of(cls, digest: bytes, signature: Signature, size: int | None = None) -> Slip:
        return cls(digest.hex(), signature.v, signature.r.hex(), signature.s.hex(), size)


class Anchored(msgspec.Struct, frozen=True):
    """`gas` is 0 where the chain held this checkpoint already."""

    size: int
    root: str
    gas: int
    transaction: str
    block: int


def witnessed(store: Store, origin: str) -> Checkpoint | None:
    """The checkpoint that this home's witness remembers of a log: the only one it may sign for the chain."""
    with store.read() as tx:
        row = tx.one("SELECT note FROM witness_head WHERE origin = ?", (origin,))
    return None if row is None else Checkpoint.parse(Note.parse(row["note"].encode()).text)


class Anchoring:
    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self.registry = registry

    def checkpoint(self) -> Checkpoint:
        """The newest published, checked against the chain's: the log must have grown out of what was anchored."""
        self.ledger.publish()
        note = self.ledger.checkpoint()
        tree = Checkpoint.parse(note.text) if note else None
        if tree is None or tree.size == 0:
            raise ProofError("nothing to anchor: the log is empty")
        held = self.registry.size()
        if held > tree.size:
            raise SplitView(
                f"the chain holds a checkpoint of {held} entries, the log has {tree.size}",
                cause="the log was rolled back, or this is a copy of it",
                hint="restore the log; anchor nothing until it is explained",
            )
        if held and self.registry.root_at(held) != self._root(held):
            raise SplitView(
                f"the chain's root at {held} entries is not the log's",
                cause="two histories of one log",
                hint="keep both; anchor nothing until it is explained",
            )
        return tree

    def anchor(self, slips: Sequence[Slip], own: Sequence[Wallet] = ()) -> Anchored:
        """The largest checkpoint that a quorum signed. Nothing new is no error: asked twice, it is done once."""
        newest = self.checkpoint()
        sizes = {slip.size for slip in slips if slip.size is not None and slip.size <= newest.size}
        council, held = self.registry.council(Role.WITNESSES), self.registry.size()
        short: InvalidInput | None = None
        for size in sorted((size for size in {newest.size, *sizes} if size > held), reverse=True):
            tree = Checkpoint(newest.origin, size, self._root(size))
            digest = anchor_digest(self.registry.seal, tree)
            signatures = pick(digest, [*slips, *(sign(self.registry.seal, tree, wallet) for wallet in own)])
            try:
                quorum = typed.quorum(digest, signatures, council.members, council.threshold)
            except InvalidInput as error:
                short = short or error
                continue
            mined = self.registry.anchor(size, tree.root, quorum)
            return Anchored(size, tree.root.hex(), mined.gas_used, mined.hash.hex(), mined.block_number)
        if short is not None:
            raise short
        return Anchored(held, self._root(held).hex(), 0, "", 0)

    def _root(self, size: int) -> bytes:
        with self.ledger.store.read() as tx:
            return sequencer.root(tx, size)


def anchor_digest(seal: Seal, tree: Checkpoint) -> bytes:
    """What a witness signs."""
    origin = hashlib.sha256(tree.origin.encode()).digest()
    return seal.digest(typed.anchor(origin, tree.size, tree.root))


def sign(seal: Seal, tree: Checkpoint, witness: Wallet) -> Slip:
    digest = anchor_digest(seal, tree)
    return Slip.of(digest, witness.sign(digest), tree.size)


def pick(digest: bytes, slips: Iterable[Slip]) -> list[Signature]:
    """The signatures among the slips that were made for this digest."""
    return [Signature(s.v, _word(s.r), _word(s.s)) for s in slips if s.digest == digest.hex()]


def read_slips(raw: bytes, *, file: str) -> list[Slip]:
    slips = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                slips.append(msgspec.json.decode(bounded(line), type=Slip))
            except UNREADABLE as error:
                raise InvalidInput("not a signature slip", file=file, line=number, cause=str(error)) from error
    return slips


def _word(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise InvalidInput("not half a signature", found=text[:80], allowed="64 hexadecimal digits")
    return raw
