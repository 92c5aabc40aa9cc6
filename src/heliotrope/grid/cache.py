"""What was fetched, kept on disk: a cache of the outside world that may be deleted at any time.

Not part of the house's store: nothing here is state of ours, and grid stands on the same floor as the store.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from heliotrope.errors import StoreError

SCHEMA = """
CREATE TABLE IF NOT EXISTS hour (
    provider TEXT, zone TEXT, kind TEXT, start_s INTEGER,
    value REAL NOT NULL, note TEXT NOT NULL, fetched_s INTEGER NOT NULL,
    PRIMARY KEY (provider, zone, kind, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    provider TEXT, name TEXT, fetched_s INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (provider, name)
) WITHOUT ROWID;
"""


class Cache:
    """`path` None keeps everything in memory, for as long as this object lives."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(
                str(path or ":memory:"), timeout=10, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{path} is not a cache of signals", cause=str(error), hint="delete it; it will be fetched again"
            ) from error

    def hours(self, provider: str, zone: str, kind: str, start_s: int, end_s: int) -> dict[int, tuple[float, str, int]]:
        """Start → (value, note, when fetched)."""
        with closing(
            self._db.execute(
                "SELECT start_s, value, note, fetched_s FROM hour "
                "WHERE provider = ? AND zone = ? AND kind = ? AND start_s >= ? AND start_s < ?",
                (provider, zone, kind, start_s, end_s),
            )
        ) as rows:
            return {at: (value, note, fetched) for at, value, note, fetched in rows}

    def keep_hours(
        self, provider: str, zone: str, kind: str, values: dict[int, tuple[float, str]], fetched_s: int
    ) -> None:
        """Newer answers replace older ones: data are revised."""
        rows = [(provider, zone, kind, at, value, note, fetched_s) for at, (value, note) in values.items()]
        self._db.executemany("INSERT OR REPLACE INTO hour VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def document(self, provider: str, name: str) -> tuple[int, bytes] | None:
        row = self._db.execute(
            "SELECT fetched_s, body FROM document WHERE provider = ? AND name = ?", (provider, name)
        ).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def keep_document(self, provider: str, name: str, fetched_s: int, body: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?)", (provider, name, fetched_s, body))
