"""Reads series that people keep in files: CSV (wide or long) and Parquet; every fault names its line and field."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from heliotrope.errors import InvalidInput, MissingExtra, SignalGap, SignalMismatch, UnknownZone, nearest
from heliotrope.model import Quantity, SignalKind
from heliotrope.units import G_PER_LB, S_PER_HOUR, from_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

TIME_NAMES = ("time", "utc time", "datetime (utc)", "datetime", "timestamp")
ABSURD_G_PER_KWH = 3000.0  # no fuel burnt in any plant gives more
SIGNED = {Quantity.PRICE, Quantity.TEMPERATURE}
LB_PER_MWH = G_PER_LB / 1000.0
UNITS = {
    "g/kWh": {
        **dict.fromkeys(("g/kwh", "kg/mwh", "gco2/kwh", "gco2e/kwh", "gco2eq/kwh"), 1.0),
        **dict.fromkeys(("kg/kwh", "t/mwh"), 1000.0),
        **dict.fromkeys(("lb/mwh", "lbs/mwh"), LB_PER_MWH),
    },
    "EUR/MWh": {"eur/mwh": 1.0, "eur/kwh": 1000.0},
    "fraction": {"fraction": 1.0, "%": 0.01},
}
_UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\])]+)[\])]\s*$")
STEPS = "60 min, or 30, 15, 10, 5"
SEPARATORS = ",;\t"
GZIP = b"\x1f\x8b"
UTC_HINT = "times must be UTC: a local clock repeats an hour each autumn and skips one each spring"


class Column(msgspec.Struct, frozen=True, eq=False):
    """One zone's readings as they lie in the file: instants rising, one step apart or with gaps."""

    file: str
    zone: str
    at_s: IntArray
    values: FloatArray
    blank_lines: Mapping[int, int]  # instant → line whose cell is empty
    step_s: int
    flags: tuple[str, ...]

    def hours(
        self, start_s: int, end_s: int, *, fill_hours: int = 0, leave_gaps: bool = False
    ) -> tuple[FloatArray, int]:
        """Hourly means over [start_s, end_s), whole hours, and how many hours were filled from their neighbours.

        An hour is known when all its steps are; a run of at most `fill_hours` unknown ones is interpolated. A longer
        one is refused, or left NaN.
        """
        import numpy as np

        per_hour = S_PER_HOUR // self.step_s
        first, count = start_s // S_PER_HOUR, (end_s - start_s) // S_PER_HOUR
        hour = self.at_s // S_PER_HOUR - first
        inside = (hour >= 0) & (hour < count)
        known = np.bincount(hour[inside], minlength=count) == per_hour
        sums = np.bincount(hour[inside], weights=self.values[inside], minlength=count)
        if known.all():
            return sums / per_hour, 0
        edges = np.flatnonzero(np.diff(np.concatenate([[1], known.astype(int), [1]])))
        gaps = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        long = [(a, b) for a, b in gaps if b - a > fill_hours or a == 0 or b == count]
        if long and not leave_gaps:
            self._refuse(long[0][1] - long[0][0], start_s + long[0][0] * S_PER_HOUR)
        filled: FloatArray = np.interp(np.arange(count), np.flatnonzero(known), sums[known] / per_hour)
        for a, b in long:
            filled[a:b] = np.nan
        return filled, int((~known & np.isfinite(filled)).sum())

    def _refuse(self, gap_hours: int, gap_start: int) -> NoReturn:
        blank = [line for at, line in self.blank_lines.items() if 0 <= at - gap_start < gap_hours * S_PER_HOUR]
        raise SignalGap(
            f"{gap_hours} h without values from {from_epoch(gap_start):%Y-%m-%dT%H:%MZ}",
            file=self.file,
            line=min(blank) if blank else None,
            field=self.zone,
            cause=f"the series covers {from_epoch(self.at_s[0]):%Y-%m-%dT%H:%MZ} to "
            f"{from_epoch(self.at_s[-1] + self.step_s):%Y-%m-%dT%H:%MZ}",
            hint="fetch the missing hours, or allow short gaps to be filled: [grid.options.file] fill_hours = 3",
        )


