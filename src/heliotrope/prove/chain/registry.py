"""The contract as a Python object: what it knows, and what may be asked of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from heliotrope.prove.chain import artifact
from heliotrope.prove.chain.node import Mined
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.typed import Role, Seal, Signature
from heliotrope.prove.claims.leaf import Claim

Path = Sequence[bytes]


class Council(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses, and how many of them must agree; the contract wants more than half."""

    members: tuple[str, ...]
    threshold: int

    @property
    def ascending(self) -> tuple[str, ...]:
        return tuple(sorted(member.lower() for member in self.members))


class Retirement(msgspec.Struct, frozen=True):
    id: int
    by: str
    grams: int
    beneficiary: str
    reason: str


def deploy(outbox: Outbox, origin_hash: bytes, witnesses: Council, auditors: Council) -> str:
    """The new contract's address."""
    data = artifact.deployment(
        origin_hash, witnesses.ascending, witnesses.threshold, auditors.ascending, auditors.threshold
    )
    mined = outbox.submit(f"deploy {hashlib.sha256(data).hexdigest()}", None, data, once=True)
    assert mined.contract is not None
    return mined.contract


class Registry:
    """Views ask the chain; the rest are transactions that return when mined."""

    def __init__(self, outbox: Outbox, address: str) -> None:
        self.outbox = outbox
        self.node = outbox.node
        self.address = address
        self.seal = Seal(self.node.chain_id, address)

    def size(self) -> int:
        return int(self._view("size"))

    def root_at(self, size: int) -> bytes:
        """32 zero bytes where no anchor has this size."""
        return bytes(self._view("root_at", size))

    def origin_hash(self) -> bytes:
        return bytes(self._view("ORIGIN"))

    def paused(self) -> bool:
        return bool(self._view("paused"))

    def council(self, role: Role) -> Council:
        members = tuple(member.lower() for member in self._view("members_of", role))
        return Council(members, int(self._view("threshold", role)))

    def nonce(self, role: Role) -> int:
        return int(self._view("nonce", role))

    def includes(self, leaf_hash: bytes, index: int, size: int, path: Path) -> bool:
        return bool(self._view("includes", leaf_hash, index, size, list(path)))

    def leaf_hash(self, claim: Claim) -> bytes:
        return bytes(self._view("leaf_hash", _fields(claim)))

    def minted(self, serial: int) -> int:
        """The id that was minted under a serial; 0 for none."""
        return int(self._view("minted", serial))

    def proven(self, claim_id: int) -> int:
        return int(self._view("proven", claim_id))

    def retired(self, claim_id: int) -> int:
        return int(self._view("retired", claim_id))

    def supply(self, claim_id: int) -> int:
        return int(self._view("totalSupply", claim_id))

    def balance(self, owner: str, claim_id: int) -> int:
        return int(self._view("balanceOf", owner, claim_id))

    def retired_of(self, owner: str, claim_id: int) -> int:
        return int(self._view("retiredOf", owner, claim_id))

    def anchor(self, size: int, root: bytes, signatures: Sequence[Signature]) -> Mined:
        return self._send("anchor", "anchor", size, root, _abi(signatures), once=f"{size} {root.hex()}")

    def mint(
        self,
        claim: Claim,
        index: int,
        size: int,
        path: Path,
        signatures: Sequence[Signature],
        *,
        gas: int | None = None,
    ) -> Mined:
        arguments = (_fields(claim), index, size, list(path), _abi(signatures))
        return self._send("mint", "mint", *arguments, once=claim.name, gas=gas)

    def transfer(self, claim_id: int, grams: int, to: str) -> Mined:
        return self._send("transfer", "safeTransferFrom", self.outbox.wallet.address, to, claim_id, grams, b"")

    def retire(self, claim_id: int, grams: int, beneficiary: str, reason: str) -> Mined:
        return self._send("retire", "retire", claim_id, grams, beneficiary, reason)

    def correct(self, claim_id: int, grams: int, evidence: bytes, signatures: Sequence[Signature]) -> Mined:
        return self._send("correct", "correct", claim_id, grams, evidence, _abi(signatures))

    def pause(self, role: Role, signatures: Sequence[Signature], *, paused: bool) -> Mined:
        return self._send("pause", "pause", role, paused, _abi(signatures))

    def rotate(self, role: Role, council: Council, signatures: Sequence[Signature]) -> Mined:
        return self._send("rotate", "rotate", role, council.ascending, council.threshold, _abi(signatures))

    def retirements(self) -> tuple[Retirement, ...]:
        return tuple(
            Retirement(e["id"], e["by"], e["grams"], e["beneficiary"], e["reason"]) for e in self.events("Retired")
        )

    def events(self, name: str) -> tuple[dict[str, Any], ...]:
        """Every event of that name that the contract ever logged, oldest first."""
        entries = self.node.logs(self.address, artifact.event_topic(name))
        named = (artifact.event(entry.topics, entry.data) for entry in entries)
        return tuple(fields for _, fields in filter(None, named))

    def _view(self, name: str, *arguments: Any) -> Any:
        answer = self.node.call(self.address, artifact.call_data(name, *arguments), sender=self.outbox.sender)
        return artifact.answer(name, answer)

    def _send(self, purpose: str, function: str, *arguments: Any, once: str = "", gas: int | None = None) -> Mined:
        """`once` names what may only ever happen once; anything else is known by its data, and may be repeated."""
        data = artifact.call_data(function, *arguments)
        subject = once or hashlib.sha256(data).hexdigest()
        return self.outbox.submit(f"{purpose} {self.address} {subject}", self.address, data, once=bool(once), gas=gas)


def _abi(signatures: Sequence[Signature]) -> list[tuple[int, bytes, bytes]]:
    return [signature.abi for signature in signatures]


def _fields(claim: Claim) -> tuple[Any, ...]:
    return (
        claim.id, claim.grams, claim.owner, claim.method, claim.start_s, claim.end_s, claim.expiry_s, claim.evidence,
    )  # fmt: skip
