"""Receipts: a tlog-proof with its record beside it, checked with nothing but the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from heliotrope.errors import BadNote, BadProof, ProofError
from heliotrope.files import write_whole
from heliotrope.prove.audit.attestation import Attestation, Opinion
from heliotrope.prove.files import UNREADABLE, bounded, read_bytes
from heliotrope.prove.formats.merkle import leaf_hash
from heliotrope.prove.formats.note import Key, Note
from heliotrope.prove.formats.proof import Proof
from heliotrope.prove.formats.text import decode, encode
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records import record

RECORD_SCHEMA = "heliotrope/record/v1"
RECORD_SUFFIX = ".record.json"


class Verdict(msgspec.Struct, frozen=True):
    """What holds. `keys_from` says whose word the keys are; `erased` that only the commitment is left.

    `opinions` are those of auditors whose keys are known; `other_opinions` counts the rest.
    """

    receipt: str
    origin: str
    index: int
    size: int
    witnesses: tuple[str, ...]
    cosigned_at_s: tuple[int, ...]
    keys_from: str
    erased: bool
    site_key: str
    kind: str = ""
    subject: str = ""
    statement: dict[str, Any] | None = None
    opinions: tuple[Opinion, ...] = ()
    other_opinions: int = 0

    @property
    def disputed(self) -> bool:
        return any(not opinion.agrees for opinion in self.opinions)


class RecordFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`salt` and `envelope` make `leaf`; `key` signed the envelope. An erased record has only its leaf.

    `leaf` is JSON text, or base64 of an entry that is not JSON.
    """

    leaf: str
    key: str = ""
    salt: str | None = None
    envelope: dict[str, Any] | None = None
    schema: str = RECORD_SCHEMA
    attestations: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, entry: bytes, key: Key | None, salt: bytes | None, envelope: bytes | None, attestations: tuple[str, ...]
    ) -> RecordFile:
        return cls(
            entry.decode() if entry.startswith(b"{") and entry.isascii() else encode(entry),
            "" if key is None else str(key),
            None if salt is None else salt.hex(),
            None if envelope is None else msgspec.json.decode(bounded(envelope)),
            attestations=attestations,
        )

    @classmethod
    def parse(cls, raw: bytes) -> RecordFile:
        try:
            kept = msgspec.json.decode(bounded(raw), type=cls)
        except UNREADABLE as error:
            raise BadProof("not a record", cause=str(error)) from error
        if kept.schema != RECORD_SCHEMA:
            raise BadProof("a record of another schema", cause=f"found {kept.schema!r}")
        return kept

    def encode(self) -> bytes:
        return record.canonical(msgspec.to_builtins(self))

    @property
    def entry(self) -> bytes:
        try:
            return self.leaf.encode() if self.leaf.startswith("{") else decode(self.leaf)
        except (BadNote, UnicodeEncodeError) as error:
            raise BadProof("a leaf that is neither JSON nor base64") from error

    def open(self) -> record.Opened | None:
        """The record, if it is the one that the leaf commits to and its signature holds; None if it was erased."""
        if self.envelope is None or self.salt is None:
            return None
        try:
            key, salt = Key.parse(self.key), bytes.fromhex(self.salt)
        except (BadNote, ValueError) as error:
            raise BadProof("the record's key or salt cannot be read", cause=str(error)) from error
        envelope = record.canonical_any(self.envelope)
        if record.leaf(salt, envelope, record.key_id(key.public)) != self.entry:
            raise BadProof(
                "the record is not the one the log committed to", cause="its leaf differs from the logged one"
            )
        return record.open_envelope(envelope, key)


def write(out: Path, proof: Proof, kept: bytes) -> None:
    """The record first: a proof without its record would look like a forgery."""
    write_whole(record_path(out), kept)
    write_whole(out, proof.text().encode())


def record_path(receipt: Path) -> Path:
    return receipt.with_name(receipt.name + RECORD_SUFFIX)


def verify(path: Path, *, vkeys: Path | None = None, quorum: int = 0) -> Verdict:
    """Offline. Without `vkeys`, the file of that name beside the receipt is taken, and the verdict says so."""
    keys_path = vkeys or path.with_name("vkeys")
    if not keys_path.is_file():
        raise ProofError(
            f"{keys_path}: no keys to check {path.name} with",
            hint="give the log's keys with --vkeys; `helio log export` writes them",
        )
    trust = Trust.read(keys_path, quorum=quorum)
    proof = Proof.parse(read_bytes(path))
    kept = RecordFile.parse(read_bytes(record_path(path)))
    proof.verify(kept.entry)
    seen = trust.check(proof.checkpoint)
    opened = kept.open()
    opinions = _opinions(kept, seen.tree.origin, proof.index, _auditors(keys_path, trust))
    return Verdict(
        receipt=str(path),
        origin=seen.tree.origin,
        index=proof.index,
        size=seen.tree.size,
        witnesses=tuple(seen.times_s),
        cosigned_at_s=tuple(seen.times_s.values()),
        keys_from=str(keys_path),
        erased=opened is None,
        site_key=kept.key,
        kind=opened.kind if opened else "",
        subject=opened.subject if opened else "",
        statement=opened.body if opened else None,
        opinions=opinions,
        other_opinions=len(kept.attestations) - len(opinions),
    )


def _auditors(keys_path: Path, trust: Trust) -> tuple[Key, ...]:
    """From the keys file, or from `parties`, which the log publishes beside it."""
    parties = keys_path.with_name("parties")
    return trust.auditors or (Trust.read(parties).auditors if parties.is_file() else ())


def _opinions(kept: RecordFile, origin: str, index: int, auditors: tuple[Key, ...]) -> tuple[Opinion, ...]:
    """Those of known auditors about this very entry; a forged one refuses the receipt."""
    leaf = leaf_hash(kept.entry)
    opinions = []
    for text in kept.attestations:
        signed = Note.parse(text.encode())
        for key in signed.verified(auditors):
            said = Attestation.parse(signed.text)
            if (said.origin, said.index, said.leaf) != (origin, index, leaf):
                raise BadProof("an attestation about another entry")
            opinions.append(Opinion(key.name, said.agrees, said.reasons, said.at_s, text))
    return tuple(opinions)