class Table:
    """One file, opened once; a column is checked when it is asked for."""

    def __init__(self, path: Path, kind: SignalKind) -> None:
        self.path = path
        self.kind = kind
        self._rows, self._header = _read(path)
        names = [name.strip().lower() for name in self._header]
        at = [names.index(name) for name in TIME_NAMES if name in names]
        if not at:
            raise InvalidInput(
                "no column holds the time",
                file=path.name,
                line=1,
                found=", ".join(self._header[:6]),
                allowed="a column named time, then one a zone; or time, zone, value",
            )
        self._time = at[0]
        self._is_long = {"zone", "value"} <= set(names)
        self._names = names

    @property
    def zones(self) -> tuple[str, ...]:
        if self._is_long:
            at = self._names.index("zone")
            return tuple(dict.fromkeys(row[at].strip() for _, row in self._rows if len(row) > at))
        return tuple(_split_unit(title)[0] for i, title in enumerate(self._header) if i != self._time and title)

    def column(self, zone: str) -> Column:
        import numpy as np

        flags: list[str] = []
        at_s: list[int] = []
        lines: list[int] = []
        values: list[float] = []
        blank_lines: dict[int, int] = {}
        unit_seen: str | None = None
        last_time, last_line = -(2**62), 0
        for line, time_text, value_text, unit in self._cells(zone):
            instant = self._instant(line, time_text, flags)
            if instant <= last_time:
                what = f"appears twice (also on line {last_line})" if instant == last_time else "goes back"
                hint = UTC_HINT if instant == last_time else f"sort the lines by time; {UTC_HINT}"
                raise self._bad(f"the time {time_text.strip()} {what}", line, "time", hint=hint)
            last_time, last_line = instant, line
            if unit_seen not in {None, unit}:
                raise SignalMismatch(
                    "units are mixed in one series",
                    file=self.path.name,
                    line=line,
                    field=zone,
                    found=f"{unit or 'none'} after {unit_seen or 'none'}",
                    hint="write one unit throughout",
                )
            unit_seen = unit
            if value_text.strip():
                at_s.append(instant)
                lines.append(line)
                values.append(self._value(line, zone, value_text, self._factor(line, zone, unit)))
            else:
                blank_lines[instant] = line
        if len(at_s) < 2:
            raise self._bad("fewer than two values", None, zone, found=len(at_s))
        instants = np.asarray(at_s, dtype=np.int64)
        step_s = int(Counter(np.diff(instants).tolist()).most_common(1)[0][0])
        if S_PER_HOUR % step_s:
            raise self._bad(
                "steps that do not divide the hour", None, "time", found=f"mostly {step_s} s", allowed=STEPS
            )
        uneven = np.flatnonzero(instants % step_s)
        if len(uneven):
            raise self._bad(
                "a time off its step",
                lines[uneven[0]],
                "time",
                found=f"{from_epoch(at_s[uneven[0]]):%Y-%m-%dT%H:%M:%SZ}",
                allowed=f"whole steps of {step_s // 60} min from the hour on",
            )
        return Column(
            self.path.name, zone, instants, np.asarray(values), blank_lines, step_s, tuple(dict.fromkeys(flags))
        )

    def _bad(
        self, what: str, line: int | None, field: str, *, found: object = None, allowed: str = "", hint: str = ""
    ) -> InvalidInput:
        return InvalidInput(what, file=self.path.name, line=line, field=field, found=found, allowed=allowed, hint=hint)

    def _cells(self, zone: str) -> Iterator[tuple[int, str, str, str]]:
        """(line, time, value, unit) of one zone; empty lines at the end are skipped."""
        if self._is_long:
            zone_at, value_at = self._names.index("zone"), self._names.index("value")
            unit_at = self._names.index("unit") if "unit" in self._names else None
            wanted = [(line, row) for line, row in self._rows if len(row) <= zone_at or row[zone_at].strip() == zone]
            if not wanted:
                raise self._no_zone(zone)
        else:
            titles = [_split_unit(title) for title in self._header]
            found = [i for i, (name, _) in enumerate(titles) if name == zone and i != self._time]
            if not found:
                raise self._no_zone(zone)
            if len(found) > 1:
                raise self._bad("two columns of one name", 1, zone, hint="which of them counts cannot be known")
            value_at, unit_at, wanted = found[0], None, self._rows
        for line, row in wanted:
            if len(row) != len(self._header):
                raise self._bad(
                    f"the line has {len(row)} of {len(self._header)} columns",
                    line,
                    ",".join(row)[:40],
                    hint="the file looks truncated; fetch or export it again",
                )
            unit = _split_unit(self._header[value_at])[1] if unit_at is None else row[unit_at].strip()
            yield line, row[self._time], row[value_at], unit

    def _no_zone(self, zone: str) -> UnknownZone:
        return UnknownZone(f"no zone {zone} in this file", file=self.path.name, hint=nearest(zone, self.zones))

    def _instant(self, line: int, text: str, flags: list[str]) -> int:
        try:
            when = datetime.fromisoformat(text.strip())
        except ValueError:
            raise InvalidInput(
                "not a time", file=self.path.name, line=line, field="time", found=text, allowed="2026-01-31T07:00Z"
            ) from None
        if when.tzinfo is None:
            flags.append("times without a zone were read as UTC")
            when = when.replace(tzinfo=UTC)
        return int(when.timestamp())

    def _value(self, line: int, zone: str, text: str, factor: float) -> float:
        try:
            value = float(text) * factor
        except ValueError:
            hint = "write decimals with a point" if "," in text else "leave a cell empty where nothing is known"
            raise self._bad(
                "not a number", line, zone, found=text, allowed="a number; units go in the header", hint=hint
            ) from None
        if not math.isfinite(value):
            raise self._bad(
                "not a finite number", line, zone, found=text, hint="leave a cell empty where nothing is known"
            )
        if self.kind.quantity in SIGNED:
            return value
        if value < 0:
            raise self._bad("a negative value", line, zone, found=text.strip(), allowed="0 or more")
        if self.kind.quantity is Quantity.CARBON and value > ABSURD_G_PER_KWH:
            raise self._bad(
                f"more than any power plant emits, read as {self.kind.unit}",
                line,
                zone,
                found=text.strip(),
                allowed=f"at most {ABSURD_G_PER_KWH:g}",
                hint="say the unit in the header, as in `DE [kg/MWh]`",
            )
        return value

    def _factor(self, line: int, zone: str, unit: str) -> float:
        """What turns the stated unit into the kind's own; no unit stated means the kind's."""
        known = UNITS.get(self.kind.unit, {self.kind.unit.lower(): 1.0})
        text = unit.lower().replace("₂", "2")
        if text and text not in known:
            raise SignalMismatch(
                "a unit that does not fit the signal",
                file=self.path.name,
                line=line,
                field=zone,
                found=unit,
                allowed=", ".join(known),
                hint=f'a file of another kind says so: [grid.options.file] kinds = {{ "{self.path.name}" = "price" }}',
            )
        return known[text] if text else 1.0


