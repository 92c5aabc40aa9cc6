"""Opens the store, migrates it, and hands out transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from heliotrope.errors import StoreError

Row = sqlite3.Row


class Transaction:
    """Statements that become true together or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Rows changed."""
        return self._connection.execute(sql, values).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        row: Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()


class Store:
    """One file, many processes: each thread has its own connection; writers queue on SQLite's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # Commands' environments are kept, and those hold secrets: the home is its owner's alone.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._migrate()

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode=WAL")
                # FULL: what was acknowledged survives a power cut, not only a kill.
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA foreign_keys=ON")
            except sqlite3.DatabaseError as error:
                raise StoreError(
                    f"{self.path} cannot be opened",
                    cause=str(error),
                    hint="move the file away to start a new store",
                ) from error
            self._local.connection = connection
        return connection

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A writing transaction, serialised against all others, durable when the block ends."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                "the store is busy", cause=str(error), hint="another process holds it; try again in a moment"
            ) from error
        try:
            yield Transaction(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise StoreError(f"{self.path} refused a write", cause=str(error)) from error
            raise

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; never blocks a writer."""
        connection = self._connect()
        connection.execute("BEGIN")
        try:
            yield Transaction(connection)
        finally:
            connection.execute("ROLLBACK")

    def close(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _migrate(self) -> None:
        """Applies what is missing, in order of number, each file in one transaction."""
        steps = sorted(
            (p for p in files(__package__).joinpath("migrations").iterdir() if p.name.endswith(".sql")),
            key=lambda p: p.name,
        )
        connection = self._connect()
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] == len(steps):
                return
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path} is not a store", cause=str(error), hint="move the file away to start a new one"
            ) from error
        with self.write() as tx:
            row = tx.one("PRAGMA user_version")
            done = int(row[0]) if row else 0
            if done > len(steps):
                raise StoreError(
                    f"{self.path} was written by a newer heliotrope",
                    cause=f"schema {done}, this version knows {len(steps)}",
                    hint="upgrade heliotrope, or use another --home",
                )
            for step in steps[done:]:
                for statement in _statements(step.read_text(encoding="utf-8")):
                    tx.execute(statement)
            tx.execute(f"PRAGMA user_version = {len(steps)}")


def _statements(script: str) -> Iterator[str]:
    """Splits on `;` that ends a complete statement; executescript would commit behind our back."""
    pending = ""
    for line in script.splitlines(keepends=True):
        if not pending and (not line.strip() or line.lstrip().startswith("--")):
            continue
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise StoreError("a migration ends in the middle of a statement", cause=pending.strip()[:80])
