"""The embedded chain's state after a while, kept beside the store, so that opening it replays only what came since."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec

from heliotrope.files import write_whole
from heliotrope.store import Transaction

EVERY_BLOCKS = 100
FILE = "chain.snapshot"


class Snapshot(msgspec.Struct, frozen=True):
    """A cache, never the truth: of no use unless `journal` is what the store's blocks up to `number` hash to."""

    evm: str
    number: int
    journal: bytes
    nodes: dict[bytes, bytes]


def load(home: Path, tx: Transaction) -> Snapshot | None:
    """None where there is none, or it is of another journal or EVM: then everything is replayed, and so checked."""
    path = home / FILE
    try:
        kept = msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return kept if (kept.evm, kept.journal) == (version("py-evm"), _journal(tx, kept.number)) else None


def keep(home: Path, tx: Transaction, number: int, nodes: dict[bytes, bytes]) -> None:
    snapshot = Snapshot(version("py-evm"), number, _journal(tx, number), nodes)
    write_whole(home / FILE, msgspec.msgpack.encode(snapshot), mode=0o600)


def _journal(tx: Transaction, number: int) -> bytes:
    digest = sha256()
    rows = tx.all("SELECT number, timestamp_s, raw, hash FROM chain_block WHERE number <= ? ORDER BY number", (number,))
    for row in rows:
        digest.update(b"%d %d %d " % (row["number"], row["timestamp_s"], len(row["raw"])))
        digest.update(bytes(row["raw"]) + bytes(row["hash"]))
    return digest.digest()
