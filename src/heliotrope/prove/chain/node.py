"""What a chain must be able to do for us, embedded or far away."""

from __future__ import annotations

from typing import Protocol

import msgspec


class LogEntry(msgspec.Struct, frozen=True):
    address: str
    topics: tuple[bytes, ...]
    data: bytes


class Mined(msgspec.Struct, frozen=True):
    """A transaction in a block. `ok` is false where it was mined and reverted."""

    hash: bytes
    ok: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    contract: str | None = None
    logs: tuple[LogEntry, ...] = ()


class Fees(msgspec.Struct, frozen=True):
    """Wei per gas: what is paid at most, and what of it goes to the block's maker."""

    most: int
    tip: int


class Node(Protocol):
    """Addresses are lower-case hex; a refusal raises ChainRefused, silence ProviderDown."""

    chain_id: int
    title: str
    confirmations: int

    def call(self, to: str, data: bytes, *, sender: str) -> bytes: ...

    def estimate_gas(self, to: str | None, data: bytes, *, sender: str) -> int: ...

    def send(self, raw: bytes) -> None:
        """Hands a signed transaction over; one that the chain already has is no error."""
        ...

    def mined(self, tx_hash: bytes) -> Mined | None: ...

    def nonce(self, address: str) -> int:
        """Of the next transaction, counting those mined and no others."""
        ...

    def head(self) -> int:
        """The newest block's number."""
        ...

    def fees(self) -> Fees: ...

    def logs(self, address: str, topic: bytes) -> tuple[LogEntry, ...]:
        """Every entry of the contract whose first topic this is, oldest first."""
        ...
