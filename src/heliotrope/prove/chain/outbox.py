"""Transactions as durable intents: written down before they are sent, sent again after a crash or a reorganisation.

One that nobody mines is outbid by itself: the same nonce and words for a higher fee, so at most one of them is mined.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from heliotrope.errors import ChainRefused, ConfigError, ProviderDown
from heliotrope.prove.chain import typed
from heliotrope.prove.chain.node import Mined, Node
from heliotrope.prove.chain.wallet import KEY, KEYSTORE, Wallet
from heliotrope.store import Store, Transaction
from heliotrope.store.database import Row

NOBODY = "0x" + "00" * 20
_HEADROOM = 5  # gas limit = estimate + a fifth: storage may have changed by the time it is mined

_OURS = "chain_id = ? AND sender = ?"
_OPEN = "state IN ('sent', 'mined')"


class Outbox:
    """One sender on one chain."""

    def __init__(
        self,
        store: Store,
        node: Node,
        wallet: Wallet | None,
        *,
        patience_s: float = 60.0,
        outbid_s: float = 20.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.node = node
        self._wallet = wallet
        self._patience_s = patience_s
        self._outbid_s = outbid_s
        self._sleep = sleep

    @property
    def wallet(self) -> Wallet:
        """Asked for only where something is signed: reading needs no key."""
        if self._wallet is None:
            raise ConfigError("no key to send with", hint=f"set {KEY}, or {KEYSTORE} and its password")
        return self._wallet

    @property
    def sender(self) -> str:
        return self._wallet.address if self._wallet else NOBODY

    def submit(self, purpose: str, to: str | None, data: bytes, *, once: bool = False, gas: int | None = None) -> Mined:
        """Sends and waits. A purpose that is still open is resumed; one that is done is resumed too where `once`."""
        self.settle()
        tx_hash = self._find(purpose, once=once)
        if tx_hash is None:
            limit = gas or self._limit(to, data)
            raw, tx_hash = self._write_down(purpose, to, data, limit)
            try:
                self.node.send(raw)
            except ChainRefused:
                # Refused at the door: it is nowhere, so its nonce is free again.
                self._forget(tx_hash)
                raise
        return self._wait(purpose, tx_hash)

    def settle(self) -> int:
        """Looks at every open transaction and does what is missing; the number still open."""
        with self.store.read() as tx:
            rows = tx.all(
                f"SELECT * FROM chain_tx WHERE {_OURS} AND {_OPEN} ORDER BY nonce, rowid",
                (self.node.chain_id, self.wallet.address),
            )
        if not rows:
            return 0
        head = self.node.head()
        newest = {row["nonce"]: row["hash"] for row in rows}
        return sum(self._settle(row, head, outbid=row["hash"] != newest[row["nonce"]]) for row in rows)

    def _settle(self, row: Row, head: int, *, outbid: bool) -> bool:
        """Whether it is still open. What was outbid may still be mined, but is not sent again."""
        mined = self.node.mined(row["hash"])
        if mined is not None:
            final = head - mined.block_number >= self.node.confirmations
            self._note(row["hash"], ("final" if mined.ok else "failed") if final else "mined", mined)
            return not final
        if self.node.nonce(row["sender"]) > row["nonce"]:
            self._note(row["hash"], "replaced")
            return False
        self._note(row["hash"], "sent")
        if outbid:
            return True
        try:
            self.node.send(row["raw"])
        except ChainRefused:
            # Another of the same nonce may take its place: at most one of the two is ever mined.
            self._note(row["hash"], "replaced")
            return False
        return True

    def _limit(self, to: str | None, data: bytes) -> int:
        estimate = self.node.estimate_gas(to, data, sender=self.wallet.address)
        return estimate + estimate // _HEADROOM

    def _find(self, purpose: str, *, once: bool) -> bytes | None:
        states = "('sent', 'mined', 'final')" if once else "('sent')"
        with self.store.read() as tx:
            row = tx.one(
                f"SELECT hash FROM chain_tx WHERE {_OURS} AND purpose = ? AND state IN {states}"
                " ORDER BY rowid DESC LIMIT 1",
                (self.node.chain_id, self.wallet.address, purpose),
            )
        return None if row is None else bytes(row["hash"])

    def _write_down(self, purpose: str, to: str | None, data: bytes, gas: int) -> tuple[bytes, bytes]:
        mined_nonce, fees = self.node.nonce(self.wallet.address), self.node.fees()
        with self.store.write() as tx:
            nonce = max(mined_nonce, self._next_open_nonce(tx))
            raw = self.wallet.transaction(self.node.chain_id, nonce, to, data, gas, fees)
            tx_hash = typed.keccak(raw)
            tx.execute(
                "INSERT INTO chain_tx (hash, chain_id, sender, nonce, purpose, raw, state) "
                "VALUES (?, ?, ?, ?, ?, ?, 'sent') ON CONFLICT (hash) "
                "DO UPDATE SET purpose = excluded.purpose, state = excluded.state",
                (tx_hash, self.node.chain_id, self.wallet.address, nonce, purpose, raw),
            )
        return raw, tx_hash

    def _next_open_nonce(self, tx: Transaction) -> int:
        row = tx.one(
            f"SELECT max(nonce) AS last FROM chain_tx WHERE {_OURS} AND {_OPEN}",
            (self.node.chain_id, self.wallet.address),
        )
        return 0 if row is None or row["last"] is None else int(row["last"]) + 1

    def _wait(self, purpose: str, tx_hash: bytes) -> Mined:
        sent, waited_s, pause_s = self._siblings(tx_hash), 0.0, 0.02
        while (mined := self._first_mined(sent)) is None:
            if waited_s >= self._patience_s:
                raise ProviderDown(
                    f"{purpose.split(maxsplit=1)[0]}: sent, but not mined within {self._patience_s:.0f} s",
                    cause=f"transaction 0x{sent[-1].hex()} on {self.node.title}",
                    hint="run the command again: it goes on with the same transaction, for a higher fee",
                )
            if waited_s >= self._outbid_s * len(sent):
                sent.append(self._outbid(sent[-1]))
            self._sleep(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(1.0, pause_s * 2)
        self._note(mined.hash, "mined", mined)
        self.settle()
        if not mined.ok:
            self._note(mined.hash, "failed", mined)
            raise ChainRefused(
                f"{purpose.split(maxsplit=1)[0]}: mined, and reverted",
                cause=f"{mined.gas_used:,} gas used in block {mined.block_number}: out of gas, or overtaken by another",
            )
        return mined

    def _first_mined(self, hashes: list[bytes]) -> Mined | None:
        return next(filter(None, map(self.node.mined, hashes)), None)

    def _siblings(self, tx_hash: bytes) -> list[bytes]:
        """A transaction and those it outbid, oldest first: any of them may be the one that is mined."""
        with self.store.read() as tx:
            rows = tx.all(
                f"SELECT hash FROM chain_tx WHERE {_OURS} AND state = 'sent'"
                " AND (nonce, purpose) = (SELECT nonce, purpose FROM chain_tx WHERE hash = ?) ORDER BY rowid",
                (self.node.chain_id, self.wallet.address, tx_hash),
            )
        return [bytes(row["hash"]) for row in rows] or [tx_hash]

    def _outbid(self, tx_hash: bytes) -> bytes:
        """Written down before it is sent, as every transaction; one that the node finds too cheap waits as it was."""
        with self.store.write() as tx:
            row = tx.one("SELECT raw, nonce, purpose FROM chain_tx WHERE hash = ?", (tx_hash,))
            assert row is not None
            raw = self.wallet.outbid(bytes(row["raw"]), self.node.fees())
            dearer = typed.keccak(raw)
            tx.execute(
                "INSERT INTO chain_tx (hash, chain_id, sender, nonce, purpose, raw, state)"
                " VALUES (?, ?, ?, ?, ?, ?, 'sent')",
                (dearer, self.node.chain_id, self.wallet.address, row["nonce"], row["purpose"], raw),
            )
        with suppress(ChainRefused):
            self.node.send(raw)
        return dearer

    def _note(self, tx_hash: bytes, state: str, mined: Mined | None = None) -> None:
        block = (mined.block_number, mined.block_hash) if mined else (None, None)
        with self.store.write() as tx:
            tx.execute(
                "UPDATE chain_tx SET state = ?, block_number = ?, block_hash = ? WHERE hash = ?",
                (state, *block, tx_hash),
            )

    def _forget(self, tx_hash: bytes) -> None:
        with self.store.write() as tx:
            tx.execute("DELETE FROM chain_tx WHERE hash = ?", (tx_hash,))
