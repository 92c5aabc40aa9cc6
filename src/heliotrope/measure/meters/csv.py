"""A file that another tool writes, row by row: the log of a PDU, a plug meter, a BMC. Its last row is what is drawn."""

from __future__ import annotations

import time
from pathlib import Path

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Point, Told
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.measure.reference.columns import columns

NAME = "csv"
EXAMPLE = "helio measure --meter csv:FILE -- CMD   # columns: time and watts (or kw, joules, kwh)"
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
        self._columns = columns(rows[0], str(path))
        for row in rows[1:]:
            self._last = self._point(row)

    def _rows(self) -> list[str]:
        """Whole new lines."""
        try:
            with self.path.open(encoding="utf-8", newline="") as text:
                text.seek(self._at)
                self._rest += text.read()
                self._at = text.tell()
        except (OSError, UnicodeDecodeError) as error:
            raise MeterError(f"{self.path} cannot be read", cause=str(error)) from error
        *lines, self._rest = self._rest.split("\n")
        return [line for line in lines if line.strip()]

    def _point(self, row: str) -> Point:
        self._line += 1
        cell = self._columns.cell(row, self._line + 1)
        return Point(cell.at_s - self._began_s, [Told("node", watts=cell.watts, joules=cell.joules)])

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
