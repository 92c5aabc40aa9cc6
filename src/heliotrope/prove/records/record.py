"""Records: canonical JSON of integers, an in-toto statement in a signed DSSE envelope, behind a salted commitment."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import msgspec

from heliotrope.errors import BadProof, BadSignature, InvalidInput
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.formats import schemes
from heliotrope.prove.formats.note import Key, SecretKey
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import decode
from heliotrope.units import to_micro

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "tag:heliotrope.local,2026:{kind}/v1"
LEAF_SCHEMA = "heliotrope/leaf/v1"
SALT_BYTES = 32
# RFC 8785 numbers are IEEE doubles: beyond this, integers are written as decimal strings.
MAX_INTEGER = 2**53 - 1
_ENCODER = msgspec.json.Encoder(order="deterministic")


class Statement(msgspec.Struct, frozen=True):
    """An in-toto statement, and the evidence that it refers to by digest. `subject` is what it is looked up by."""

    kind: str
    subject: str
    body: dict[str, Any]
    evidence: bytes | None = None


class Sealed(msgspec.Struct, frozen=True):
    """`leaf` is public; `salt` and `envelope` are not."""

    leaf: bytes
    salt: bytes
    envelope: bytes


class Opened(msgspec.Struct, frozen=True):
    """A record whose signature and commitment hold."""

    kind: str
    subject: str
    body: dict[str, Any]
    key: Key


def canonical(value: Any) -> bytes:
    """RFC 8785 of null, booleans, strings, integers within 2^53, lists and objects; a float is refused."""
    _check(value, "")
    return _ENCODER.encode(value)


def canonical_any(value: Any) -> bytes:
    """RFC 8785 of any JSON value, floats too: for what others hand in."""
    import rfc8785

    try:
        return rfc8785.dumps(value)  # type: ignore[no-any-return]
    except rfc8785.CanonicalizationError as error:
        raise InvalidInput("has no canonical JSON form", cause=str(error)) from error


def _check(value: Any, where: str) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return
        raise InvalidInput("an integer too large for JSON", field=where, found=value, allowed="2^53 - 1, or a string")
    if kind is dict:
        for key, inner in value.items():
            # Beyond the basic plane, UTF-16 order (RFC 8785) and code-point order differ; our keys are plain.
            if type(key) is not str or not key.isascii():
                raise InvalidInput("a record's key must be ASCII", field=where, found=key)
            _check(inner, f"{where}.{key}")
        return
    if kind in {list, tuple}:
        for i, inner in enumerate(value):
            _check(inner, f"{where}[{i}]")
        return
    raise InvalidInput("a record holds integers, not this", field=where.lstrip("."), found=value)


def micro(value: float) -> int | str:
    """µJ, µg, µL, µs: an integer, written as a decimal string where JSON numbers end."""
    whole = to_micro(value)
    return whole if -MAX_INTEGER <= whole <= MAX_INTEGER else str(whole)


def from_record(value: int | str) -> float:
    """The inverse of `micro`."""
    return int(value) / 1_000_000


def digest(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def statement(kind: str, subject: str, subject_digest: str, predicate: dict[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject, "digest": {"sha256": subject_digest}}],
        "predicateType": PREDICATE.format(kind=kind),
        "predicate": predicate,
    }


def key_id(public: bytes) -> str:
    return sha256(public).hexdigest()


def pre_authentication(payload: bytes) -> bytes:
    """DSSE v1: what is really signed."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


class Sealer:
    """Signs and salts payloads with one site key."""

    def __init__(self, secret: SecretKey) -> None:
        from nacl.bindings import crypto_sign_seed_keypair

        self.key = secret.key
        self.key_id = key_id(self.key.public)
        _, self._pair = crypto_sign_seed_keypair(secret.seed)

    def seal(self, payload: bytes, salt: bytes | None = None) -> Sealed:
        from nacl.bindings import crypto_sign
        from nacl.utils import random

        salt = salt or random(SALT_BYTES)
        signature = crypto_sign(pre_authentication(payload), self._pair)[:64]
        envelope = (
            f'{{"payload":"{base64.b64encode(payload).decode()}","payloadType":"{PAYLOAD_TYPE}",'
            f'"signatures":[{{"keyid":"{self.key_id}","sig":"{base64.b64encode(signature).decode()}"}}]}}'
        ).encode()
        return Sealed(leaf(salt, envelope, self.key_id), salt, envelope)


def leaf(salt: bytes, envelope: bytes, signer_id: str) -> bytes:
    """The log's entry: says who signed and commits to what, and tells nothing of it."""
    commitment = sha256(salt + envelope).hexdigest()
    return f'{{"commitment":"{commitment}","keyid":"{signer_id}","schema":"{LEAF_SCHEMA}"}}'.encode()


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


def open_envelope(envelope: bytes, key: Key) -> Opened:
    """Refuses an envelope that `key` did not sign, or whose bytes are not its one canonical form."""
    try:
        parsed = msgspec.json.decode(bounded(envelope), type=_Envelope)
        if _ENCODER.encode(parsed) != envelope:
            raise BadProof("an envelope that is not in canonical form")
    except UNREADABLE as error:
        raise BadProof("not a DSSE envelope", cause=str(error)) from error
    if parsed.payload_type != PAYLOAD_TYPE:
        raise BadProof("an envelope of another type", cause=f"found {parsed.payload_type!r}")
    if len(parsed.signatures) != 1 or parsed.signatures[0].keyid != key_id(key.public):
        raise BadProof("an envelope signed by another key", cause=f"expected {key.name}")
    payload = decode(parsed.payload)
    signature = decode(parsed.signatures[0].sig)
    if not schemes.verifies(Algorithm.ED25519, key.public, pre_authentication(payload), signature):
        raise BadSignature(f"{key.name}: the signature does not verify")
    return read_payload(payload, key)


def read_payload(payload: bytes, key: Key) -> Opened:
    try:
        body = msgspec.json.decode(bounded(payload), type=dict[str, Any])
        if body["_type"] != STATEMENT_TYPE:
            raise BadProof("not an in-toto statement", cause=f"found {body['_type']!r}")
        kind = body["predicateType"].removeprefix("tag:heliotrope.local,2026:").removesuffix("/v1")
        return Opened(kind, body["subject"][0]["name"], body, key)
    except (*UNREADABLE, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadProof("not an in-toto statement", cause=str(error)) from error
