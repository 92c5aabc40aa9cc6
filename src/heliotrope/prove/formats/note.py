"""C2SP signed notes: text that carries signatures by named Ed25519 keys, and the keys' own textual form."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from hashlib import sha256

import msgspec

from heliotrope.errors import BadNote, BadSignature

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
MAX_TIME_S = 2**63 - 1
_SIGNATURE_PREFIX = "— "
_SECRET_PREFIX = "PRIVATE+KEY+"  # noqa: S105


class Algorithm(IntEnum):
    """The signature-type byte that is hashed into a key's id."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


class Key(msgspec.Struct, frozen=True):
    """A public key with its name. Only (name, id) together identify it."""

    name: str
    algorithm: Algorithm
    public: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode(bytes([self.algorithm]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Key:
        name, key_id, material = _split_key(text)
        key = cls(name, _algorithm(material), material[1:])
        if key.id != key_id:
            raise BadNote(
                f"{name}: the key's id is not its hash", cause=f"says {key_id.hex()}, hashes to {key.id.hex()}"
            )
        return key

    def verify(self, text: str, blob: bytes) -> int:
        """Refuses a signature of anything but `text`. Returns a cosignature's time in epoch seconds, else 0."""
        if self.algorithm is Algorithm.COSIGNATURE:
            if len(blob) != 72:
                raise BadSignature(f"{self.name}: a cosignature of {len(blob)} bytes, not 72")
            (time_s,) = struct.unpack(">Q", blob[:8])
            if not 0 < time_s <= MAX_TIME_S:
                raise BadSignature(f"{self.name}: a cosignature at an impossible time", cause=str(time_s))
            self._verify_raw(cosigned_message(text, time_s), blob[8:])
            return int(time_s)
        self._verify_raw(text.encode(), blob)
        return 0

    def _verify_raw(self, message: bytes, signature: bytes) -> None:
        verify_ed25519(self.public, message, signature, by=self.name)


class SecretKey(msgspec.Struct, frozen=True):
    """A signing key: the 32-byte seed behind a `Key`. Its text form is for a 0600 file, never for a log line."""

    name: str
    algorithm: Algorithm
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.name})"

    @property
    def key(self) -> Key:
        from nacl.signing import SigningKey

        return Key(self.name, self.algorithm, bytes(SigningKey(self.seed).verify_key))

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm = Algorithm.ED25519) -> SecretKey:
        from nacl.utils import random

        check_name(name)
        return cls(name, algorithm, random(32))

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        if not text.startswith(_SECRET_PREFIX):
            raise BadNote("not a signing key")
        name, key_id, material = _split_key(text.removeprefix(_SECRET_PREFIX))
        secret = cls(name, _algorithm(material), material[1:])
        if secret.key.id != key_id:
            raise BadNote(f"{name}: the signing key's id is not its hash")
        return secret

    def text(self) -> str:
        return f"{_SECRET_PREFIX}{self.name}+{self.key.id.hex()}+{encode(bytes([self.algorithm]) + self.seed)}"

    def sign(self, text: str, *, time_s: int = 0) -> Signature:
        """`time_s` is needed, and only used, by a cosignature."""
        from nacl.signing import SigningKey

        signer = SigningKey(self.seed)
        if self.algorithm is Algorithm.COSIGNATURE:
            if not 0 < time_s <= MAX_TIME_S:
                raise BadSignature(f"{self.name}: a cosignature needs a time", cause=str(time_s))
            blob = struct.pack(">Q", time_s) + signer.sign(cosigned_message(text, time_s)).signature
        else:
            blob = signer.sign(text.encode()).signature
        return Signature(self.name, self.key.id, blob)


class Signature(msgspec.Struct, frozen=True):
    """One signature line."""

    name: str
    key_id: bytes
    blob: bytes

    def __str__(self) -> str:
        return f"{_SIGNATURE_PREFIX}{self.name} {encode(self.key_id + self.blob)}\n"


