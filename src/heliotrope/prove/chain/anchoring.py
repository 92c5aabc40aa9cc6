"""Carries the log's newest checkpoint to the chain, once enough witnesses signed, and never across a fork."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from heliotrope.errors import InvalidInput, ProofError, SplitView
from heliotrope.prove import Ledger, sequencer
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.registry import Registry
from heliotrope.prove.chain.typed import Role, Signature
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.checkpoint import Checkpoint


class Slip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature as a line of JSON, handed from a witness or an auditor to whoever sends the transaction."""

    digest: str
    v: int
    r: str
    s: str

    @classmethod
    def of(cls, digest: bytes, signature: Signature) -> Slip:
        return cls(digest.hex(), signature.v, signature.r.hex(), signature.s.hex())


class Anchored(msgspec.Struct, frozen=True):
    """`gas` is 0 where the chain held this checkpoint already."""

    size: int
    root: str
    gas: int
    transaction: str
    block: int


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

    def digest(self, tree: Checkpoint) -> bytes:
        """What a witness signs."""
        origin = hashlib.sha256(tree.origin.encode()).digest()
        return self.registry.seal.digest(typed.anchor(origin, tree.size, tree.root))

    def sign(self, tree: Checkpoint, wallet: Wallet) -> Slip:
        digest = self.digest(tree)
        return Slip.of(digest, wallet.sign(digest))

    def anchor(self, tree: Checkpoint, slips: Iterable[Slip]) -> Anchored:
        """Nothing to do is no error: asked twice, it is done once."""
        if self.registry.size() == tree.size:
            return Anchored(tree.size, tree.root.hex(), 0, "", 0)
        council = self.registry.council(Role.WITNESSES)
        signatures = typed.quorum(*pick(self.digest(tree), slips), council.members, council.threshold)
        mined = self.registry.anchor(tree.size, tree.root, signatures)
        return Anchored(tree.size, tree.root.hex(), mined.gas_used, mined.hash.hex(), mined.block_number)

    def _root(self, size: int) -> bytes:
        with self.ledger.store.read() as tx:
            return sequencer.root(tx, size)


def pick(digest: bytes, slips: Iterable[Slip]) -> tuple[bytes, list[Signature]]:
    """The digest, and the signatures among the slips that were made for it."""
    return digest, [Signature(s.v, _word(s.r), _word(s.s)) for s in slips if s.digest == digest.hex()]


def read_slips(raw: bytes, *, file: str) -> list[Slip]:
    slips = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                slips.append(msgspec.json.decode(line, type=Slip))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
