"""What witnesses and auditors sign for the contract: EIP-712 digests, bound to one chain and one contract."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from heliotrope.errors import BadSignature, InvalidInput

NAME = "Heliotrope claims"
VERSION = "1"


class Role(IntEnum):
    """Witnesses sign anchors; auditors sign claims and corrections. Each set rotates itself."""

    WITNESSES = 0
    AUDITORS = 1


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """secp256k1, recoverable: the signer's address follows from it and the digest."""

    v: int
    r: bytes
    s: bytes

    @property
    def abi(self) -> tuple[int, bytes, bytes]:
        return self.v, self.r, self.s


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where signatures count: one contract on one chain."""

    chain_id: int
    contract: str

    def digest(self, struct_hash: bytes) -> bytes:
        domain = _hash(
            keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak(NAME.encode()),
            keccak(VERSION.encode()),
            _word(self.chain_id),
            _word(int(self.contract, 16)),
        )
        return keccak(b"\x19\x01" + domain + struct_hash)


def anchor(origin_hash: bytes, size: int, root: bytes) -> bytes:
    return _hash(keccak(b"Anchor(bytes32 origin,uint256 size,bytes32 root)"), origin_hash, _word(size), root)


def agree(leaf_hash: bytes) -> bytes:
    return _hash(keccak(b"Agree(bytes32 leaf)"), leaf_hash)


def pause(role: Role, nonce: int, *, paused: bool) -> bytes:
    return _hash(keccak(b"Pause(uint256 role,bool paused,uint256 nonce)"), _word(role), _word(paused), _word(nonce))


def rotate(role: Role, members: Iterable[str], threshold: int, nonce: int) -> bytes:
    listed = keccak(b"".join(_word(int(member, 16)) for member in members))
    return _hash(
        keccak(b"Rotate(uint256 role,address[] members,uint256 threshold,uint256 nonce)"),
        _word(role),
        listed,
        _word(threshold),
        _word(nonce),
    )


def correct(claim_id: int, grams: int, evidence: bytes, nonce: int) -> bytes:
    return _hash(
        keccak(b"Correct(uint256 id,uint256 grams,bytes32 evidence,uint256 nonce)"),
        _word(claim_id),
        _word(grams),
        evidence,
        _word(nonce),
    )


def sign(key: bytes, digest: bytes) -> Signature:
    from eth_keys.datatypes import PrivateKey

    made = PrivateKey(key).sign_msg_hash(digest)
    return Signature(made.v + 27, made.r.to_bytes(32, "big"), made.s.to_bytes(32, "big"))


def signer(digest: bytes, signature: Signature) -> str:
    """The address in lower case."""
    from eth_keys.datatypes import Signature as Recoverable
    from eth_keys.exceptions import BadSignature as Unrecoverable
    from eth_utils.exceptions import ValidationError

    try:
        vrs = (signature.v - 27, int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big"))
        public = Recoverable(vrs=vrs).recover_public_key_from_msg_hash(digest)
    except (Unrecoverable, ValidationError) as error:
        raise BadSignature("a signature that nobody can have made", cause=str(error)) from error
    return public.to_address()


def address_of(key: bytes) -> str:
    from eth_keys.datatypes import PrivateKey

    return PrivateKey(key).public_key.to_address()


def quorum(
    digest: bytes, signatures: Iterable[Signature], members: Iterable[str], threshold: int
) -> tuple[Signature, ...]:
    """Exactly `threshold` signatures of distinct members, in the ascending order that the contract asks for."""
    allowed = {member.lower() for member in members}
    by_signer = {}
    for signature in signatures:
        who = signer(digest, signature)
        if who in allowed:
            by_signer[who] = signature
    if len(by_signer) < threshold:
        raise InvalidInput(
            "too few signatures",
            found=f"{len(by_signer)} of members ({', '.join(sorted(by_signer)) or 'none'})",
            allowed=f"at least {threshold} of {len(allowed)}",
        )
    return tuple(by_signer[who] for who in sorted(by_signer)[:threshold])


def keccak(data: bytes) -> bytes:
    from eth_utils.crypto import keccak as hashed

    return hashed(data)


def _hash(*words: bytes) -> bytes:
    return keccak(b"".join(words))


def _word(number: int) -> bytes:
    return int(number).to_bytes(32, "big")
