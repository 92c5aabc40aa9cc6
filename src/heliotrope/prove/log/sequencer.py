"""The log inside the store: entries get their numbers, tiles grow, all within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from heliotrope.errors import ProofError
from heliotrope.prove.formats import merkle, tiles
from heliotrope.prove.formats.merkle import HASH_BYTES
from heliotrope.store import Transaction


def size(tx: Transaction) -> int:
    row = tx.one("SELECT max(idx) FROM log_entry")
    return 0 if row is None or row[0] is None else int(row[0]) + 1


def append(tx: Transaction, entries: Sequence[bytes]) -> int:
    """The index of the first; the others follow it without a gap."""
    for entry in entries:
        if len(entry) > tiles.MAX_ENTRY_BYTES:
            raise ProofError(f"an entry of {len(entry)} bytes", hint=f"at most {tiles.MAX_ENTRY_BYTES}")
    first = size(tx)
    tx.execute_many("INSERT INTO log_entry (idx, leaf) VALUES (?, ?)", enumerate(entries, start=first))
    _grow(tx, 0, first, [merkle.leaf_hash(entry) for entry in entries])
    return first


def _grow(tx: Transaction, level: int, start: int, hashes: Sequence[bytes]) -> None:
    """Adds hashes from index `start` of a level; each tile that fills up adds its root to the level above."""
    full: list[bytes] = []
    first_full = -1
    while hashes:
        n, held = divmod(start, tiles.WIDTH)
        part, hashes = hashes[: tiles.WIDTH - held], hashes[tiles.WIDTH - held :]
        raw = (read_tile(tx, level, n) if held else b"") + b"".join(part)
        tx.execute(
            "INSERT INTO log_tile (level, n, hashes) VALUES (?, ?, ?)"
            " ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes",
            (level, n, raw),
        )
        start += len(part)
        if start % tiles.WIDTH == 0:
            first_full = n if not full else first_full
            full.append(merkle.fold(tiles.split_tile(raw, tiles.WIDTH)))
    if full:
        _grow(tx, level + 1, first_full, full)


def read_tile(tx: Transaction, level: int, n: int, width: int | None = None) -> bytes:
    row = tx.one("SELECT hashes FROM log_tile WHERE level = ? AND n = ?", (level, n))
    raw = b"" if row is None else bytes(row[0])
    if row is None or (width is not None and len(raw) < width * HASH_BYTES):
        raise ProofError(f"the store lacks tile {n} of level {level}", cause="the log's tables were damaged")
    return raw if width is None else raw[: width * HASH_BYTES]


def read_entries(tx: Transaction, start: int, end: int) -> list[bytes]:
    rows = tx.all("SELECT leaf FROM log_entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end))
    if len(rows) != end - start:
        raise ProofError(f"the store lacks entries between {start} and {end}", cause="the log's tables were damaged")
    return [bytes(row[0]) for row in rows]


def node(tx: Transaction, tree_size: int) -> merkle.Node:
    return tiles.node_reader(lambda level, n, width: read_tile(tx, level, n, width), tree_size)


def root(tx: Transaction, tree_size: int) -> bytes:
    return merkle.root(tree_size, node(tx, tree_size))
