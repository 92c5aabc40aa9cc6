"""What providers answered, kept on this machine: values with their revisions, forecasts by issue, calls that were made.

It grows with use and is what forecasts are trained on; deleting it loses only what the services would tell again. It
is not part of the house's store, which stands on the same floor. `months` keeps its history as Parquet beside it.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from heliotrope.errors import StoreError
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch

FILE = Path("grid") / "archive.sqlite"
ISSUES_KEPT_S = 100 * S_PER_DAY  # errors older than this teach nothing about the service of today
BODIES_KEPT_S = 7 * S_PER_DAY
SCHEMA = """
CREATE TABLE IF NOT EXISTS hour (
    provider TEXT, zone TEXT, kind TEXT, start_s INTEGER,
    value REAL, note TEXT NOT NULL, fetched_s INTEGER NOT NULL,
    PRIMARY KEY (provider, zone, kind, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (
    provider TEXT, zone TEXT, kind TEXT, start_s INTEGER, fetched_s INTEGER, value REAL NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (provider, zone, kind, start_s, fetched_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unwritten (
    provider TEXT, zone TEXT, month TEXT, PRIMARY KEY (provider, zone, month)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS issue (
    provider TEXT, zone TEXT, kind TEXT, issued_s INTEGER, first_s INTEGER NOT NULL, hours BLOB NOT NULL,
    PRIMARY KEY (provider, zone, kind, issued_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    provider TEXT, name TEXT, fetched_s INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (provider, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS body (
    provider TEXT, target TEXT, fetched_s INTEGER NOT NULL, validator TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (provider, target)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS call (provider TEXT, at_s REAL);
CREATE INDEX IF NOT EXISTS call_at ON call (provider, at_s);
CREATE TABLE IF NOT EXISTS quiet (provider TEXT PRIMARY KEY, until_s REAL NOT NULL) WITHOUT ROWID;
"""


class Hour(msgspec.Struct, frozen=True):
    """`value` None: it was asked for and not there. `fetched_s`: when the service said so."""

    value: float | None
    note: str
    fetched_s: int


class Kept(msgspec.Struct, frozen=True):
    """One value as it was told, for analysis. `replaced`: the service has revised it since."""

    provider: str
    zone: str
    kind: str
    start_s: int
    value: float
    note: str
    fetched_s: int
    replaced: bool


class Issue(msgspec.Struct, frozen=True):
    """A published forecast, hour by hour from `first_s`."""

    issued_s: int
    first_s: int
    values: tuple[float, ...]


class Archive:
    """`path` None keeps everything in memory, for as long as this object lives."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                str(path or ":memory:"), timeout=10, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(SCHEMA)
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreError(
                f"{path} cannot be used to keep signals", cause=str(error), hint="move it away; it will be made anew"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one thread at a time."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError("what was fetched cannot be kept", cause=str(error)) from error

    # Values ------------------------------------------------------------------------------------------------

    def hours(self, provider: str, zone: str, kind: str, start_s: int, end_s: int) -> dict[int, Hour]:
        """By the hour's start."""
        with closing(
            self._db.execute(
                "SELECT start_s, value, note, fetched_s FROM hour "
                "WHERE provider = ? AND zone = ? AND kind = ? AND start_s >= ? AND start_s < ?",
                (provider, zone, kind, start_s, end_s),
            )
        ) as rows:
            return {at: Hour(value, note, fetched) for at, value, note, fetched in rows}

    def keep_hours(
        self, provider: str, zone: str, kind: str, values: Mapping[int, tuple[float | None, str]], fetched_s: int
    ) -> int:
        """Newer answers stand; a value that they change is moved to the revisions. Returns how many were."""
        if not values:
            return 0
        with self._transaction() as db:
            before = self.hours(provider, zone, kind, min(values), max(values) + 1)
            revised = [
                (provider, zone, kind, at, old.fetched_s, old.value, old.note)
                for at, (value, _) in values.items()
                if (old := before.get(at)) and old.value is not None and value is not None and value != old.value
            ]
            db.executemany("INSERT OR REPLACE INTO revision VALUES (?, ?, ?, ?, ?, ?, ?)", revised)
            news = {at for at, (value, _) in values.items() if value is not None and value != _value(before.get(at))}
            months = {f"{from_epoch(at):%Y-%m}" for at in news}
            db.executemany(
                "INSERT OR IGNORE INTO unwritten VALUES (?, ?, ?)", [(provider, zone, month) for month in months]
            )
            db.executemany(
                "INSERT OR REPLACE INTO hour VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (provider, zone, kind, at, value, note, fetched_s)
                    for at, (value, note) in values.items()
                    if value is not None or before.get(at) is None or before[at].value is None
                ],
            )
        return len(revised)

    @contextmanager
    def unwritten(self) -> Iterator[list[tuple[str, str, str]]]:
        """(provider, zone, month) of what was told since this was last left without an error; one holder at a time."""
        with self._transaction() as db:
            months = db.execute("SELECT provider, zone, month FROM unwritten").fetchall()
            yield months
            if months:
                db.execute("DELETE FROM unwritten")

    def everything(
        self, zones: tuple[str, ...] = (), start_s: int = 0, end_s: int = 2**62, *, provider: str = ""
    ) -> Iterator[Kept]:
        """All that was ever told about `zones` (any, if none is named), revised values before what replaced them."""
        query = (
            "WITH told AS (SELECT provider, zone, kind, start_s, value, note, fetched_s, 1 AS replaced FROM revision "
            "UNION ALL SELECT provider, zone, kind, start_s, value, note, fetched_s, 0 FROM hour "
            "WHERE value IS NOT NULL) SELECT * FROM told WHERE start_s >= ? AND start_s < ? "
            "AND (? = '[]' OR zone IN (SELECT value FROM json_each(?))) AND ? IN ('', provider) "
            "ORDER BY provider, zone, kind, start_s, fetched_s"
        )
        wanted = json.dumps(zones)
        with closing(self._db.execute(query, (start_s, end_s, wanted, wanted, provider))) as rows:
            for teller, zone, kind, at, value, note, fetched_s, replaced in rows:
                yield Kept(teller, zone, kind, at, value, note, fetched_s, bool(replaced))

    # Forecasts ---------------------------------------------------------------------------------------------

    def keep_issue(self, provider: str, zone: str, kind: str, issue: Issue, now_s: int) -> None:
        """One an hour is enough to learn a service's errors from; old ones go."""
        packed = struct.pack(f"<{len(issue.values)}d", *issue.values)
        at = issue.issued_s // S_PER_HOUR * S_PER_HOUR
        key = (provider, zone, kind)
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO issue VALUES (?, ?, ?, ?, ?, ?)", (*key, at, issue.first_s, packed))
            db.execute(
                "DELETE FROM issue WHERE provider = ? AND zone = ? AND kind = ? AND issued_s < ?",
                (*key, now_s - ISSUES_KEPT_S),
            )

    def issues(self, provider: str, zone: str, kind: str, before_s: int) -> list[Issue]:
        """Oldest first, of those issued before `before_s`."""
        with closing(
            self._db.execute(
                "SELECT issued_s, first_s, hours FROM issue "
                "WHERE provider = ? AND zone = ? AND kind = ? AND issued_s < ? ORDER BY issued_s",
                (provider, zone, kind, before_s),
            )
        ) as rows:
            return [Issue(issued, first, struct.unpack(f"<{len(hours) // 8}d", hours)) for issued, first, hours in rows]

    def document(self, provider: str, name: str) -> tuple[int, bytes] | None:
        row = self._db.execute(
            "SELECT fetched_s, body FROM document WHERE provider = ? AND name = ?", (provider, name)
        ).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def keep_document(self, provider: str, name: str, fetched_s: int, body: bytes) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?)", (provider, name, fetched_s, body))

    # Calls -------------------------------------------------------------------------------------------------

    def body(self, provider: str, target: str) -> tuple[str, bytes] | None:
        """(validator, content) of the last answer to the same question."""
        row = self._db.execute(
            "SELECT validator, content FROM body WHERE provider = ? AND target = ?", (provider, target)
        ).fetchone()
        return None if row is None else (str(row[0]), bytes(row[1]))

    def keep_body(self, provider: str, target: str, validator: str, content: bytes, now_s: float) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM body WHERE fetched_s < ?", (now_s - BODIES_KEPT_S,))
            db.execute(
                "INSERT OR REPLACE INTO body VALUES (?, ?, ?, ?, ?)", (provider, target, int(now_s), validator, content)
            )

    def spend(self, provider: str, budget: int, now_s: float) -> bool:
        """Counts a call of this hour, across restarts and processes; False where the budget is spent."""
        with self._transaction() as db:
            db.execute("DELETE FROM call WHERE at_s < ? OR at_s > ?", (now_s - S_PER_HOUR, now_s + S_PER_HOUR))
            (sent,) = db.execute("SELECT count(*) FROM call WHERE provider = ?", (provider,)).fetchone()
            if sent >= budget:
                return False
            db.execute("INSERT INTO call VALUES (?, ?)", (provider, now_s))
        return True

    def spent(self, provider: str, now_s: float) -> int:
        query = "SELECT count(*) FROM call WHERE provider = ? AND at_s >= ?"
        return int(self._db.execute(query, (provider, now_s - S_PER_HOUR)).fetchone()[0])

    def quiet_until(self, provider: str) -> float:
        row = self._db.execute("SELECT until_s FROM quiet WHERE provider = ?", (provider,)).fetchone()
        return 0.0 if row is None else float(row[0])

    def be_quiet(self, provider: str, until_s: float) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO quiet VALUES (?, ?)", (provider, until_s))


def _value(hour: Hour | None) -> float | None:
    return None if hour is None else hour.value
