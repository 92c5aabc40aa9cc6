"""Many records a second: other processes sign while this one commits, each batch one transaction."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from heliotrope.errors import HelioError, InvalidInput
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.records.record import Statement
from heliotrope.prove.records.signing import Batch, Worker, seal_lines

MAX_RECORDS = 256
MAX_LINE_BYTES = 1_000_000
# Little and often: records wait for the same disk.
PUBLISH_EVERY_S = 0.25
TIDY_EVERY_S = 0.1
# Fewer lines than this are signed here: sending them away would take longer.
_WORTH_SENDING = 32
_ENTRY = Statement("entry", "entry", {})


class _Lines(msgspec.Struct, frozen=True):
    """Lines that arrived together; `first` is the number of the first in the whole input."""

    first: int
    lines: list[bytes]


def append_lines(ledger: Ledger, source: BinaryIO, durable: Callable[[range], None]) -> int:
    """One record a JSON line, in order; `durable(indices)` is called once those records are committed.

    A batch is what has arrived while the last one was being committed, so a lone line never waits for company.
    A bad line ends it: what came before is committed and acknowledged, what comes after is not read.
    """
    stop = threading.Event()
    beside = [
        threading.Thread(target=_keep_on, args=(ledger, act, every_s, stop), name=name)
        for name, act, every_s in (
            ("publisher", ledger.publish, PUBLISH_EVERY_S),
            ("tidier", ledger.store.tidy, TIDY_EVERY_S),
        )
    ]
    for thread in beside:
        thread.start()
    writer = _Writer(ledger, durable)
    try:
        with ledger.store.tidied_elsewhere():
            writer.run(_Reader(source))
    finally:
        writer.close()
        stop.set()
        for thread in beside:
            thread.join()
        ledger.publish()
    return writer.count


class _Job(msgspec.Struct, frozen=True):
    """Lines being signed by `worker`, or to be signed here."""

    arrived: _Lines
    worker: Worker | None


class _Writer:
    """Keeps every worker busy and commits in the order of the input."""

    def __init__(self, ledger: Ledger, durable: Callable[[range], None]) -> None:
        self.ledger = ledger
        self.durable = durable
        self.count = 0
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._jobs: deque[_Job] = deque()

    def run(self, reader: _Reader) -> None:
        while True:
            self._hand_out(reader)
            if not self._jobs:
                reader.refuse_the_rest()
                return
            job = self._jobs[0]
            if job.worker is None:
                batch = seal_lines(self.ledger.sealer, job.arrived.lines)
            else:
                batch = job.worker.receive()
                self._idle.append(job.worker)
                # The next lines are being signed while these are committed; nobody waits for them.
                self._hand_out(reader)
            self._commit(batch, job.arrived.first)
            self._jobs.popleft()

    def _hand_out(self, reader: _Reader) -> None:
        """Gives idle workers what has arrived; waits for lines only when there is nothing else to do."""
        while True:
            worker = next((worker for worker in self._idle if worker.ready()), None)
            if worker is None and self._jobs:
                return
            arrived = reader.take(wait=not self._jobs)
            if arrived is None:
                return
            if len(arrived.lines) < _WORTH_SENDING:
                self._jobs.append(_Job(arrived, None))
                return
            self._start_workers()
            if worker is not None:
                self._idle.remove(worker)
                worker.send(arrived.lines)
            self._jobs.append(_Job(arrived, worker))

    def _commit(self, batch: Batch, first_line: int) -> None:
        if batch.sealed:
            with self.ledger.store.write() as tx:
                first = self.ledger.add_sealed(tx, [(_ENTRY, sealed) for sealed in batch.sealed])
            self.durable(range(first, first + len(batch.sealed)))
            self.count += len(batch.sealed)
        if batch.bad is not None:
            raise InvalidInput(
                "not a line of JSON", file="stdin", line=first_line + batch.bad.place, cause=batch.bad.cause
            )

    def _start_workers(self) -> None:
        if not self._workers:
            self._workers = [Worker(self.ledger.secret) for _ in range(min(4, os.cpu_count() or 1))]
            self._idle.extend(self._workers)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class _Reader:
    """Reads ahead in a thread of its own, a few batches and no more."""

    def __init__(self, source: BinaryIO) -> None:
        self.ended = False
        self._source = source
        self._waiting: queue.Queue[_Lines | InvalidInput | None] = queue.Queue(2)
        self._fault: InvalidInput | None = None
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def take(self, *, wait: bool) -> _Lines | None:
        """None: nothing has arrived yet, or nothing more will (`ended`)."""
        if self.ended:
            return None
        try:
            item = self._waiting.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(item, _Lines):
            return item
        self.ended, self._fault = True, item
        return None

    def refuse_the_rest(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _read(self) -> None:
        try:
            for lines in _batches(self._source):
                self._waiting.put(lines)
        except InvalidInput as error:
            self._waiting.put(error)
        else:
            self._waiting.put(None)


def _batches(source: BinaryIO) -> Iterator[_Lines]:
    """As many lines at a time as are there already, 256 at the most. Blank lines are passed over."""
    number, rest = 1, b""
    raw = getattr(source, "raw", source)
    while chunk := raw.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidInput("a line without end", file="stdin", line=number + len(lines), allowed="1 MB a line")
        yield from _cut(number, lines)
        number += len(lines)
    yield from _cut(number, [rest])


def _cut(number: int, lines: list[bytes]) -> Iterator[_Lines]:
    start = 0
    for i, line in enumerate([*lines, b""]):
        if not line.strip() or i - start == MAX_RECORDS:
            if i > start:
                yield _Lines(number + start, lines[start:i])
            start = i if line.strip() else i + 1


def _keep_on(ledger: Ledger, act: Callable[[], object], every_s: float, stop: threading.Event) -> None:
    try:
        while not stop.wait(every_s):
            act()
    except HelioError:
        # The publication that ends every run says the same, where the error can be shown.
        return
    finally:
        ledger.store.close()
