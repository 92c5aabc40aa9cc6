"""The journal: one JSON line a sample, written before anything else is done with it; readable after a SIGKILL."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.measure.attribution import Part
from heliotrope.measure.recorder import Recorder, Sample
from heliotrope.model import Measurement, Provenance

VERSION = 1
SYNC_S = 1.0  # the disk is told at most this often; the kernel holds every line at once


class Head(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="head"):
    version: int
    name: str
    start_s: float
    interval_s: float


class Lap(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="lap"):
    """`n` counts up by one: a line that is there twice is seen."""

    n: int
    start_s: float
    end_s: float
    samples: list[tuple[str, str, str, bool, float, float, float, float, float, tuple[str, ...]]]
    flags: tuple[str, ...] = ()


class Tail(msgspec.Struct, frozen=True, tag_field="line", tag="tail"):
    end_s: float
    energy_j: float


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Head | Lap | Tail)


class Journal:
    """Appends whole lines with one write each, so that a kill leaves at most one torn line, the last."""

    def __init__(self, path: Path, name: str, start_s: float, interval_s: float) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_EXCL, 0o644)
        except FileExistsError:
            raise InvalidInput(
                "a journal of another measurement is there already",
                file=str(path),
                hint=f"read it with `helio measure --recover {path}`, then move it or name another file",
            ) from None
        except OSError as error:
            raise InvalidInput("the journal cannot be written", file=str(path), cause=str(error)) from error
        self._n = 0
        self._synced = time.monotonic()
        self._write(Head(VERSION, name, start_s, interval_s))

    def _write(self, line: Head | Lap | Tail) -> None:
        os.write(self._fd, _ENCODER.encode(line) + b"\n")

    def lap(self, start_s: float, end_s: float, samples: tuple[Sample, ...], flags: tuple[str, ...]) -> None:
        self._n += 1
        self._write(Lap(self._n, start_s, end_s, [_flat(sample) for sample in samples], flags))
        if time.monotonic() - self._synced >= SYNC_S:
            self._synced = time.monotonic()
            os.fdatasync(self._fd)

    def close(self, end_s: float, energy_j: float) -> None:
        self._write(Tail(end_s, energy_j))
        os.fdatasync(self._fd)
        os.close(self._fd)


def _flat(sample: Sample) -> tuple[str, str, str, bool, float, float, float, float, float, tuple[str, ...]]:
    part = sample.part
    return (
        sample.meter,
        sample.domain,
        sample.provenance.value,
        sample.counted,
        part.mine_j,
        part.low_j,
        part.high_j,
        part.others_j,
        part.idle_j,
        sample.flags,
    )


def laps(path: Path) -> Iterator[Lap]:
    """Every sample of a journal, in order, none twice."""
    last = 0
    for line in _lines(path):
        if isinstance(line, Lap) and line.n > last:
            last = line.n
            yield line


def _lines(path: Path) -> Iterator[Head | Lap | Tail]:
    """A torn last line is dropped; any other line that cannot be read is an error."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput("the journal cannot be read", file=str(path), cause=str(error)) from error
    lines = data.split(b"\n")
    torn = lines.pop()
    if not lines:
        found = torn[:40].decode("utf-8", "replace")
        raise InvalidInput("an empty journal: it ended before its first line", file=str(path), found=found)
    for number, text in enumerate(lines, start=1):
        try:
            yield _DECODER.decode(text)
        except msgspec.MsgspecError as error:
            if number == len(lines) > 1:
                return
            raise InvalidInput("not a line of a journal", file=str(path), line=number, cause=str(error)) from error


def recover(path: Path) -> Measurement:
    """All that was sampled. A journal without its end is flagged."""
    recorder: Recorder | None = None
    last = 0
    ended = False
    for number, line in enumerate(_lines(path), start=1):
        if isinstance(line, Head):
            if line.version != VERSION:
                raise InvalidInput(
                    "a journal of another version", file=str(path), found=line.version, allowed=str(VERSION)
                )
            recorder = Recorder(line.name, line.start_s, bin_s=line.interval_s)
        elif recorder is None:
            raise InvalidInput("a journal without its first line", file=str(path), line=number)
        elif isinstance(line, Lap):
            if line.n > last:
                last = line.n
                recorder.add(line.start_s, line.end_s, tuple(_sample(flat) for flat in line.samples), line.flags)
        else:
            ended = True
            recorder.add(recorder.end_s, line.end_s, ())
    assert recorder is not None
    if not ended:
        recorder.add(recorder.end_s, recorder.end_s, (), ("the measurement was cut off: its last interval is missing",))
    return recorder.measurement(str(path))


def _sample(flat: tuple[str, str, str, bool, float, float, float, float, float, tuple[str, ...]]) -> Sample:
    meter, domain, provenance, counted, mine, low, high, others, idle, flags = flat
    return Sample(meter, domain, Provenance(provenance), counted, Part(mine, low, high, others, idle), flags)