class Note(msgspec.Struct, frozen=True):
    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, raw: bytes) -> Note:
        if len(raw) > MAX_NOTE_BYTES:
            raise BadNote(f"a note of {len(raw)} bytes", hint=f"at most {MAX_NOTE_BYTES}")
        try:
            whole = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadNote("a note must be UTF-8", cause=str(error)) from error
        if any(char < " " and char != "\n" for char in whole):
            raise BadNote("a note holds a control character")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise BadNote("a note needs text, a blank line and signature lines")
        signatures = parse_signatures(lines)
        if not signatures:
            raise BadNote("a note without signatures")
        return cls(text + "\n", signatures)

    def verified(self, keys: Iterable[Key]) -> dict[Key, int]:
        """The known keys that signed, with their cosignature times. One known key that fails refuses the whole note."""
        known: dict[tuple[str, bytes], Key] = {}
        for key in keys:
            known[key.name, key.id] = key
        signed: dict[Key, int] = {}
        for signature in self.signatures:
            key_or_none = known.get((signature.name, signature.key_id))
            if key_or_none is not None and key_or_none not in signed:
                signed[key_or_none] = key_or_none.verify(self.text, signature.blob)
        return signed

    def with_signatures(self, more: Sequence[Signature]) -> Note:
        """A later signature of the same key replaces the earlier one."""
        fresh = {(s.name, s.key_id): s for s in more}
        kept = tuple(fresh.pop((s.name, s.key_id), s) for s in self.signatures)
        return Note(self.text, kept + tuple(fresh.values()))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Signature lines alone, as a witness answers."""
    signatures = []
    for line in lines.split("\n")[:-1]:
        name, space, blob64 = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
        if not line.startswith(_SIGNATURE_PREFIX) or not space:
            raise BadNote("a signature line must read `— name base64`", cause=f"found {line[:80]!r}")
        check_name(name)
        # A signature is checked by what it says, not by its spelling: other implementations let stray bits pass.
        blob = decode(blob64, strict=False)
        if len(blob) < 5:
            raise BadNote(f"{name}: a signature line too short to hold a signature")
        signatures.append(Signature(name, blob[:4], blob[4:]))
    if len(signatures) > MAX_SIGNATURES:
        raise BadNote(f"a note with {len(signatures)} signatures", hint=f"at most {MAX_SIGNATURES}")
    return tuple(signatures)


def check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise BadNote("not a key name", cause=f"found {name!r}", hint="a name has no spaces and no +")


def cosigned_message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def verify_ed25519(public: bytes, message: bytes, signature: bytes, *, by: str) -> None:
    from nacl.exceptions import CryptoError
    from nacl.exceptions import ValueError as NaclValueError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(message, signature)
    except (CryptoError, NaclValueError) as error:
        raise BadSignature(f"{by}: the signature does not verify") from error


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def decode(text: str, *, strict: bool = True) -> bytes:
    """Standard base64; strictly, in its one canonical form."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadNote("not base64", cause=f"found {text[:60]!r}") from error
    if strict and encode(raw) != text:
        raise BadNote("not canonical base64", cause=f"found {text[:60]!r}")
    return raw


def _split_key(text: str) -> tuple[str, bytes, bytes]:
    """Splits on the first two `+` alone: base64 may hold more."""
    parts = text.strip("\n").split("+", 2)
    if len(parts) != 3:
        raise BadNote("not a key", cause=f"found {text[:80]!r}", hint="a key reads name+8 hex digits+base64")
    name, hex_id, material64 = parts
    check_name(name)
    if len(hex_id) != 8 or any(char not in "0123456789abcdef" for char in hex_id):
        raise BadNote(f"{name}: a key's id is 8 hex digits", cause=f"found {hex_id!r}")
    material = decode(material64)
    if len(material) != 33:
        raise BadNote(f"{name}: a key of {len(material)} bytes, not 33")
    return name, bytes.fromhex(hex_id), material


def _algorithm(material: bytes) -> Algorithm:
    try:
        return Algorithm(material[0])
    except ValueError:
        raise BadNote(
            f"a key of unknown type {material[0]:#04x}", hint="known: 0x01 Ed25519, 0x04 Ed25519 cosignature"
        ) from None
