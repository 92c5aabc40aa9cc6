"""Any trace of jobs, laid on a grid's clock: windows, zones and limits checked, each fault named by its line."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from heliotrope.errors import Infeasible, InvalidInput, UnknownZone, UsageError, nearest
from heliotrope.plan.kernels.shapes import Batch, Bytes, Curves, Floats, Ints
from heliotrope.units import S_PER_HOUR, from_epoch

MOST_LENGTHS = 200_000
Columns = dict[str, Any]  # by name: numbers as arrays, text as lists
SHORT_S = 7200.0  # below it a job waits in the short queue


class Waits(msgspec.Struct, frozen=True):
    """Seconds a job without a deadline may wait; the short ones may have a limit of their own."""

    short_s: float = 24 * 3600.0
    long_s: float = 24 * 3600.0

    def of(self, length_s: Floats) -> Floats:
        return np.where(length_s < SHORT_S, self.short_s, self.long_s)


class Frame(msgspec.Struct, frozen=True, eq=False):
    """What a trace is laid over: curves, when they begin, where the trace's zero lies on them, and the zones in play.

    `origin_s`: seconds from the grid's first hour to the trace's zero. `epoch_s`: the grid's first hour, epoch seconds.
    """

    curves: Curves
    epoch_s: int
    origin_s: float
    zones: tuple[str, ...]
    waits: Waits
    unit_s: float = 1.0
    capacity: tuple[float, ...] | None = None


class Block(msgspec.Struct, frozen=True):
    """A piece of a trace: its bytes (whole lines) if it is a file, the line and the row where it begins."""

    data: bytes
    line: int
    row: int


class Left(msgspec.Struct):
    """What was left out or cut, to be said aloud."""

    late: int = 0
    clipped: int = 0
    assumed_power: int = 0
    stuck: int = 0


def _line(block: Block, raw: Columns, row: int) -> int:
    return int(raw["line"][row]) if "line" in raw else block.line + row


def _stated(column: Floats | None, otherwise: int, count: int) -> Bytes:
    """Yes (1) or no (0) of each job; NaN and no column at all are `otherwise`."""
    if column is None:
        return np.full(count, otherwise, dtype=np.int8)
    return np.where(np.isnan(column), otherwise, column).astype(np.int8)


class Source(ABC):
    """Jobs by columns, block after block; blocks may be read in any order, on any thread."""

    def __init__(
        self, name: str, columns: Sequence[str], frame: Frame, *, iso: bool = False, ids: bool = False
    ) -> None:
        self.name = name
        self.columns = list(columns)
        self.frame = frame
        self.iso = iso
        self.keep_ids = ids
        self._places: dict[tuple[int, ...], int] = {}
        self._lock = threading.Lock()
        self._means: tuple[float, float] | None = None
        self._lengths: Floats | None = None
        if not iso and not -math.inf < frame.origin_s < frame.curves.end_s:
            raise InvalidInput(
                "no hour of the grid",
                field="--start-hour",
                found=f"{frame.origin_s / S_PER_HOUR:g}",
                allowed=f"less than its {frame.curves.end_s / S_PER_HOUR:g}",
            )
        if not frame.zones and "zones" not in self.columns:
            raise UsageError(
                "which zones may the jobs run in?",
                cause=f"the grid has {len(frame.curves.zones)} zones and {name} has no zones column",
                hint=f"--zones any, or --zones {','.join(frame.curves.zones[:2])}",
            )
        self._place(self._named(frame.zones))

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """The pieces, in order of rows."""

    @abstractmethod
    def columns_of(self, block: Block) -> Columns:
        """The piece as columns, in the trace's own unit of time; `line` of each job where they are not consecutive."""

    def notes(self) -> tuple[str, ...]:
        """What a reader of the result should know about the trace."""
        return ()

    def _named(self, zones: Sequence[str], line: int | None = None) -> tuple[int, ...]:
        known = self.frame.curves.zones
        out = []
        for zone in zones:
            if zone not in known:
                raise UnknownZone(
                    "the grid has no such zone",
                    file=self.name if line else "",
                    line=line,
                    field="zones",
                    found=zone,
                    hint=nearest(zone, known),
                )
            out.append(known.index(zone))
        return tuple(out)

    def _place(self, zones: tuple[int, ...]) -> int:
        with self._lock:
            return self._places.setdefault(zones, len(self._places))

    def _zones_of(self, texts: Sequence[str], block: Block, raw: Columns) -> Ints:
        """A job's own zones (`any`: the grid's), within those in play; empty: all in play. The first is home."""
        out = np.empty(len(texts), dtype=np.int32)
        memo: dict[str, int] = {}
        for i, text in enumerate(texts):
            if text not in memo:
                names = text.replace("|", " ").replace(";", " ").split()
                own = self._named(self.frame.curves.zones if names == ["any"] else names, _line(block, raw, i))
                play = self._named(self.frame.zones)
                both = tuple(z for z in own if z in play or not play) if own else play
                if not both:
                    raise Infeasible(
                        f"{self.name}:{_line(block, raw, i)}: the job's zones and --zones have none in common",
                        cause=f"job: {text}; --zones: {', '.join(self.frame.zones) or 'none named'}",
                        hint=f"add {text.replace('|', ' ').split()[0]} to --zones" if own else "name zones",
                    )
                memo[text] = self._place(both)
            out[i] = memo[text]
        return out

    def batch(self, block: Block, left: Left, *, queues: bool = False) -> Batch:
        """Checked, laid on the grid's clock, late jobs left out, windows cut at the grid's end.

        `queues`: jobs stand in the order in which they came.
        """
        raw = self.columns_of(block)
        frame = self.frame
        length = raw["length_s"] * frame.unit_s
        submitted = self._on_grid(raw["submitted"])
        count = len(length)
        devices = raw["devices"]
        self._refuse(block, "length_s", ~(length > 0), raw, "more than 0")
        self._refuse(block, "devices", ~(devices > 0), raw, "more than 0")
        self._refuse(block, "submitted", ~(submitted >= 0), raw, self._allowed_times())
        self._refuse(
            block, "length_s", length > frame.curves.end_s, raw, f"at most the grid's {frame.curves.end_s:.0f} s"
        )
        power, assumed = devices, count
        if "power_w" in raw:
            self._refuse(block, "power_w", raw["power_w"] < 0, raw, "0 or more")
            missing = np.isnan(raw["power_w"])
            power, assumed = np.where(missing, devices, raw["power_w"]), int(missing.sum())
        slack = frame.waits.of(length)
        if "deadline" in raw:
            slack = self._slack(block, raw, submitted, length, slack)
        places = np.zeros(count, dtype=np.int32)
        if "zones" in raw:
            places = self._zones_of(raw["zones"], block, raw)
        sets = list(self._places)
        ids = None
        if self.keep_ids:
            ids = tuple(raw["id"]) if "id" in raw else tuple(str(block.row + i) for i in range(count))
        batch = Batch(
            first=block.row,
            submitted_s=submitted,
            length_s=length,
            devices=devices,
            power_w=power,
            slack_s=np.minimum(slack, frame.curves.end_s - submitted - length),
            pausable=_stated(raw.get("pausable"), 1, count),
            movable=_stated(raw.get("movable"), 0, count),
            places=places,
            sets=np.array([z for s in sets for z in s], dtype=np.int32),
            sets_ptr=np.cumsum([0, *(len(s) for s in sets)]).astype(np.int32),
            flexible="pausable" in raw or "movable" in raw or "zones" in raw or len(frame.zones) > 1,
            ids=ids,
        )
        self._fits(block, batch, raw)
        if queues:
            self._in_order(block, submitted, raw)
        late = batch.slack_s < 0
        left.late += int(late.sum())
        left.clipped += int((batch.slack_s < slack).sum()) - int(late.sum())
        left.assumed_power += assumed
        return batch.take(~late) if late.any() else batch

    def _allowed_times(self) -> str:
        """When jobs may come, on their own clock."""
        frame = self.frame
        if self.iso:
            return f"the grid's hours, {from_epoch(frame.epoch_s)} to {from_epoch(frame.epoch_s + frame.curves.end_s)}"
        return f"{0.0 - frame.origin_s / frame.unit_s:g} or more: the grid begins there"

    def _on_grid(self, times: Floats) -> Floats:
        """Seconds since the grid's first hour."""
        frame = self.frame
        return times - frame.epoch_s if self.iso else times * frame.unit_s + frame.origin_s

    def _slack(self, block: Block, raw: Columns, submitted: Floats, length: Floats, slack: Floats) -> Floats:
        stated = self._on_grid(raw["deadline"])
        own = stated - submitted - length
        # Clocks that went through decimal text come back a little off.
        own = np.where((own < 0) & (own > -1e-6 * np.maximum(1.0, np.abs(stated))), 0.0, own)
        wrong = np.flatnonzero(own < 0)
        if len(wrong):
            i = int(wrong[0])
            raise Infeasible(
                f"{self.name}:{_line(block, raw, i)}: deadline: the job cannot end by it even if it starts at once",
                cause=f"submitted + length_s is {-own[i]:g} s past the deadline",
                hint=f"move the deadline by {-own[i]:g} s, or make the job that much shorter",
            )
        return np.where(np.isnan(own), slack, own)

    def _fits(self, block: Block, batch: Batch, raw: Columns) -> None:
        """No job is larger than every zone it may run in."""
        if self.frame.capacity is None:
            return
        capacity = np.array(self.frame.capacity)
        largest = np.maximum.reduceat(capacity[batch.sets], batch.sets_ptr[:-1])[batch.places]
        wrong = np.flatnonzero(batch.devices > largest)
        if len(wrong):
            i = int(wrong[0])
            raise Infeasible(
                f"{self.name}:{_line(block, raw, i)}: devices: no zone it may run in has that many",
                cause=f"it needs {batch.devices[i]:g}, the largest capacity is {largest[i]:g}",
                hint=f"--capacity {batch.devices[wrong].max():g} would do",
            )

    def _in_order(self, block: Block, submitted: Floats, raw: Columns) -> None:
        back = np.diff(submitted) < 0
        if back.any():
            raise self.unsorted(_line(block, raw, int(back.argmax()) + 1))

    def unsorted(self, line: int) -> InvalidInput:
        return InvalidInput(
            "submitted before the job above it",
            file=self.name,
            line=line,
            field="submitted",
            hint="with --capacity jobs queue in order: sort the trace by submitted",
        )

    def _refuse(self, block: Block, field: str, wrong: Any, raw: Columns, allowed: str) -> None:
        if wrong.any():
            i = int(wrong.argmax())
            raise InvalidInput(
                "not possible",
                file=self.name,
                line=_line(block, raw, i),
                field=field,
                found=str(from_epoch(raw[field][i])) if self.iso and field == "submitted" else float(raw[field][i]),
                allowed=allowed,
            )

    def lengths(self) -> Floats:
        """Seconds; of a long trace every n-th job's, a hundred thousand or so."""
        if self._lengths is None:
            found: list[Floats] = []
            stride, held = 1, 0
            for block in self.blocks():
                found.append(self.columns_of(block)["length_s"][::stride] * self.frame.unit_s)
                held += len(found[-1])
                while held > MOST_LENGTHS:
                    stride *= 2
                    found = [part[::2] for part in found]
                    held = sum(len(part) for part in found)
            self._lengths = np.concatenate(found)
        return self._lengths

    def sample(self, count: int) -> Batch:
        """About `count` jobs of the first blocks, evenly through them."""
        batch = self.batch(next(self.blocks()), Left())
        return batch.take(slice(None, None, max(1, len(batch) // count)))

    def queue_means(self) -> tuple[float, float]:
        """Mean length, s, of the short and of the long queue: what GAIA assumes of a job it does not know."""
        if self._means is None:
            self._means = self._queue_means()
        return self._means

    def _queue_means(self) -> tuple[float, float]:
        sums = np.zeros(4)
        for block in self.blocks():
            length = self.columns_of(block)["length_s"] * self.frame.unit_s
            short, long = length <= SHORT_S, length >= SHORT_S
            sums += (length[short].sum(), short.sum(), length[long].sum(), long.sum())
        return (
            float(sums[0] / sums[1]) if sums[1] else SHORT_S / 2,
            float(sums[2] / sums[3]) if sums[3] else SHORT_S,
        )
