"""Reads a journal back, also after a kill: every sample once, a torn last line dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.measure.records.journal import VERSION
from heliotrope.measure.sampling.recorder import Recorder, Sample
from heliotrope.measure.share.attribution import Part
from heliotrope.model import Measurement, Provenance

# meter, domain, provenance, counted, joules of ours (value, low, high), of others, of nobody, flags
Flat = tuple[str, str, str, bool, float, float, float, float, float, tuple[str, ...]]


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
    samples: list[Flat]
    flags: tuple[str, ...] = ()


class Tail(msgspec.Struct, frozen=True, tag_field="line", tag="tail"):
    end_s: float
    energy_j: float


_DECODER = msgspec.json.Decoder(Head | Lap | Tail)


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


def _sample(flat: Flat) -> Sample:
    meter, domain, provenance, counted, mine, low, high, others, idle, flags = flat
    return Sample(meter, domain, Provenance(provenance), counted, Part(mine, low, high, others, idle), flags)
