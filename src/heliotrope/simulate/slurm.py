"""What if: a team's own past, as `sacct --parsable2` wrote it, replayed under another policy."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.simulate.source import Block, Columns, Frame, Source

NEEDED = ("JobID", "Submit", "ElapsedRaw")
COMMAND = "sacct -a -X -P -o JobID,Submit,ElapsedRaw,AllocCPUS,AllocTRES,ConsumedEnergyRaw,State"
GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)")
TYPED_GPUS = re.compile(r"(?:^|,)gres/gpu:[^=,]+=(\d+)")
STILL_ON = ("RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED", "RESIZING")
MOST_W = 1e8  # above what any job draws: Slurm writes 2^64 - 2 J where it does not know


class Past(msgspec.Struct, frozen=True):
    """One job of the past; `power_w` NaN where Slurm measured none."""

    line: int
    id: str
    submitted: float
    length_s: float
    devices: float
    power_w: float


class Sacct(Source):
    """One line a job (steps such as 12.batch are passed over); what never ran or still does is left out and counted."""

    def __init__(self, path: Path, frame: Frame, *, ids: bool = False) -> None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InvalidInput("no such file", file=str(path)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput("cannot be read", file=str(path), cause=str(error)) from error
        rows = csv.DictReader(text.splitlines(), delimiter="|")
        for name in NEEDED:
            if name not in (rows.fieldnames or ()):
                raise InvalidInput("a column is missing", file=str(path), line=1, field=name, hint=COMMAND)
        self.never_ran = self.still_on = 0
        self._past = sorted(self._read(path, rows), key=lambda job: job.submitted)
        if not self._past:
            raise InvalidInput("no job in it ever ran and ended", file=str(path), hint=COMMAND)
        super().__init__(str(path), ("id", "submitted", "length_s", "devices", "power_w"), frame, iso=True, ids=ids)

    def _read(self, path: Path, rows: csv.DictReader[str]) -> Iterator[Past]:
        for row in rows:
            line = rows.line_num
            if None in row or None in row.values():
                raise InvalidInput(
                    "a line with another number of fields than the header",
                    file=str(path),
                    line=line,
                    allowed=f"{len(rows.fieldnames or ())}, with | between them",
                    hint=COMMAND,
                )
            if "." in row["JobID"]:
                continue
            if row.get("State", "").startswith(STILL_ON):
                self.still_on += 1
                continue
            elapsed = _number(path, line, "ElapsedRaw", row["ElapsedRaw"])
            if elapsed <= 0:
                self.never_ran += 1
                continue
            energy = row.get("ConsumedEnergyRaw", "").strip()
            watts = _number(path, line, "ConsumedEnergyRaw", energy) / elapsed if energy else 0.0
            known_w = watts if 0 < watts < MOST_W else float("nan")
            yield Past(
                line, row["JobID"], _time(path, line, row["Submit"]), elapsed, _devices(path, line, row), known_w
            )

    def notes(self) -> tuple[str, ...]:
        found = [
            "times without a zone were read as UTC; power is ConsumedEnergyRaw over ElapsedRaw where Slurm measured it"
        ]
        found += [f"{self.never_ran} jobs left out: they never ran"] if self.never_ran else []
        found += [f"{self.still_on} jobs left out: nobody knows yet how long they run"] if self.still_on else []
        return tuple(found)

    def blocks(self) -> Iterator[Block]:
        yield Block(b"", 2, 0)

    def columns_of(self, block: Block) -> Columns:
        numbers = {
            name: np.array([getattr(job, name) for job in self._past])
            for name in ("line", "submitted", "length_s", "devices", "power_w")
        }
        return {"id": [job.id for job in self._past]} | numbers


def _devices(path: Path, line: int, row: dict[str, str]) -> float:
    """GPUs where any were held, else CPUs."""
    held = row.get("AllocTRES", "")
    found = GPUS.search(held)
    gpus = int(found.group(1)) if found else sum(map(int, TYPED_GPUS.findall(held)))
    if gpus:
        return float(gpus)
    cpus = row.get("AllocCPUS", "").strip()
    return _number(path, line, "AllocCPUS", cpus) if cpus else 1.0


def _number(path: Path, line: int, field: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput("not a number", file=str(path), line=line, field=field, found=text, hint=COMMAND)
    return number


def _time(path: Path, line: int, text: str) -> float:
    """Slurm prints local time without a zone: read as UTC, unless it carries one."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            "not a time", file=str(path), line=line, field="Submit", found=text, allowed="2026-01-31T07:00:00"
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