def _split_unit(title: str) -> tuple[str, str]:
    """`DE [kg/MWh]` → (`DE`, `kg/MWh`). Parentheses that hold no unit stay in the name."""
    match = _UNIT.match(title.strip())
    if match and ("/" in match["unit"] or match["unit"] == "%"):
        return match["name"], match["unit"].strip()
    return title.strip(), ""


def _read(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """(line, cells) of every row that is not empty, and the header."""
    if path.suffix == ".parquet":
        return _read_parquet(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            header = text.readline()
            text.seek(0)
            reader = csv.reader(text, delimiter=max(SEPARATORS, key=header.count), strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise InvalidInput("no such file", file=str(path), hint="a path is looked for from where you are") from None
    except UnicodeDecodeError as error:
        packed = isinstance(error.object, bytes) and error.object.startswith(GZIP)
        hint = f"it is compressed: gunzip {path.name}" if packed else "save it as CSV in UTF-8"
        raise InvalidInput("no text", file=str(path), cause=error.reason, hint=hint) from error
    except OSError as error:
        raise InvalidInput("cannot be read", file=str(path), cause=error.strerror or str(error)) from error
    except csv.Error as error:
        raise InvalidInput("cannot be read as CSV", file=str(path), cause=str(error)) from error
    if len(rows) < 2:
        raise InvalidInput("no data", file=str(path), allowed="a header and one line a time step")
    return rows[1:], rows[0][1]


def _read_parquet(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", needed_for="reading Parquet") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise InvalidInput("cannot be read as Parquet", file=str(path), cause=str(error)) from error
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    return [(i, list(cells)) for i, cells in enumerate(zip(*columns, strict=True), start=1)], list(table.column_names)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)
