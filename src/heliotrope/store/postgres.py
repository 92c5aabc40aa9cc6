"""PostgreSQL, for controllers on several machines: the same queries, the same promises."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from heliotrope.errors import MissingExtra, StoreError
from heliotrope.store.dialect import Statement, numbered, postgres_ddl

try:
    import psycopg
    from psycopg.adapt import Loader
    from psycopg.types.numeric import Int8Dumper
except ImportError:
    raise MissingExtra("psycopg", "postgres", needed_for="a store in PostgreSQL") from None

SCHEMES = ("postgresql", "postgres")
# Whoever holds the writers' lock and says nothing for so long is cut off: others must be able to go on.
_OPTIONS = (
    "-c lock_timeout=30s -c idle_in_transaction_session_timeout=30s -c timezone=UTC -c client_min_messages=warning"
)
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SPACE = "hashtext('heliotrope ' || current_schema())"  # homes that share a database differ by schema
_WRITERS = 1
_DIGITS = 0x7FFFFFFF

# What the migrations ask of SQLite and PostgreSQL calls otherwise.
_PRELUDE = (
    "CREATE TABLE IF NOT EXISTS migrated (steps BIGINT NOT NULL)",
    """CREATE OR REPLACE FUNCTION json_extract(body TEXT, path TEXT) RETURNS TEXT IMMUTABLE LANGUAGE SQL AS
    $$ SELECT body::jsonb #>> string_to_array(substr(path, 3), '.') $$""",
    """CREATE OR REPLACE FUNCTION unixepoch(moment TEXT) RETURNS DOUBLE PRECISION STABLE LANGUAGE SQL AS
    $$ SELECT extract(epoch FROM moment::timestamptz)::double precision $$""",
)


class PostgresSession:
    """One thread's connection."""

    refused: type[Exception] = psycopg.OperationalError

    def __init__(self, url: str) -> None:
        self._connection = connect(url)

    @property
    def broken(self) -> bool:
        return self._connection.closed

    def begin(self, *, writing: bool) -> None:
        if not writing:
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        self._connection.execute("BEGIN")
        # One writer at a time, as SQLite has it: so each sees all that was written before.
        self._connection.execute(f"SELECT pg_advisory_xact_lock({_SPACE}, {_WRITERS})")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if not self._connection.closed and self._connection.info.transaction_status:
            self._connection.execute("ROLLBACK")

    def run(self, sql: str, values: Sequence[Any] = ()) -> Statement:
        return self._connection.execute(numbered(sql), values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(numbered(sql), rows)

    def schema(self) -> int:
        if self.run("SELECT to_regclass('migrated')").fetchone()[0] is None:
            return 0
        row = self.run("SELECT steps FROM migrated").fetchone()
        return int(row[0]) if row else 0

    def define(self, statement: str) -> None:
        self._connection.execute(postgres_ddl(statement))

    def note_schema(self, number: int) -> None:
        self.run("DELETE FROM migrated")
        self.run("INSERT INTO migrated (steps) VALUES (?)", (number,))

    def prepare(self) -> None:
        for statement in _PRELUDE:
            self._connection.execute(statement)

    def shred(self, tables: Sequence[str]) -> None:
        """Deleted rows stay in a table's file until it is written anew; archived write-ahead logs are the owner's."""
        for table in tables:
            self._connection.execute(f"VACUUM FULL {table}")

    def tidy(self) -> None:
        """The server has a process for that, and so it is always elsewhere."""

    def tidied_elsewhere(self, *, so: bool) -> None:
        """As above."""

    def close(self) -> None:
        self._connection.close()

    def __del__(self) -> None:
        # A thread that ends takes its connection with it.
        if hasattr(self, "_connection"):
            self._connection.close()


class AdvisoryClaim:
    """A name that one connection holds: whoever dies, or is cut off, holds it no more."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._key = zlib.crc32(name.encode()) & _DIGITS
        self._connection: psycopg.Connection[Any] | None = None
        self._held = False
        self._times = 0

    def hold(self) -> int:
        try:
            return self._hold()
        except (psycopg.OperationalError, StoreError):
            # Cut off: another may hold it by now, so it is asked for anew.
            self.release()
        try:
            return self._hold()
        except psycopg.OperationalError:
            self.release()
            return 0

    def _hold(self) -> int:
        if self._connection is None:
            self._connection = connect(self._url)
        if self._held:
            self._connection.execute("SELECT 1")
            return self._times
        row = self._connection.execute(f"SELECT pg_try_advisory_lock({_SPACE}, {self._key})").fetchone()
        self._held = bool(row and row[0])
        self._times += self._held
        return self._times if self._held else 0

    def release(self) -> None:
        """Free for others when this returns: of a closed link alone, the server hears in its own time."""
        if self._connection is not None and self._held:
            with suppress(psycopg.Error):
                self._connection.execute(f"SELECT pg_advisory_unlock({_SPACE}, {self._key})")
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._held = None, False

    def __del__(self) -> None:
        self._close()


class _Row:
    """As sqlite3's: by number, by name, in order."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: dict[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _rows(cursor: psycopg.Cursor[Any] | psycopg.RawCursor[Any]) -> Callable[[Sequence[Any]], _Row]:
    names = {column.name: number for number, column in enumerate(cursor.description or ())}
    return lambda values: _Row(names, values)


class _BoolDumper(psycopg.adapt.Dumper):
    """The schema has no booleans: they are 0 and 1, as SQLite has them."""

    oid = Int8Dumper.oid

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _NumberLoader(Loader):
    """Sums of whole numbers are whole numbers."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


def connect(url: str) -> psycopg.Connection[Any]:
    try:
        made = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=10,
            application_name="heliotrope",
            options=_joined(psycopg.conninfo.conninfo_to_dict(url).get("options")),
            cursor_factory=psycopg.RawCursor,
            row_factory=_rows,
            **_KEEPALIVE,
        )
    except psycopg.Error as error:
        raise StoreError(
            f"the store at {shown(url)} cannot be reached",
            cause=str(error).strip().splitlines()[0],
            hint="is the server up? store.url names it; the password may be in ~/.pgpass",
        ) from error
    made.adapters.register_dumper(bool, _BoolDumper)
    made.adapters.register_loader("numeric", _NumberLoader)
    return made


def _joined(options: Any) -> str:
    return f"{options} {_OPTIONS}" if options else _OPTIONS


def shown(url: str) -> str:
    """Without a password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}{parts.path}"
