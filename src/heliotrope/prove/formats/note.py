"""C2SP signed notes: text that carries signatures by named keys, and the keys' own textual form."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from heliotrope.errors import BadNote, BadSignature
from heliotrope.prove.formats import schemes
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import check_name, decode, encode

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_SIGNATURE_PREFIX = "— "
_SECRET_PREFIX = "PRIVATE+KEY+"  # noqa: S105


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
        name, key_id, algorithm, public = _split_key(text)
        if len(public) != algorithm.public_bytes:
            raise BadNote(f"{name}: a public key of {len(public)} bytes, not {algorithm.public_bytes}")
        key = cls(name, algorithm, public)
        if key.id != key_id:
            raise BadNote(
                f"{name}: the key's id is not its hash", cause=f"says {key_id.hex()}, hashes to {key.id.hex()}"
            )
        return key

    def verify(self, text: str, blob: bytes) -> int:
        """Refuses a signature of anything but `text`. Returns a cosignature's time in epoch seconds, else 0."""
        wanted = 8 * self.algorithm.timed + self.algorithm.signature_bytes
        if len(blob) != wanted:
            raise BadSignature(f"{self.name}: a signature of {len(blob)} bytes, not {wanted}")
        time_s = 0
        if self.algorithm.timed:
            (time_s,) = struct.unpack(">Q", blob[:8])
            if not schemes.possible_time(time_s):
                raise BadSignature(f"{self.name}: a cosignature at an impossible time", cause=str(time_s))
        said = schemes.message(self.algorithm, self.name, text, time_s)
        if not schemes.verifies(self.algorithm, self.public, said, blob[8 * self.algorithm.timed :]):
            raise BadSignature(f"{self.name}: the signature does not verify")
        return time_s


class SecretKey(msgspec.Struct, frozen=True):
    """A signing key: the 32-byte seed behind a `Key`. Its text form is for a 0600 file, never for a log line."""

    name: str
    algorithm: Algorithm
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.name})"

    @property
    def key(self) -> Key:
        return Key(self.name, self.algorithm, schemes.public_key(self.algorithm, self.seed))

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm = Algorithm.ED25519) -> SecretKey:
        from nacl.utils import random

        check_name(name)
        return cls(name, algorithm, random(schemes.SEED_BYTES))

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        if not text.startswith(_SECRET_PREFIX):
            raise BadNote("not a signing key")
        name, key_id, algorithm, seed = _split_key(text.removeprefix(_SECRET_PREFIX))
        if len(seed) != schemes.SEED_BYTES:
            raise BadNote(f"{name}: a seed of {len(seed)} bytes, not {schemes.SEED_BYTES}")
        secret = cls(name, algorithm, seed)
        if secret.key.id != key_id:
            raise BadNote(f"{name}: the signing key's id is not its hash")
        return secret

    def text(self) -> str:
        return f"{_SECRET_PREFIX}{self.name}+{self.key.id.hex()}+{encode(bytes([self.algorithm]) + self.seed)}"

    def sign(self, text: str, *, time_s: int = 0) -> Signature:
        """`time_s` is needed, and only used, by a key whose signatures tell the time."""
        if self.algorithm.timed and not schemes.possible_time(time_s):
            raise BadSignature(f"{self.name}: a cosignature needs a time", cause=str(time_s))
        said = schemes.message(self.algorithm, self.name, text, time_s)
        stamp = struct.pack(">Q", time_s) if self.algorithm.timed else b""
        return Signature(self.name, self.key.id, stamp + schemes.sign(self.algorithm, self.seed, said))


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


def _split_key(text: str) -> tuple[str, bytes, Algorithm, bytes]:
    """Name, id, type, and the key itself. Splits on the first two `+` alone: base64 may hold more."""
    parts = text.strip("\n").split("+", 2)
    if len(parts) != 3:
        raise BadNote("not a key", cause=f"found {text[:80]!r}", hint="a key reads name+8 hex digits+base64")
    name, hex_id, material64 = parts
    check_name(name)
    if len(hex_id) != 8 or any(char not in "0123456789abcdef" for char in hex_id):
        raise BadNote(f"{name}: a key's id is 8 hex digits", cause=f"found {hex_id!r}")
    material = decode(material64)
    try:
        algorithm = Algorithm(material[0])
    except (ValueError, IndexError):
        raise BadNote(
            f"{name}: a key of unknown type", cause=f"found {material[:1].hex()!r}", hint=f"known: {schemes.titles()}"
        ) from None
    return name, bytes.fromhex(hex_id), algorithm, material[1:]
