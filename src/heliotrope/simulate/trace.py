"""Reads traces of jobs, whole or streamed: our columns or GAIA's, each fault named by file, line and field."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heliotrope.errors import Infeasible, InvalidInput, UnknownZone, UsageError, nearest
from heliotrope.plan.kernels.parse import numbers
from heliotrope.plan.kernels.shapes import Batch, Curves, Floats
from heliotrope.units import parse_instant

COLUMNS = ("id", "submitted", "length_s", "devices", "power_w", "deadline", "zones", "pausable", "movable")
GAIA_NAMES = {"arrival_time": "submitted", "length": "length_s", "cpus": "devices"}
SHORT_S = 7200.0  # below it a job waits in the short queue
BLOCK_BYTES = 1 << 20
TEXT = ("id", "zones")
YES, NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n")


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
    """A piece of a file: whole lines, and where they stood."""

    data: bytes
    line: int
    row: int


class Left(msgspec.Struct):
    """What was left out or cut, to be said aloud."""

    late: int = 0
    clipped: int = 0
    assumed_power: int = 0


class Trace:
    """A CSV file of jobs. Blocks may be parsed in any order, on any thread."""

    def __init__(self, path: Path, frame: Frame, *, ids: bool = False) -> None:
        self.path = path
        self.frame = frame
        self.keep_ids = ids
        try:
            with path.open("rb") as file:
                head = file.readline()
                sample = file.readline()
        except FileNotFoundError:
            raise InvalidInput("no such file", file=str(path)) from None
        except OSError as error:
            raise InvalidInput("cannot be read", file=str(path), cause=str(error)) from error
        self._offset = len(head)
        try:
            names = next(csv.reader([head.decode("utf-8-sig")]), [])
        except UnicodeDecodeError as error:
            raise InvalidInput("not text in UTF-8", file=str(path), line=1, cause=str(error)) from error
        self.columns = [GAIA_NAMES.get(n.strip(), n.strip()) for n in names]
        self._check_header(names)
        if not sample.strip():
            raise InvalidInput("no jobs", file=str(path), line=2, allowed="a line for each job")
        first = dict(zip(self.columns, sample.decode("utf-8", "replace").split(","), strict=False))
        self.iso = "T" in first.get("submitted", "") or "-" in first.get("submitted", "").strip()[1:]
        self._numeric = not self.iso and not any(c in self.columns for c in ("id", "zones", "pausable", "movable"))
        self._places: dict[tuple[int, ...], int] = {}
        self._lock = threading.Lock()
        self._place(self._named(self.frame.zones))
        if not self.frame.zones and "zones" not in self.columns:
            raise UsageError(
                "which zones may the jobs run in?",
                cause=f"the grid has {len(frame.curves.zones)} zones and {path} has no zones column",
                hint=f"--zones any, or --zones {','.join(frame.curves.zones[:2])}",
            )

    def _check_header(self, names: Sequence[str]) -> None:
        for required in ("submitted", "length_s", "devices"):
            if required not in self.columns:
                raise InvalidInput(
                    "a column is missing",
                    file=str(self.path),
                    line=1,
                    field=required,
                    found=", ".join(names),
                    allowed=f"{', '.join(COLUMNS)}; or GAIA's arrival_time,length,cpus",
                )
        for name in self.columns:
            if name not in COLUMNS:
                raise InvalidInput(
                    "no such column", file=str(self.path), line=1, field=name, hint=nearest(name, COLUMNS)
                )

    def blocks(self) -> Iterator[Block]:
        """Cut at ends of lines, about a megabyte each."""
        line, row = 2, 0
        with self.path.open("rb") as file:
            file.seek(self._offset)
            rest = b""
            while True:
                data = file.read(BLOCK_BYTES)
                if not data:
                    break
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                if cut:
                    block = Block(data[:cut], line, row)
                    yield block
                    lines = data.count(b"\n", 0, cut)
                    line, row = line + lines, row + lines
            if rest.strip():
                yield Block(rest, line, row)

    def columns_of(self, block: Block) -> dict[str, Any]:
        if self._numeric:
            raw = np.frombuffer(block.data, dtype=np.uint8)
            table = np.empty((block.data.count(b"\n") + 1, len(self.columns)))
            rows = numbers(raw, len(self.columns), table)
            if rows >= 0:
                return {name: np.ascontiguousarray(table[:rows, i]) for i, name in enumerate(self.columns)}
        return self._slowly(block)

    def _slowly(self, block: Block) -> dict[str, Any]:
        """Row by row: text columns, and the exact place of a fault."""
        found: dict[str, list[Any]] = {name: [] for name in self.columns}
        text = block.data.decode("utf-8", "replace").splitlines()
        for line, row in enumerate(csv.reader(text), start=block.line):
            if not row:
                continue
            if len(row) != len(self.columns):
                raise InvalidInput(
                    "a line with another number of fields than the header",
                    file=str(self.path),
                    line=line,
                    found=len(row),
                    allowed=str(len(self.columns)),
                )
            for name, value in zip(self.columns, row, strict=True):
                found[name].append(self._value(name, value.strip(), line))
        return {name: values if name in TEXT else np.array(values, dtype=np.float64) for name, values in found.items()}

    def _value(self, name: str, value: str, line: int) -> Any:
        if name in TEXT:
            return value
        if name in ("pausable", "movable"):
            if value.lower() not in (*YES, *NO, ""):
                raise InvalidInput(
                    "neither yes nor no", file=str(self.path), line=line, field=name, found=value, allowed="1, 0"
                )
            return np.nan if not value else float(value.lower() in YES)
        if not value and name in ("power_w", "deadline"):
            return np.nan
        if name in ("submitted", "deadline") and self.iso:
            try:
                return parse_instant(value).timestamp()
            except InvalidInput as error:
                raise InvalidInput(
                    error.what, file=str(self.path), line=line, field=name, found=value, hint=error.hint
                ) from None
        try:
            number = float(value)
        except ValueError:
            raise InvalidInput(
                "not a number", file=str(self.path), line=line, field=name, found=value, allowed="a number"
            ) from None
        if not np.isfinite(number):
            raise InvalidInput("not a finite number", file=str(self.path), line=line, field=name, found=value)
        return number

    def _named(self, zones: Sequence[str], line: int | None = None) -> tuple[int, ...]:
        known = self.frame.curves.zones
        out = []
        for zone in zones:
            if zone not in known:
                raise UnknownZone(
                    "the grid has no such zone",
                    file=str(self.path) if line else "",
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

    def _zones_of(self, texts: Sequence[str], line: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        """A job's own zones, within those in play; empty: all in play. The first is home."""
        out = np.empty(len(texts), dtype=np.int32)
        memo: dict[str, int] = {}
        for i, text in enumerate(texts):
            if text not in memo:
                own = self._named(text.replace("|", " ").replace(";", " ").split(), line + i)
                play = self._named(self.frame.zones)
                both = tuple(z for z in own if z in play or not play) if own else play
                if not both:
                    raise Infeasible(
                        f"{self.path}:{line + i}: the job's zones and --zones have none in common",
                        cause=f"job: {text}; --zones: {', '.join(self.frame.zones) or 'none named'}",
                        hint=f"add {text.replace('|', ' ').split()[0]} to --zones" if own else "name zones",
                    )
                memo[text] = self._place(both)
            out[i] = memo[text]
        return out

    def batch(self, block: Block, left: Left) -> Batch:
        """Checked, laid on the grid's clock, late jobs left out, windows cut at the grid's end."""
        raw = self.columns_of(block)
        frame = self.frame
        length = raw["length_s"] * frame.unit_s
        submitted = self._on_grid(raw["submitted"])
        count = len(length)
        devices = raw["devices"]
        self._refuse(block, "length_s", ~(length > 0), raw, "more than 0")
        self._refuse(block, "devices", ~(devices > 0), raw, "more than 0")
        self._refuse(block, "submitted", ~(submitted >= 0), raw, "a time within the grid's")
        self._refuse(
            block, "length_s", length > frame.curves.end_s, raw, f"at most the grid's {frame.curves.end_s:.0f} s"
        )
        power = raw.get("power_w", np.full(count, np.nan))
        missing = np.isnan(power)
        self._refuse(block, "power_w", power < 0, raw, "0 or more")
        power = np.where(missing, devices, power)
        slack = frame.waits.of(length)
        if "deadline" in raw:
            slack = self._slack(block, raw, submitted, length, slack)
        places = np.zeros(count, dtype=np.int32)
        if "zones" in raw:
            places = self._zones_of(raw["zones"], block.line)
        sets = list(self._places)
        pausable = raw.get("pausable", np.full(count, np.nan))
        movable = raw.get("movable", np.full(count, np.nan))
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
            pausable=np.where(np.isnan(pausable), 1, pausable).astype(np.int8),
            movable=np.where(np.isnan(movable), 0, movable).astype(np.int8),
            places=places,
            sets=np.array([z for s in sets for z in s], dtype=np.int32),
            sets_ptr=np.cumsum([0, *(len(s) for s in sets)]).astype(np.int32),
            flexible="pausable" in raw or "movable" in raw or "zones" in raw or len(frame.zones) > 1,
            ids=ids,
        )
        self._fits(block, batch)
        late = batch.slack_s < 0
        left.late += int(late.sum())
        left.clipped += int((batch.slack_s < slack).sum()) - int(late.sum())
        left.assumed_power += int(missing.sum())
        return batch.take(~late) if late.any() else batch

    def _on_grid(self, times: Floats) -> Floats:
        """Seconds since the grid's first hour."""
        frame = self.frame
        return times - frame.epoch_s if self.iso else times * frame.unit_s + frame.origin_s

    def _slack(self, block: Block, raw: dict[str, Any], submitted: Floats, length: Floats, slack: Floats) -> Floats:
        stated = self._on_grid(raw["deadline"])
        own = stated - submitted - length
        # Clocks that went through decimal text come back a little off.
        own = np.where((own < 0) & (own > -1e-6 * np.maximum(1.0, np.abs(stated))), 0.0, own)
        wrong = np.flatnonzero(own < 0)
        if len(wrong):
            i = int(wrong[0])
            raise Infeasible(
                f"{self.path}:{block.line + i}: deadline: the job cannot end by its deadline even if it starts at once",
                cause=f"submitted + length_s is {-own[i]:g} s past the deadline",
                hint=f"move the deadline by {-own[i]:g} s, or make the job that much shorter",
            )
        return np.where(np.isnan(own), slack, own)

    def _fits(self, block: Block, batch: Batch) -> None:
        if self.frame.capacity is None:
            return
        capacity = np.array(self.frame.capacity)
        largest = np.maximum.reduceat(capacity[batch.sets], batch.sets_ptr[:-1])[batch.places]
        wrong = np.flatnonzero(batch.devices > largest)
        if len(wrong):
            i = int(wrong[0])
            raise Infeasible(
                f"{self.path}:{block.line + i}: devices: no zone it may run in has that many",
                cause=f"it needs {batch.devices[i]:g}, the largest capacity is {largest[i]:g}",
                hint=f"--capacity {batch.devices[i]:g} would do",
            )

    def _refuse(self, block: Block, field: str, wrong: Any, raw: dict[str, Any], allowed: str) -> None:
        rows = np.flatnonzero(wrong)
        if len(rows):
            i = int(rows[0])
            raise InvalidInput(
                "not possible",
                file=str(self.path),
                line=block.line + i,
                field=field,
                found=float(raw[field][i]),
                allowed=allowed,
            )

    def queue_means(self) -> tuple[float, float]:
        """Mean length, s, of the short and of the long queue: what GAIA assumes of a job it does not know."""
        sums = np.zeros(4)
        for block in self.blocks():
            length = self.columns_of(block)["length_s"] * self.frame.unit_s
            short, long = length <= SHORT_S, length >= SHORT_S
            sums += (length[short].sum(), short.sum(), length[long].sum(), long.sum())
        return (
            float(sums[0] / sums[1]) if sums[1] else SHORT_S / 2,
            float(sums[2] / sums[3]) if sums[3] else SHORT_S,
        )
