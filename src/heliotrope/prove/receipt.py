"""Receipts: a tlog-proof with its record beside it, checked with nothing but the keys."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec

from heliotrope.errors import BadNote, BadProof, ProofError
from heliotrope.prove import record
from heliotrope.prove.files import read_bytes, write_whole
from heliotrope.prove.note import Key
from heliotrope.prove.proof import Proof
from heliotrope.prove.trust import Trust

RECORD_SCHEMA = "heliotrope/record/v1"
RECORD_SUFFIX = ".record.json"


class Verdict(msgspec.Struct, frozen=True):
    """What holds. `keys_from` says whose word the keys are; `erased` that only the commitment is left."""

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


class _RecordFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`salt` and `envelope` make `leaf`; `key` signed the envelope. An erased record has only its leaf."""

    schema: str
    leaf: str
    key: str
    salt: str | None = None
    envelope: dict[str, Any] | None = None


def write(out: Path, proof: Proof, entry: bytes, key: Key | None, salt: bytes | None, envelope: bytes | None) -> None:
    """The record first: a proof without its record would look like a forgery."""
    body = _RecordFile(
        RECORD_SCHEMA,
        entry.decode() if entry.isascii() else base64.b64encode(entry).decode(),
        "" if key is None else str(key),
        None if salt is None else salt.hex(),
        None if envelope is None else msgspec.json.decode(envelope),
    )
    write_whole(record_path(out), record.canonical(msgspec.to_builtins(body)))
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
    kept = _read_record(record_path(path))
    entry = kept.leaf.encode() if kept.leaf.startswith("{") else _decode_leaf(kept.leaf)
    proof.verify(entry)
    seen = trust.check(proof.checkpoint)
    opened = _open(kept, entry)
    return Verdict(
        receipt=str(path),
        origin=seen.tree.origin,
        index=proof.index,
        size=seen.tree.size,
        witnesses=tuple(key.name for key in seen.witnesses),
        cosigned_at_s=seen.times_s,
        keys_from=str(keys_path),
        erased=opened is None,
        site_key=kept.key,
        kind=opened.kind if opened else "",
        subject=opened.subject if opened else "",
        statement=opened.body if opened else None,
    )


def _open(kept: _RecordFile, entry: bytes) -> record.Opened | None:
    if kept.envelope is None or kept.salt is None:
        return None
    key = _key(kept.key)
    try:
        salt = bytes.fromhex(kept.salt)
    except ValueError as error:
        raise BadProof("a salt that is not hexadecimal") from error
    envelope = record.canonical(kept.envelope)
    if record.leaf(salt, envelope, record.key_id(key.public)) != entry:
        raise BadProof("the record is not the one the log committed to", cause="its leaf differs from the logged one")
    return record.open_envelope(envelope, key)


def _key(text: str) -> Key:
    try:
        return Key.parse(text)
    except BadNote as error:
        raise BadProof("the record's key cannot be read", cause=error.what) from error


def _read_record(path: Path) -> _RecordFile:
    try:
        kept = msgspec.json.decode(read_bytes(path), type=_RecordFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadProof(f"{path}: not a record", cause=str(error)) from error
    if kept.schema != RECORD_SCHEMA:
        raise BadProof(f"{path}: a record of another schema", cause=f"found {kept.schema!r}")
    return kept


def _decode_leaf(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadProof("a leaf that is neither JSON nor base64") from error
