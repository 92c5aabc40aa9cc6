"""The embedded chain: py-evm in this process, rebuilt from the store's journal, or the newer end of it, when opened.

It proves the contract's rules, not publicity: whoever holds the store could write another history.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from heliotrope.errors import ChainRefused, SplitView
from heliotrope.prove.chain import snapshot
from heliotrope.prove.chain.node import Fees, LogEntry, Mined
from heliotrope.store import Store, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

_GENESIS = {"timestamp": 1_600_000_000, "gas_limit": 30_000_000, "base_fee_per_gas": 0}
_NOBODY = bytes(20)
_GENEROUS_GAS = 8_000_000
_DONE = b"\x01"  # a receipt's status


class Embedded:
    """One transaction a block; gas costs nothing. Across processes the journal decides, under the store's lock."""

    title = "embedded (private)"
    confirmations = 0

    def __init__(self, store: Store, *, now_s: Callable[[], float] = time.time) -> None:
        from eth_tester import EthereumTester, PyEVMBackend

        self._store = store
        self._now_s = now_s
        account = {"balance": 0, "nonce": 0, "code": b"", "storage": {}}
        self._backend: Any = PyEVMBackend(
            genesis_parameters=PyEVMBackend.generate_genesis_params() | _GENESIS,
            genesis_state={_NOBODY: account},
        )
        self._tester: Any = EthereumTester(backend=self._backend, auto_mine_transactions=False)
        self.chain_id: int = self._backend.chain.chain_id
        self._kept_at = 0
        with store.read() as tx:
            self._take_up(tx)
            self._catch_up(tx)

    def call(self, to: str, data: bytes, *, sender: str) -> bytes:
        from eth_tester.exceptions import TransactionFailed

        self._refresh()
        body = {"from": _checksum(sender), "to": _checksum(to), "data": f"0x{data.hex()}", "gas_price": 0}
        try:
            return _raw(self._tester.call(body))
        except TransactionFailed as error:
            raise ChainRefused("the contract refused", cause=_reason(error.args[0])) from error

    def estimate_gas(self, to: str | None, data: bytes, *, sender: str) -> int:
        """Gas is free here: one trial run finds a refusal, and any generous limit will do."""
        if to is not None:
            self.call(to, data, sender=sender)
        return _GENEROUS_GAS

    def send(self, raw: bytes) -> None:
        from eth_utils.exceptions import ValidationError

        with self._store.write() as tx:
            self._catch_up(tx)
            if self.mined(_hash(raw)) is not None:
                return
            timestamp_s = max(int(self._now_s()), self._timestamp_s() + 1)
            try:
                block_hash = self._mine(raw, timestamp_s)
            except ValidationError as error:
                raise ChainRefused("the embedded chain refused a transaction", cause=str(error)) from error
            tx.execute(
                "INSERT INTO chain_block (number, timestamp_s, raw, hash) VALUES (?, ?, ?, ?)",
                (self.head(), timestamp_s, raw, block_hash),
            )
        with self._store.read() as tx:
            self._keep(tx)

    def mined(self, tx_hash: bytes) -> Mined | None:
        from eth.exceptions import TransactionNotFound

        chain = self._backend.chain
        try:
            number, place = chain.get_canonical_transaction_index(tx_hash)
        except TransactionNotFound:
            return None
        sent = chain.get_canonical_transaction_by_index(number, place)
        receipt = chain.get_transaction_receipt_by_index(number, place)
        return Mined(
            tx_hash,
            receipt.state_root == _DONE,
            number,
            bytes(chain.get_canonical_block_hash(number)),
            # One transaction a block: what the block used is what it used.
            receipt.gas_used,
            None if sent.to else _created(sent.sender, sent.nonce),
            tuple(map(_entry, receipt.logs)),
        )

    def nonce(self, address: str) -> int:
        self._refresh()
        return int(self._tester.get_nonce(_checksum(address)))

    def head(self) -> int:
        return int(self._backend.chain.get_canonical_head().block_number)

    def fees(self) -> Fees:
        return Fees(0, 0)

    def logs(self, address: str, topic: bytes) -> tuple[LogEntry, ...]:
        self._refresh()
        with self._store.read() as tx:
            sent = [_hash(row["raw"]) for row in tx.all("SELECT raw FROM chain_block ORDER BY number")]
        entries = (entry for tx_hash in sent for entry in (self.mined(tx_hash) or _none(tx_hash)).logs)
        return tuple(e for e in entries if e.address == address and e.topics[:1] == (topic,))

    def _take_up(self, tx: Transaction) -> None:
        """Begins where the snapshot ends, if there is one of this very journal."""
        from eth.db.atomic import AtomicDB
        from eth.db.backends.memory import MemoryDB

        kept = snapshot.load(self._store.home, tx)
        if kept is not None:
            self._backend.chain = type(self._backend.chain)(AtomicDB(MemoryDB(kept.nodes)))
            self._kept_at = kept.number

    def _keep(self, tx: Transaction) -> None:
        head = self.head()
        if head - self._kept_at >= snapshot.EVERY_BLOCKS:
            snapshot.keep(self._store.home, tx, head, self._backend.chain.chaindb.db.wrapped_db.kv_store)
            self._kept_at = head

    def _refresh(self) -> None:
        with self._store.read() as tx:
            self._catch_up(tx)

    def _catch_up(self, tx: Transaction) -> None:
        """Blocks that another process mined; each must come out with the hash that was written."""
        rows = tx.all("SELECT * FROM chain_block WHERE number > ? ORDER BY number", (self.head(),))
        for row in rows:
            if self._mine(row["raw"], row["timestamp_s"]) != row["hash"]:
                raise SplitView(
                    f"block {row['number']} of the embedded chain does not come out as it was written",
                    cause="the journal in the store, or the EVM that replays it, was changed",
                    hint="restore the store from a copy",
                )
        if rows:
            self._keep(tx)

    def _mine(self, raw: bytes, timestamp_s: int) -> bytes:
        chain = self._backend.chain
        chain.header = chain.header.copy(timestamp=timestamp_s)
        self._backend.send_raw_transaction(raw)
        block = chain.mine_block(coinbase=_NOBODY, mix_hash=bytes(32), blob_gas_used=0)
        return bytes(block.hash)

    def _timestamp_s(self) -> int:
        return int(self._backend.chain.get_canonical_head().timestamp)


def _hash(raw: bytes) -> bytes:
    from eth_utils.crypto import keccak

    return keccak(raw)


def _none(tx_hash: bytes) -> Mined:
    raise SplitView(f"the embedded chain lost transaction {tx_hash.hex()}")


def _entry(found: Any) -> LogEntry:
    topics = tuple(topic.to_bytes(32, "big") for topic in found.topics)
    return LogEntry(f"0x{found.address.hex()}", topics, bytes(found.data))


def _created(sender: bytes, nonce: int) -> str:
    """The address of the contract that this transaction made."""
    import rlp

    return f"0x{_hash(rlp.encode([sender, nonce]))[12:].hex()}"


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _checksum(address: str) -> str:
    from eth_utils.address import to_checksum_address

    return to_checksum_address(address)


def _reason(found: Any) -> str:
    """A revert's text, whether eth-tester decoded it or handed on the exception of py-evm."""
    from heliotrope.prove.chain.revert import reason

    if isinstance(found, str):
        return found
    raw = found.args[0] if getattr(found, "args", None) else b""
    return reason(raw) if isinstance(raw, bytes) else str(raw)
