"""What agents told of their errands: how each ended, what it used, and the output that somebody asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from heliotrope.store.database import Transaction


class Ending(msgspec.Struct, frozen=True):
    """`exit` and `measurement` as JSON. `refused`: why its readings are not believed, empty where they are."""

    exit: str | None = None
    measurement: str | None = None
    refused: str = ""


class Output(msgspec.Struct, frozen=True):
    """What there is here of what one said. `next`: where at the site it goes on. `kept`: bytes of it here.

    `at_s`: when the agent told of it, by our clock; `size`: what there was at the site then.
    """

    next: int = 0
    size: int = 0
    kept: int = 0
    at_s: float = 0.0


class Segment(msgspec.Struct, frozen=True):
    """An errand of an attempt. `asked_s`: when somebody last wanted to see its output, 0 for never."""

    name: str
    site: str
    task: str
    sent_s: float | None
    ending: Ending
    output: Output | None
    asked_s: float


_SEGMENT = (
    "SELECT errand.name, errand.site, task, sent_s, ending.exit, measurement, refused, next, size, kept, at_s, asked_s"
    " FROM errand LEFT JOIN ending ON ending.name = errand.name LEFT JOIN output ON output.name = errand.name"
    " LEFT JOIN log_asked ON log_asked.name = errand.name WHERE errand.run = ?"
)


def segments(tx: Transaction, run_id: str) -> tuple[Segment, ...]:
    """All that sites elsewhere were given of an attempt, in no order."""
    found = []
    for name, site, task, sent_s, ended, measurement, refused, after, size, kept, at_s, asked_s in tx.all(
        _SEGMENT, (run_id,)
    ):
        output = None if after is None else Output(after, size, kept, at_s)
        found.append(
            Segment(name, site, task, sent_s, Ending(ended, measurement, refused or ""), output, asked_s or 0.0)
        )
    return tuple(found)


def end(tx: Transaction, name: str, ending: Ending) -> None:
    """Told once: what comes after changes nothing."""
    tx.execute(
        "INSERT INTO ending (name, exit, measurement, refused) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, ending.exit, ending.measurement, ending.refused),
    )


def ask_output(tx: Transaction, segment: Segment, now_s: float) -> None:
    tx.execute(
        "INSERT INTO log_asked (name, site, asked_s) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET asked_s = excluded.asked_s",
        (segment.name, segment.site, now_s),
    )


def outputs_asked(tx: Transaction, sites: Sequence[str], since_s: float) -> Iterable[tuple[str, str, int]]:
    """Site, name, and from where on it is wanted."""
    rows = tx.all(
        "SELECT log_asked.site, log_asked.name, coalesce(next, 0) FROM log_asked"
        " LEFT JOIN output ON output.name = log_asked.name"
        f" WHERE log_asked.site IN ({','.join('?' * len(sites))}) AND asked_s >= ? ORDER BY log_asked.name",
        (*sites, since_s),
    )
    return ((row[0], row[1], int(row[2])) for row in rows)


def output(tx: Transaction, name: str) -> Output:
    row = tx.one("SELECT next, size, kept, at_s FROM output WHERE name = ?", (name,))
    return Output(*row) if row else Output()


def put_output(tx: Transaction, name: str, after: Output, *, piece: bytes = b"") -> None:
    """`piece` ends what is kept."""
    tx.execute(
        "INSERT INTO output (name, next, size, kept, at_s) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " next = excluded.next, size = excluded.size, kept = excluded.kept, at_s = excluded.at_s",
        (name, after.next, after.size, after.kept, after.at_s),
    )
    if piece:
        tx.execute(
            "INSERT INTO output_piece (name, start, body) VALUES (?, ?, ?)", (name, after.kept - len(piece), piece)
        )


def said(tx: Transaction, name: str, start: int, most: int) -> bytes:
    """Of what is kept, from byte `start` on."""
    rows = tx.all(
        "SELECT start, body FROM output_piece WHERE name = ? AND start < ? AND start >="
        " coalesce((SELECT max(start) FROM output_piece WHERE name = ? AND start <= ?), 0) ORDER BY start",
        (name, start + most, name, start),
    )
    if not rows:
        return b""
    return b"".join(bytes(row[1]) for row in rows)[start - int(rows[0][0]) :][:most]
