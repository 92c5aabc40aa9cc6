"""SQLite in WAL mode: one file, many processes; writers queue on its lock."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from heliotrope.errors import StoreError
from heliotrope.store.dialect import Statement

BUSY_S = 30.0
# Pages of the write-ahead log after which a commit moves them into the file: as usual, and where others do it.
_USUAL_PAGES, _MANY_PAGES = 1000, 4000


class SqliteSession:
    """One thread's connection."""

    refused: type[Exception] = sqlite3.OperationalError
    broken = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode=WAL")
            # FULL: what was acknowledged survives a power cut, not only a kill.
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            self._connection.execute("PRAGMA secure_delete=ON")
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{path} cannot be opened", cause=str(error), hint="move the file away to start a new store"
            ) from error

    def begin(self, *, writing: bool) -> None:
        self._connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def run(self, sql: str, values: Sequence[Any] = ()) -> Statement:
        return self._connection.execute(sql, values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)

    def schema(self) -> int:
        try:
            return int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self._path} is not a store", cause=str(error), hint="move the file away to start a new one"
            ) from error

    def prepare(self) -> None:
        """The migrations are written in its own words."""

    def define(self, statement: str) -> None:
        self._connection.execute(statement)

    def note_schema(self, number: int) -> None:
        self._connection.execute(f"PRAGMA user_version = {number}")

    def shred(self, tables: Sequence[str]) -> None:
        """Deleted rows are overwritten as they go (secure_delete); the write-ahead log still has them."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def tidy(self) -> None:
        """Moves the write-ahead log into the file; waits for nobody."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def tidied_elsewhere(self, *, so: bool) -> None:
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_MANY_PAGES if so else _USUAL_PAGES}")

    def close(self) -> None:
        self._connection.close()


class FileClaim:
    """A name that one process of this machine holds: the kernel lets go of it at the instant of death."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def hold(self) -> int:
        if self._lock is None:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return 0
            self._lock = fd
        return 1

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
