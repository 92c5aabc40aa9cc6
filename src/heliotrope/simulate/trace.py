"""Reads CSV traces of jobs, streamed: our columns or GAIA's, each fault named by file, line and field."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heliotrope.errors import InvalidInput, nearest
from heliotrope.plan.kernels.parse import numbers
from heliotrope.simulate.source import Block, Columns, Frame, Source
from heliotrope.units import parse_instant

COLUMNS = ("id", "submitted", "length_s", "devices", "power_w", "deadline", "zones", "pausable", "movable")
GAIA_NAMES = {"arrival_time": "submitted", "length": "length_s", "cpus": "devices"}
BLOCK_BYTES = 1 << 20
TEXT = ("id", "zones")
YES, NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n")


class Trace(Source):
    """A CSV file of jobs."""

    def __init__(self, path: Path, frame: Frame, *, ids: bool = False) -> None:
        self.path = path
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
        iso = "T" in first.get("submitted", "") or "-" in first.get("submitted", "").strip()[1:]
        self._numeric = not iso and not any(c in self.columns for c in ("id", "zones", "pausable", "movable"))
        super().__init__(str(path), self.columns, frame, iso=iso, ids=ids)

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

    def columns_of(self, block: Block) -> Columns:
        if self._numeric:
            raw = np.frombuffer(block.data, dtype=np.uint8)
            table = np.empty((block.data.count(b"\n") + 1, len(self.columns)))
            rows = numbers(raw, len(self.columns), table)
            # Blank lines are skipped; then the lines of the others are worth keeping.
            if rows >= 0 and rows == block.data.count(b"\n") + (not block.data.endswith(b"\n")):
                return {name: np.ascontiguousarray(table[:rows, i]) for i, name in enumerate(self.columns)}
        return self._slowly(block)

    def _slowly(self, block: Block) -> Columns:
        """Row by row: text columns, and the exact place of a fault."""
        found: dict[str, list[Any]] = {name: [] for name in (*self.columns, "line")}
        text = block.data.decode("utf-8", "replace").splitlines()
        reader = csv.reader(text)
        for row in reader:
            line = block.line + reader.line_num - 1
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
            found["line"].append(line)
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
