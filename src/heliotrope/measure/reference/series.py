"""What a plug meter, a PDU or a BMC wrote down: a CSV of times and watts (or a counter), read with care."""

from __future__ import annotations

import csv
import itertools
import math
from datetime import datetime
from pathlib import Path

from heliotrope.errors import InvalidInput

TIMES = ("time", "timestamp", "date")
WATTS = ("watts", "power_w")


def read(path: Path) -> list[tuple[float, float]]:
    """Epoch seconds and watts, in order: of a CSV, or of the journal of another measurement (a BMC's, a PDU's)."""
    points = _of_journal(path) if path.suffix == ".jsonl" else _of_table(path)
    if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(points)):
        raise InvalidInput("times must grow", file=str(path), field="time")
    if len(points) < 2:
        raise InvalidInput("too few rows", file=str(path), found=len(points), allowed="two or more")
    return points


def _of_journal(path: Path) -> list[tuple[float, float]]:
    from heliotrope.measure.records.recovery import laps

    points = []
    for lap in laps(path):
        energy_j = sum(sample.part.node_j for sample in lap.samples if sample.counted)
        if lap.end_s > lap.start_s:
            points.append(((lap.start_s + lap.end_s) / 2, energy_j / (lap.end_s - lap.start_s)))
    return points


def _of_table(path: Path) -> list[tuple[float, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the reference cannot be read", file=str(path), cause=str(error)) from error
    points = []
    for line, row in enumerate(rows, start=2):
        when = next((row[name] for name in TIMES if row.get(name)), "")
        watts = next((row[name] for name in WATTS if row.get(name)), "")
        points.append((seconds_of(when, file=str(path), line=line), number_of(watts, file=str(path), line=line)))
    return points


def seconds_of(text: str, *, file: str, line: int) -> float:
    """Epoch seconds, from themselves or from ISO 8601 with a zone."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            when = None
        seconds = math.nan if when is None or when.tzinfo is None else when.timestamp()
    if not math.isfinite(seconds):
        raise InvalidInput(
            "not a time",
            file=file,
            line=line,
            field="time",
            found=text,
            allowed="epoch seconds, or ISO 8601 with a zone",
        )
    return seconds


def number_of(text: str, *, file: str, line: int) -> float:
    """A draw or a counter: none is below zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InvalidInput("not a draw", file=file, line=line, field="watts", found=text, allowed="a number, 0 or more")
    return value
