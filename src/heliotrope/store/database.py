"""Opens the store, migrates it, and hands out transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from heliotrope.config import Settings
from heliotrope.errors import ConfigError, StoreError
from heliotrope.store.dialect import Claim, Row, Session, statements
from heliotrope.store.sqlite import FileClaim, SqliteSession

__all__ = ["Row", "Store", "Transaction"]
FILE = "helio.db"
ADDRESS = "store"  # in a home whose store is elsewhere: where


class Transaction:
    """Statements that become true together or not at all."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Rows changed."""
        return self._session.run(sql, values).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._session.run_many(sql, rows)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        row: Row | None = self._session.run(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._session.run(sql, values).fetchall()


class Store:
    """One home's: a file in it, or a database that several machines reach. Each thread has its own connection."""

    def __init__(self, path: Path, url: str = "") -> None:
        self.path = path
        self.home = path.parent
        self.url = url
        self._local = threading.local()
        # Commands' environments are kept, and those hold secrets: the home is its owner's alone.
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """As the settings say; a home stays with the kind of store that it began with."""
        home, url = settings.home_path, settings.store.url
        address = home / ADDRESS
        if url and (home / FILE).exists():
            raise ConfigError(
                f"store.url is set, but {home} has its store in {FILE} already",
                hint="unset store.url, or begin another home for it with --home",
            )
        if url and not (address.exists() and address.read_text(encoding="utf-8") == url):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            address.touch(mode=0o600)
            address.write_text(url, encoding="utf-8")
        return cls.at(home)

    @classmethod
    def at(cls, home: Path) -> Store:
        """The one that a home has."""
        address = home / ADDRESS
        return cls(home / FILE, address.read_text(encoding="utf-8") if address.exists() else "")

    @property
    def place(self) -> str:
        """For people; without a password."""
        if not self.url:
            return str(self.path)
        from heliotrope.store import postgres

        return postgres.shown(self.url)

    def claim(self, name: str) -> Claim:
        """A name that one process, of all that share this store, may hold."""
        if not self.url:
            return FileClaim(self.home / f"{name}.lock")
        from heliotrope.store.postgres import AdvisoryClaim

        return AdvisoryClaim(self.url, name)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A writing transaction, serialised against all others, durable when the block ends."""
        session = self._begun(writing=True)
        try:
            yield Transaction(session)
            session.commit()
        except BaseException as error:
            self._roll_back(session)
            if isinstance(error, session.refused):
                raise StoreError(f"{self.place} refused a write", cause=_first_line(error)) from error
            raise

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; never blocks a writer."""
        session = self._begun(writing=False)
        try:
            yield Transaction(session)
        except session.refused as error:
            raise StoreError(f"{self.place} cannot be read", cause=_first_line(error)) from error
        finally:
            self._roll_back(session)

    def shred(self, *tables: str) -> None:
        """What was deleted from them is nowhere in the store's files any more."""
        self._session().shred(tables)

    def tidy(self) -> None:
        """Moves what was committed lately to where it stays, waiting for nobody."""
        self._session().tidy()

    @contextmanager
    def tidied_elsewhere(self) -> Iterator[None]:
        """Commits of this thread need not stop to tidy: another thread calls `tidy` all the while."""
        self._session().tidied_elsewhere(so=True)
        try:
            yield
        finally:
            self._session().tidied_elsewhere(so=False)

    def close(self) -> None:
        session: Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            self._local.session = None

    def _session(self) -> Session:
        kept: Session | None = getattr(self._local, "session", None)
        if kept is None:
            kept = self._local.session = self._connected()
        return kept

    def _connected(self) -> Session:
        if not self.url:
            return SqliteSession(self.path)
        from heliotrope.store.postgres import PostgresSession

        return PostgresSession(self.url)

    def _begun(self, *, writing: bool) -> Session:
        session = self._session()
        try:
            session.begin(writing=writing)
            return session
        except session.refused as error:
            if not session.broken:
                self._roll_back(session)
                raise StoreError(
                    "the store is busy",
                    cause=_first_line(error),
                    hint="another process holds it; try again in a moment",
                ) from error
        # The link broke since it was last used: nothing was begun, so a new one is as good.
        self.close()
        session = self._session()
        try:
            session.begin(writing=writing)
        except session.refused as error:
            self.close()
            raise StoreError(f"{self.place} does not answer", cause=_first_line(error)) from error
        return session

    def _roll_back(self, session: Session) -> None:
        try:
            session.rollback()
        except session.refused:
            # Whoever lost the link has lost the transaction with it.
            self.close()
        if session.broken:
            self.close()

    def _migrate(self) -> None:
        """Applies what is missing, in order of number, each file in one transaction."""
        steps = sorted(
            (p for p in files(__package__).joinpath("migrations").iterdir() if p.name.endswith(".sql")),
            key=lambda p: p.name,
        )
        if self._session().schema() == len(steps):
            return
        with self.write():
            session = self._session()
            session.prepare()
            done = session.schema()
            if done > len(steps):
                raise StoreError(
                    f"{self.place} was written by a newer heliotrope",
                    cause=f"schema {done}, this version knows {len(steps)}",
                    hint="upgrade heliotrope, or use another --home",
                )
            for step in steps[done:]:
                for statement in statements(step.read_text(encoding="utf-8")):
                    session.define(statement)
            session.note_schema(len(steps))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
