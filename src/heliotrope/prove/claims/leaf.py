"""A claim's exact bytes: the log keeps them as a leaf and the contract rebuilds them, so no field can be swapped."""

from __future__ import annotations

import hashlib
import re

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.units import S_PER_DAY

TAG = b"heliotrope/claim/v1".ljust(32, b"\0")
MAX_LIFE_S = 731 * S_PER_DAY  # a claim is stale two years after its vintage; the contract knows the same number
BUFFER_SHARE = 5  # one part in five of what is minted insures against corrections
_WORDS = 10
LEAF_BYTES = len(TAG) + 32 * _WORDS
_SERIAL_BITS = 160
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Grams of CO2e not emitted over [start_s, end_s), epoch seconds UTC.

    `method`: SHA-256 of the method's name. `evidence`: SHA-256 of the canonical evidence it was computed from.
    """

    id: int
    grams: int
    owner: str
    method: bytes
    start_s: int
    end_s: int
    expiry_s: int
    evidence: bytes

    def __post_init__(self) -> None:
        check_address(self.owner, field="owner")
        if len(self.method) != 32 or len(self.evidence) != 32:
            raise ValueError("method and evidence are SHA-256 digests: 32 bytes each")
        if not 0 < self.grams < 1 << 128:
            raise ValueError(f"a claim needs at least one gram, found {self.grams}")
        if not 0 <= self.start_s < self.end_s < self.expiry_s < 1 << 64:
            raise ValueError("a claim needs start_s < end_s < expiry_s")
        if self.expiry_s // S_PER_DAY - self.end_s // S_PER_DAY > MAX_LIFE_S // S_PER_DAY:
            raise ValueError(f"a claim expires at most {MAX_LIFE_S // S_PER_DAY} days after its vintage")
        if self.id != claim_id(self.method, self.end_s, self.expiry_s, self.serial):
            raise ValueError("the id does not say the claim's method, vintage and expiry")

    @property
    def serial(self) -> int:
        return self.id & (1 << _SERIAL_BITS) - 1

    @property
    def buffer_grams(self) -> int:
        """Rounded up: what circulates is never more than four fifths."""
        return -(-self.grams // BUFFER_SHARE)

    @property
    def name(self) -> str:
        return f"0x{self.id:064x}"


def serial_of(programme: str, start_s: int, end_s: int) -> int:
    """One programme and period make one serial, whoever computes it: the contract mints it once."""
    period = start_s.to_bytes(8, "big") + end_s.to_bytes(8, "big")
    return int.from_bytes(hashlib.sha256(TAG + b"serial\0" + period + programme.encode()).digest()[:20], "big")


def claim_id(method: bytes, end_s: int, expiry_s: int, serial: int) -> int:
    """Method (4 bytes) | day of vintage end (4) | day of expiry (4) | serial (20)."""
    head = int.from_bytes(method[:4], "big") << 64 | end_s // S_PER_DAY << 32 | expiry_s // S_PER_DAY
    return head << _SERIAL_BITS | serial


def leaf_data(claim: Claim, chain_id: int, contract: str) -> bytes:
    """The log's leaf: a tag, then ten 32-byte big-endian words as the EVM's ABI lays them out."""
    words = (
        chain_id,
        int(contract, 16),
        claim.id,
        claim.grams,
        int(claim.owner, 16),
        int.from_bytes(claim.method, "big"),
        claim.start_s,
        claim.end_s,
        claim.expiry_s,
        int.from_bytes(claim.evidence, "big"),
    )
    return TAG + b"".join(word.to_bytes(32, "big") for word in words)


def parse_leaf(data: bytes) -> tuple[Claim, int, str]:
    """The claim, its chain and its contract; the inverse of `leaf_data`, and as strict."""
    if len(data) != LEAF_BYTES or not data.startswith(TAG):
        raise InvalidInput("not a claim's leaf", found=len(data), allowed=f"{LEAF_BYTES} bytes that begin with the tag")
    words = [data[at : at + 32] for at in range(len(TAG), LEAF_BYTES, 32)]
    numbers = [int.from_bytes(word, "big") for word in words]
    chain_id, contract, claim, grams, owner, _, start_s, end_s, expiry_s, _ = numbers
    if contract >= 1 << 160 or owner >= 1 << 160:
        raise InvalidInput("not a claim's leaf", found="an address wider than 20 bytes", allowed="20 bytes")
    try:
        parsed = Claim(claim, grams, f"0x{owner:040x}", words[5], start_s, end_s, expiry_s, words[9])
    except ValueError as error:
        raise InvalidInput("not a claim's leaf", cause=str(error)) from error
    return parsed, chain_id, f"0x{contract:040x}"


def check_address(text: str, *, field: str) -> str:
    """Lower case, 0x and forty hexadecimal digits; the zero address owns nothing."""
    if not _ADDRESS.fullmatch(text) or int(text, 16) == 0:
        raise InvalidInput("not an address", field=field, found=text, allowed="0x and 40 hexadecimal digits, not all 0")
    return text.lower()
