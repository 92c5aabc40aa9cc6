"""Tables of plug meters, PDUs and BMCs: which column is the time, which the draw or the counter, in what unit."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import NamedTuple

from heliotrope.errors import InvalidInput
from heliotrope.units import J_PER_KWH

TIMES = ("time", "timestamp", "date", "datetime")
WATTS = {"w": 1.0, "watt": 1.0, "watts": 1.0, "kw": 1e3, "kilowatts": 1e3}
JOULES = {"j": 1.0, "joules": 1.0, "kj": 1e3, "wh": J_PER_KWH / 1e3, "kwh": J_PER_KWH}
ALLOWED = f"a column {' or '.join(TIMES)}, and one that ends with its unit: {', '.join([*WATTS, *JOULES])}"
MILLISECONDS = 1e11  # epoch seconds of this size lie three thousand years ahead


class Cell(NamedTuple):
    """A row: epoch seconds, and the draw or what the counter showed."""

    at_s: float
    watts: float | None
    joules: float | None


class Columns(NamedTuple):
    """`separator` is the one the header has; with semicolons, a comma may be a decimal point."""

    time: int
    value: int
    scale: float
    counts: bool
    separator: str
    file: str

    def cell(self, text: str, line: int) -> Cell:
        fields = [field.strip().strip('"') for field in text.rstrip("\r\n").split(self.separator)]
        if len(fields) <= max(self.time, self.value):
            raise InvalidInput("a row is too short", file=self.file, line=line, found=text.strip())
        number = fields[self.value].replace(",", ".") if self.separator == ";" else fields[self.value]
        value = self.scale * number_of(number, file=self.file, line=line)
        at_s = seconds_of(fields[self.time], file=self.file, line=line)
        return Cell(at_s, None, value) if self.counts else Cell(at_s, value, None)


def columns(header: str, file: str) -> Columns:
    """`Power (W)`, `power_kw`, `Energy [kWh]`, `watts`: the last word is the unit."""
    header = header.lstrip("\ufeff").rstrip("\r\n")
    separator = max(",;\t", key=header.count)
    names = [re.findall(r"[a-z]+", name.lower()) or [""] for name in header.split(separator)]
    time = next((i for i, words in enumerate(names) if words[0] in TIMES), None)
    value = next((i for i, words in enumerate(names) if i != time and words[-1] in WATTS | JOULES), None)
    if time is None or value is None:
        raise InvalidInput("a column is missing", file=file, line=1, found=header, allowed=ALLOWED)
    unit = names[value][-1]
    return Columns(time, value, (WATTS | JOULES)[unit], unit in JOULES, separator, file)


def seconds_of(text: str, *, file: str, line: int) -> float:
    """Epoch seconds, from themselves, from milliseconds, or from ISO 8601 with a zone."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            when = None
        seconds = math.nan if when is None or when.tzinfo is None else when.timestamp()
    if not math.isfinite(seconds):
        allowed = "epoch seconds, or ISO 8601 with a zone (2026-11-21T12:00:00+01:00)"
        raise InvalidInput("not a time", file=file, line=line, field="time", found=text, allowed=allowed)
    return seconds / 1e3 if seconds > MILLISECONDS else seconds


def number_of(text: str, *, file: str, line: int) -> float:
    """A draw or a counter: none is below zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InvalidInput("not a draw", file=file, line=line, field="watts", found=text, allowed="a number, 0 or more")
    return value
