"""Reads a journal back, also after a kill: every sample once, a torn last line dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.measure.protocol import Line
from heliotrope.measure.records.journal import VERSION
from heliotrope.measure.sampling.recorder import Recorder, Sample
from heliotrope.measure.share.attribution import Part
from heliotrope.measure.share.straight import Beat, Straight
from heliotrope.model import Measurement, Provenance

CUT_OFF = "the measurement was cut off: its last interval is missing"
SAME_S = 1e-6  # so much may two sums of the same times differ
# meter, domain, provenance, counted, joules of ours (value, low, high), of others, of nobody, flags
Flat = tuple[str, str, Provenance, bool, float, float, float, float, float, tuple[str, ...]]
# meter, domain, provenance, watts of a busy CPU (value, low, high), of an idle one, of a gigabyte held, flags
Watts = tuple[float, float, float]
FlatLine = tuple[str, str, Provenance, Watts, float, Watts, tuple[str, ...]]


class Head(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="head"):
    """`lines` on a node of so many `cpus`: what makes samples of notes."""

    version: int
    name: str
    start_s: float
    interval_s: float
    cpus: int = 0
    lines: tuple[FlatLine, ...] = ()

    @property
    def straight(self) -> Straight:
        return Straight(
            tuple(
                (meter, provenance, Line(domain, busy_w, idle_w, w_per_gb, flags))
                for meter, domain, provenance, busy_w, idle_w, w_per_gb, flags in self.lines
            ),
            self.cpus,
        )


class Lap(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="lap"):
    """`n` counts up by one: a line that is there twice is seen."""

    n: int
    start_s: float
    end_s: float
    samples: list[Flat]
    flags: tuple[str, ...] = ()


class Note(msgspec.Struct, frozen=True, tag_field="line", tag="note"):
    """A beat: CPU-seconds since the one before."""

    end_s: float
    tree_s: float
    tree_bytes: int


class Others(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="others"):
    """What everybody else worked over the notes since the last time."""

    others_s: float
    flags: tuple[str, ...] = ()


class Tail(msgspec.Struct, frozen=True, tag_field="line", tag="tail"):
    end_s: float
    energy_j: float


Entry = Head | Lap | Note | Others | Tail
_DECODER = msgspec.json.Decoder(Entry)


class Told(NamedTuple):
    """A sample; `whole`: of the whole node, not of ours alone."""

    start_s: float
    end_s: float
    samples: tuple[Sample, ...]
    flags: tuple[str, ...] = ()
    whole: bool = True


def laps(path: Path) -> Iterator[Told]:
    """Every sample of a journal that tells of the whole node, in order, none twice."""
    entries = _entries(path)
    return (told for told in _told(_head(entries), entries) if told.whole)


def recover(path: Path) -> Measurement:
    """All that was sampled. A journal without its end is flagged."""
    entries = _entries(path)
    head = _head(entries)
    recorder = Recorder(head.name, head.start_s, bin_s=head.interval_s)
    for told in _told(head, entries):
        recorder.add(told.start_s, told.end_s, told.samples)
        recorder.tell(told.flags)
    return recorder.measurement(str(path))


def _told(head: Head, entries: Iterator[Entry]) -> Iterator[Told]:
    """Notes become samples when it is told what the others did; the last ones, cut off before, are of ours alone."""
    straight, end_s = head.straight, head.start_s
    beats: list[Beat] = []
    flags: tuple[str, ...] = (CUT_OFF,)
    for entry in entries:
        if isinstance(entry, Note):
            beats.append((entry.end_s, entry.tree_s, entry.tree_bytes))
        elif isinstance(entry, Others):
            for lap in straight.laps(end_s, beats, entry.others_s):
                yield Told(*lap)
                end_s = lap[1]
            beats = []
            yield Told(end_s, end_s, (), entry.flags, whole=False)
        elif isinstance(entry, Lap):
            yield Told(entry.start_s, entry.end_s, tuple(map(_sample, entry.samples)), entry.flags)
            end_s = entry.end_s
        elif isinstance(entry, Tail):
            flags = ()
            yield Told(end_s, entry.end_s, (), whole=False)
    for lap in straight.laps(end_s, beats, None):
        yield Told(*lap, whole=False)
        end_s = lap[1]
    yield Told(end_s, end_s, (), flags, whole=False)


def _head(entries: Iterator[Entry]) -> Head:
    head = next(entries)
    assert isinstance(head, Head), "the first entry of a journal that was let through"
    return head


def _entries(path: Path) -> Iterator[Entry]:
    """The head, then all others, none twice. A torn last line is dropped, any other that is wrong is an error."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput("the journal cannot be read", file=str(path), cause=str(error)) from error
    texts = data.split(b"\n")
    torn = texts.pop()
    if not texts:
        what = "no journal, or one that ended within its first line" if torn else "an empty journal"
        raise InvalidInput(what, file=str(path), found=_shown(torn))
    last_n, last_s, last_text = 0, 0.0, b""
    for number, text in enumerate(texts, start=1):
        if text == last_text:
            continue
        last_text = text
        try:
            entry = _DECODER.decode(text)
        except msgspec.MsgspecError as error:
            if number == len(texts) > 1:
                return
            raise InvalidInput(
                "not a line of a journal", file=str(path), line=number, found=_shown(text), cause=str(error)
            ) from error
        if isinstance(entry, Lap):
            if entry.n <= last_n:
                continue
            last_n = entry.n
        if why_not := _misplaced(entry, number, last_s):
            raise InvalidInput(why_not, file=str(path), line=number, found=_shown(text))
        if not isinstance(entry, Others):
            last_s = entry.start_s if isinstance(entry, Head) else entry.end_s
        yield entry


def _misplaced(entry: Entry, number: int, last_s: float) -> str:
    """Why an entry cannot come here, after what ended at `last_s`; empty where it may."""
    if isinstance(entry, Head):
        if number > 1:
            return "a second journal begins within this one: keep each in a file of its own"
        return "" if entry.version == VERSION else f"a journal of version {entry.version}, not {VERSION}"
    if number == 1:
        return "a journal without its first line"
    back = not isinstance(entry, Others) and entry.end_s < last_s - SAME_S
    return "a journal whose time goes back" if back else ""


def _shown(text: bytes) -> str:
    return text[:60].decode("utf-8", "replace")


def _sample(flat: Flat) -> Sample:
    meter, domain, provenance, counted, mine, low, high, others, idle, flags = flat
    return Sample(meter, domain, provenance, counted, Part(mine, low, high, others, idle), flags)
