"""What if: a team's own past, as `sacct --parsable2` wrote it, replayed under another policy."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.simulate.source import Block, Frame, Source

NEEDED = ("JobID", "Submit", "ElapsedRaw")
COMMAND = "sacct -a -X -P -o JobID,Submit,ElapsedRaw,AllocCPUS,AllocTRES,ConsumedEnergyRaw,State"
GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)")


class Sacct(Source):
    """One line a job (steps such as 12.batch are passed over); jobs that never ran are left out and counted."""

    def __init__(self, path: Path, frame: Frame, *, ids: bool = False) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InvalidInput("no such file", file=str(path)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput("cannot be read", file=str(path), cause=str(error)) from error
        rows = csv.DictReader(text.splitlines(), delimiter="|")
        for name in NEEDED:
            if name not in (rows.fieldnames or ()):
                raise InvalidInput("a column is missing", file=str(path), line=1, field=name, hint=COMMAND)
        self.never_ran = 0
        self._rows = sorted(self._read(path, rows), key=lambda row: row[1])
        if not self._rows:
            raise InvalidInput("no job in it ever ran", file=str(path), hint=COMMAND)
        super().__init__(str(path), ("id", "submitted", "length_s", "devices", "power_w"), frame, iso=True, ids=ids)

    def _read(self, path: Path, rows: csv.DictReader[str]) -> Iterator[tuple[str, float, float, float, float]]:
        for line, row in enumerate(rows, start=2):
            if "." in row["JobID"]:
                continue
            elapsed = _number(path, line, "ElapsedRaw", row["ElapsedRaw"])
            if elapsed <= 0:
                self.never_ran += 1
                continue
            energy = (row.get("ConsumedEnergyRaw") or "").strip()
            joules = _number(path, line, "ConsumedEnergyRaw", energy) if energy else 0.0
            yield (
                row["JobID"],
                _time(path, line, row["Submit"]),
                elapsed,
                _devices(row),
                joules / elapsed if joules > 0 else float("nan"),
            )

    def notes(self) -> tuple[str, ...]:
        read = (
            "times without a zone were read as UTC; power is ConsumedEnergyRaw over ElapsedRaw where Slurm measured it"
        )
        return (read, f"{self.never_ran} jobs left out: they never ran") if self.never_ran else (read,)

    def blocks(self) -> Iterator[Block]:
        yield Block(b"", 2, 0)

    def columns_of(self, block: Block) -> dict[str, Any]:
        ids, submitted, length, devices, power = zip(*self._rows, strict=True)
        return {
            "id": list(ids),
            "submitted": np.array(submitted),
            "length_s": np.array(length),
            "devices": np.array(devices),
            "power_w": np.array(power),
        }


def _devices(row: dict[str, str]) -> float:
    """GPUs where any were held, else CPUs."""
    found = GPUS.search(row.get("AllocTRES") or "")
    if found:
        return float(found.group(1))
    return float(row.get("AllocCPUS") or 1)


def _number(path: Path, line: int, field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput("not a number", file=str(path), line=line, field=field, found=text, hint=COMMAND) from None


def _time(path: Path, line: int, text: str) -> float:
    """Slurm prints local time without a zone: read as UTC, unless it carries one."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            "not a time", file=str(path), line=line, field="Submit", found=text, allowed="2026-01-31T07:00:00"
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
