"""Signs on the other cores: worker processes that turn lines of JSON into sealed records, and die with their parent."""

from __future__ import annotations

import re
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import msgspec

from heliotrope.errors import InvalidInput, ProofError
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.records import record
from heliotrope.prove.records.record import Sealed, Sealer

# What could make sorted, compact JSON differ from RFC 8785: escapes, floats, integers from 9e15 on, negative zero.
_UNUSUAL = re.compile(rb"\\u|[0-9][.eE]|[0-9]{17}|9[0-9]{15}|-0")
_ENCODER = msgspec.json.Encoder(order="deterministic")
_BODY = record.statement("entry", "entry", "DIGEST", {"entry": "ENTRY"})
_PAYLOAD = record.canonical(_BODY).replace(b"%", b"%%").replace(b'"ENTRY"', b"%b").replace(b"DIGEST", b"%b")


class BadLine(msgspec.Struct, frozen=True):
    """`place` in its batch; the lines before it are fine."""

    place: int
    cause: str


class Batch(msgspec.Struct, frozen=True):
    """Sealed records in the order of their lines; `bad` is the line after them that could not be."""

    sealed: tuple[Sealed, ...]
    bad: BadLine | None = None


def entry_payload(line: bytes) -> bytes:
    """The canonical statement about one line of someone else's JSON. Floats are theirs, so they may stay."""
    value = msgspec.json.decode(bounded(line))
    plain = line.isascii() and not _UNUSUAL.search(line)
    entry = _ENCODER.encode(value) if plain else record.canonical_any(value)
    return _PAYLOAD % (entry, record.digest(entry).encode())


def seal_lines(sealer: Sealer, lines: Sequence[bytes]) -> Batch:
    sealed: list[Sealed] = []
    for place, line in enumerate(lines):
        try:
            sealed.append(sealer.seal(entry_payload(line)))
        except (*UNREADABLE, InvalidInput) as error:
            return Batch(tuple(sealed), BadLine(place, str(error)))
    return Batch(tuple(sealed))


class Worker:
    """One process. It has at most one batch at a time, so that neither side can wait for the other for ever."""

    def __init__(self, secret: SecretKey) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "heliotrope.prove.records.signing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the parent; this one ends when its pipe does.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._out, self._in = self._process.stdin, self._process.stdout
        self._ready = False
        self._watch = select.poll()
        self._watch.register(self._in, select.POLLIN)
        # Through the pipe: a command line is for all to see.
        _send(self._out, secret.text().encode())

    def ready(self) -> bool:
        """Whether it has started; never waits."""
        if not self._ready and self._watch.poll(0):
            self._ready = _receive(self._in) == b"ready"
        return self._ready

    def send(self, lines: Sequence[bytes]) -> None:
        _send(self._out, msgspec.msgpack.encode(lines))

    def receive(self) -> Batch:
        raw = _receive(self._in)
        if raw is None:
            raise ProofError("a signing process ended unexpectedly", cause=f"exit code {self._process.wait()}")
        return msgspec.msgpack.decode(raw, type=Batch)

    def close(self) -> None:
        self._out.close()
        self._in.close()
        self._process.wait()


def _send(pipe: IO[bytes], raw: bytes) -> None:
    pipe.write(struct.pack(">Q", len(raw)) + raw)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(8)
    return pipe.read(struct.unpack(">Q", head)[0]) if len(head) == 8 else None


def _work() -> None:
    """Until the pipe ends, which it does when the parent does, however it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    secret = _receive(source)
    if secret is None:
        return
    sealer = Sealer(SecretKey.parse(secret.decode()))
    # Loads the library now, not at the first record.
    sealer.seal(b"{}")
    try:
        _send(sink, b"ready")
        while (raw := _receive(source)) is not None:
            lines = msgspec.msgpack.decode(raw, type=list[bytes])
            _send(sink, msgspec.msgpack.encode(seal_lines(sealer, lines)))
    except (BrokenPipeError, KeyboardInterrupt):
        # The parent has gone, or was told to go.
        return


if __name__ == "__main__":
    _work()
