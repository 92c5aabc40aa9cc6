"""The ways a note can be signed: what each one's signatures say, how large they are, who makes and checks them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from heliotrope.errors import BadNote, MissingExtra
from heliotrope.prove.formats.text import MAX_NUMBER, read_tree

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

SEED_BYTES = 32
_MAX_NAME_BYTES = 255


class Algorithm(IntEnum):
    """The signature-type byte that is hashed into a key's id."""

    ED25519 = 0x01
    COSIGNATURE = 0x04
    ML_DSA_44 = 0x06

    @property
    def title(self) -> str:
        return _TITLES[self]

    @property
    def timed(self) -> bool:
        """Whether a signature says when it was made."""
        return self is not Algorithm.ED25519

    @property
    def public_bytes(self) -> int:
        return 1312 if self is Algorithm.ML_DSA_44 else 32

    @property
    def signature_bytes(self) -> int:
        return 2420 if self is Algorithm.ML_DSA_44 else 64


COSIGNING = (Algorithm.COSIGNATURE, Algorithm.ML_DSA_44)
_TITLES = {
    Algorithm.ED25519: "0x01 Ed25519",
    Algorithm.COSIGNATURE: "0x04 Ed25519 cosignature",
    Algorithm.ML_DSA_44: "0x06 ML-DSA-44 cosignature",
}


def titles(algorithms: tuple[Algorithm, ...] = tuple(Algorithm)) -> str:
    return ", ".join(algorithm.title for algorithm in algorithms)


def message(algorithm: Algorithm, name: str, text: str, time_s: int) -> bytes:
    """What a key called `name` really signs of a note's text. Cosignatures by ML-DSA-44 are of checkpoints alone."""
    if algorithm is Algorithm.ED25519:
        return text.encode()
    if algorithm is Algorithm.COSIGNATURE:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    origin, size, root, _ = read_tree(text)
    return subtree_message(name, time_s, origin, 0, size, root)


def subtree_message(name: str, time_s: int, origin: str, start: int, end: int, root: bytes) -> bytes:
    """Leaves [start, end) of a log hash to `root`; a checkpoint's tree starts at 0. Names its signer; no extensions."""
    span = struct.pack(">QQ", start, end)
    return b"".join((b"subtree/v1\n\0", _sized(name), struct.pack(">Q", time_s), _sized(origin), span, root))


def public_key(algorithm: Algorithm, seed: bytes) -> bytes:
    if algorithm is Algorithm.ML_DSA_44:
        return _ml_dsa_secret(seed).public_key().public_bytes_raw()
    from nacl.signing import SigningKey

    return bytes(SigningKey(seed).verify_key)


def sign(algorithm: Algorithm, seed: bytes, said: bytes) -> bytes:
    if algorithm is Algorithm.ML_DSA_44:
        return _ml_dsa_secret(seed).sign(said)
    from nacl.signing import SigningKey

    return SigningKey(seed).sign(said).signature


def verifies(algorithm: Algorithm, public: bytes, said: bytes, signature: bytes) -> bool:
    if algorithm is Algorithm.ML_DSA_44:
        return _ml_dsa_verifies(public, said, signature)
    from nacl.exceptions import CryptoError
    from nacl.exceptions import ValueError as NaclValueError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(said, signature)
    except (CryptoError, NaclValueError):
        return False
    return True


def possible_time(time_s: int) -> bool:
    return 0 < time_s <= MAX_NUMBER


def _ml_dsa_verifies(public: bytes, said: bytes, signature: bytes) -> bool:
    with _or_missing():
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, said)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ml_dsa_secret(seed: bytes) -> MLDSA44PrivateKey:
    with _or_missing():
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
    return MLDSA44PrivateKey.from_seed_bytes(seed)


@contextmanager
def _or_missing() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise MissingExtra("cryptography", "quantum", needed_for="ML-DSA-44") from None


def _sized(name: str) -> bytes:
    raw = name.encode()
    if not 0 < len(raw) <= _MAX_NAME_BYTES:
        raise BadNote(f"a name of {len(raw)} bytes in a cosignature", hint=f"at most {_MAX_NAME_BYTES}")
    return bytes([len(raw)]) + raw
