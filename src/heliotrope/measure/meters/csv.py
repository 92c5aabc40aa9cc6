"""A file that another tool writes, row by row: the log of a PDU, a plug meter, a BMC. Its last row is what is drawn."""

from __future__ import annotations

import time
from pathlib import Path

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Point, Told
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.units import J_PER_KWH

NAME = "csv"
EXAMPLE = "helio measure --meter csv:FILE -- CMD   # columns: time and watts (or kw, joules, kwh)"
COLUMNS = {"watts": 1.0, "power_w": 1.0, "kw": 1e3, "power_kw": 1e3}
COUNTERS = {"joules": 1.0, "energy_j": 1.0, "kwh": J_PER_KWH, "energy_kwh": J_PER_KWH, "wh": J_PER_KWH / 1e3}
STALE_S = 60.0


class Tail:
    """The rows that were added since the last look, placed by their own time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._rest = ""
        self._line = 0
        self._began_s = time.time()
        self._last: Point | None = None
        rows = self._rows()
        if not rows:
            raise InvalidInput("no row yet", file=str(path), hint=EXAMPLE)
        self._header = rows[0]
        self._time = self._column({"time", "timestamp", "date"})
        self._power = self._column(COLUMNS.keys() | COUNTERS.keys())
        for row in rows[1:]:
            self._last = self._point(row)

    def _column(self, names: set[str]) -> int:
        for index, name in enumerate(self._header):
            if name.strip().lower() in names:
                return index
        allowed = ", ".join(sorted(names))
        raise InvalidInput("a column is missing", file=str(self.path), line=1, found=self._header, allowed=allowed)

    def _rows(self) -> list[list[str]]:
        """Whole new lines as fields."""
        try:
            with self.path.open(encoding="utf-8", newline="") as text:
                text.seek(self._at)
                self._rest += text.read()
                self._at = text.tell()
        except (OSError, UnicodeDecodeError) as error:
            raise MeterError(f"{self.path} cannot be read", cause=str(error)) from error
        *lines, self._rest = self._rest.split("\n")
        import csv

        return [row for row in csv.reader(lines) if row]

    def _point(self, row: list[str]) -> Point:
        from heliotrope.measure.reference.series import number_of, seconds_of

        self._line += 1
        if len(row) <= max(self._time, self._power):
            raise MeterError(f"{self.path}: a row is too short", cause=",".join(row))
        at_s = seconds_of(row[self._time], file=str(self.path), line=self._line + 1)
        value = number_of(row[self._power], file=str(self.path), line=self._line + 1)
        name = self._header[self._power].strip().lower()
        if name in COUNTERS:
            return Point(at_s - self._began_s, [Told("node", joules=value * COUNTERS[name])])
        return Point(at_s - self._began_s, [Told("node", watts=value * COLUMNS[name])])

    def take(self, elapsed_s: float) -> list[Point]:
        try:
            new = [self._point(row) for row in self._rows()]
        except InvalidInput as error:
            raise MeterError(error.what, cause=error.cause) from error
        first = self._last is not None and elapsed_s == 0
        if new:
            self._last = new[-1]
        if self._last is None or self.now_s() - self._last.at_s > STALE_S:
            raise MeterError(f"{self.path} has no row of the last {STALE_S:g} s")
        if first:
            # What the last row says stands from now on, not from when it was written.
            return [Point(self.now_s(), self._last.told)]
        return [point for point in new if point.at_s > 0]

    def now_s(self) -> float:
        return time.time() - self._began_s

    def close(self) -> None:
        """Holds nothing open."""


def probe(_system: System) -> Probe:
    return Probe(NAME, True, (), "asked for by file only", EXAMPLE)


def open_meter(opening: Opening) -> IntegratedMeter:
    if not opening.target:
        raise InvalidInput("the csv meter needs a file", field="meters", hint=EXAMPLE)
    return IntegratedMeter(
        NAME,
        None,
        covers=frozenset({"node", "cpu", "dram", "gpu"}),
        resolution_s=20.0,
        source=Tail(Path(opening.target)),
    )
