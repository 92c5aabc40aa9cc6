"""Many records a second: one thread reads, checks and signs while another commits, each batch one transaction."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.prove import record
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.record import Sealed, Statement

MAX_RECORDS = 256
MAX_WAITING_BATCHES = 4
MAX_LINE_BYTES = 1_000_000
PUBLISH_EVERY_S = 1.0

_Batch = list[tuple[Statement, Sealed]]


def append_lines(ledger: Ledger, source: BinaryIO, durable: Callable[[range], None]) -> int:
    """One record a JSON line, in order; `durable(indices)` is called once those records are committed.

    A batch is what has arrived while the last one was being committed, so a lone line never waits for company.
    A bad line ends it: what came before is committed and acknowledged, what comes after is not read.
    """
    waiting: queue.Queue[_Batch | BaseException | None] = queue.Queue(MAX_WAITING_BATCHES)
    stop = threading.Event()
    signer = threading.Thread(target=_sign, args=(ledger, source, waiting), name="signer", daemon=True)
    publisher = threading.Thread(target=_publish, args=(ledger, stop), name="publisher")
    signer.start()
    publisher.start()
    count = 0
    try:
        while (batch := waiting.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            with ledger.store.write() as tx:
                first = ledger.add_sealed(tx, batch)
            durable(range(first, first + len(batch)))
            count += len(batch)
    finally:
        stop.set()
        publisher.join()
        ledger.publish()
    return count


def entry_statement(value: Any) -> tuple[Statement, bytes]:
    """Someone else's JSON value as a record; returns its canonical payload too. Floats are theirs, so they may stay."""
    entry = record.canonical_any(value) if _has_floats(value) else record.canonical(value)
    body = record.statement("entry", "entry", record.digest(entry), {"entry": value})
    payload = record.canonical_any(body) if _has_floats(value) else record.canonical(body)
    return Statement("entry", "entry", body), payload


def _has_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_floats, value.values())) or not all(map(str.isascii, value))
    if isinstance(value, list):
        return any(map(_has_floats, value))
    return isinstance(value, float)


def _sign(ledger: Ledger, source: BinaryIO, waiting: queue.Queue[_Batch | BaseException | None]) -> None:
    try:
        for lines in _batches(source):
            batch: _Batch = []
            for number, line in lines:
                try:
                    statement, payload = entry_statement(msgspec.json.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as error:
                    if batch:
                        waiting.put(batch)
                    raise InvalidInput("not a line of JSON", file="stdin", line=number, cause=str(error)) from error
                batch.append((statement, ledger.seal(payload)))
            if batch:
                waiting.put(batch)
        waiting.put(None)
    except BaseException as error:
        # Raised again in the thread that commits.
        waiting.put(error)


def _batches(source: BinaryIO) -> Iterator[list[tuple[int, bytes]]]:
    """Lines with their numbers, as many at a time as are there already, 256 at the most."""
    number, rest = 0, b""
    raw = getattr(source, "raw", source)
    while chunk := raw.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidInput("a line without end", line=number + len(lines) + 1, allowed=f"{MAX_LINE_BYTES} bytes")
        numbered = [(i, line) for i, line in enumerate(lines, start=number + 1) if line.strip()]
        number += len(lines)
        for i in range(0, len(numbered), MAX_RECORDS):
            yield numbered[i : i + MAX_RECORDS]
    if rest.strip():
        yield [(number + 1, rest)]


def _publish(ledger: Ledger, stop: threading.Event) -> None:
    while not stop.wait(PUBLISH_EVERY_S):
        ledger.publish()
    ledger.store.close()
