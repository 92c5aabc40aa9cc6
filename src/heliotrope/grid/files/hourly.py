"""Series files as plain hourly arrays, for backtests: `time` then zones, or the layout of the DACF data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.grid.files.tables import Column, Table
from heliotrope.grid.forecast.models.sources import LEAST_HOURS, Published
from heliotrope.grid.wire.points import filled_note
from heliotrope.model import CARBON, Quantity, SignalKind
from heliotrope.units import S_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

FILL_HOURS = 6
# Layouts that hold one grid a file: DACF's column, and that of Electricity Maps' open (ODbL) files.
ONE_GRID = ("carbon_intensity", "Carbon Intensity gCO₂eq/kWh (LCA)")
PUBLISHED_CARBON = "carbon_from_src_forecasts"
# In the DACF layout without published carbon, forecasts and weather on row t are those of t + 24 h.
LATE_COLUMNS_H = 24
ANY_NUMBER = SignalKind(Quantity.TEMPERATURE, "")


class Hourly(msgspec.Struct, frozen=True, eq=False):
    """`values[i]` is epoch hour `hour0 + i`; `flags` say what was made of the file to get there."""

    zone: str
    values: FloatArray
    hour0: int
    flags: tuple[str, ...] = ()
    published: tuple[str, ...] = ()  # columns of day-ahead forecasts in the same file


def read(path: Path, zone: str, kind: SignalKind = CARBON) -> Hourly:
    """The whole series of a zone; a file of one grid answers to any name."""
    table = Table(path, kind)
    name = zone if zone in table.zones else next((one for one in ONE_GRID if one in table.zones), zone)
    column = table.column(name)
    hour0, values, filled = _whole(column)
    return Hourly(zone, values, hour0, (*column.flags, *filled_note(filled)), tuple(filter(_is_forecast, table.zones)))


def zones(path: Path) -> tuple[str, ...]:
    return Table(path, CARBON).zones


def read_beside(path: Path, series: Hourly) -> tuple[list[Hourly], list[str]]:
    """The file's other zones over the hours of `series`, and the names of those that cannot be had over them all."""
    table = Table(path, CARBON)
    found: list[Hourly] = []
    left_out: list[str] = []
    if series.zone not in table.zones or set(table.zones) & set(ONE_GRID):  # a file of one grid
        return found, left_out
    for name in table.zones:
        if name == series.zone:
            continue
        try:
            hour0, values, _ = _whole(table.column(name))
        except InvalidInput:
            left_out.append(name)
            continue
        first = series.hour0 - hour0
        if first < 0 or first + len(series.values) > len(values):
            left_out.append(name)
        else:
            found.append(Hourly(name, values[first : first + len(series.values)], series.hour0))
    return found, left_out


def read_published(paths: list[Path], series: Hourly) -> Published:
    """Day-ahead forecasts from every file that has some, laid beside the series; the first file wins."""
    found: dict[str, FloatArray] = {}
    for path in paths:
        table = Table(path, ANY_NUMBER)
        late = 0 if PUBLISHED_CARBON in table.zones else LATE_COLUMNS_H
        for name in table.zones:
            if not _is_forecast(name):
                continue
            hour0, values, _ = _whole(table.column(name), leave_gaps=True)
            into = found.setdefault(name, np.full(len(series.values), np.nan))
            _lay(into, values, hour0 + late - series.hour0)
    kept = {
        name: column for name, column in found.items() if np.isfinite(column).sum() > min(LEAST_HOURS, len(column) // 4)
    }
    if not kept:
        raise InvalidInput(
            "no column of day-ahead forecasts",
            file=", ".join(path.name for path in paths),
            allowed=f"{PUBLISHED_CARBON}, avg_SOURCE_production_forecast, forecast_WEATHER",
        )
    return Published(np.column_stack(list(kept.values())), tuple(kept))


def _is_forecast(name: str) -> bool:
    return name == PUBLISHED_CARBON or name.endswith("_production_forecast") or name.startswith("forecast_")


def _lay(into: FloatArray, values: FloatArray, shift: int) -> None:
    """Writes `values` at `shift` where nothing is yet."""
    first, last = max(shift, 0), min(shift + len(values), len(into))
    if first < last:
        here = into[first:last]
        into[first:last] = np.where(np.isfinite(here), here, values[first - shift : last - shift])


def _whole(column: Column, *, leave_gaps: bool = False) -> tuple[int, FloatArray, int]:
    start = int(column.at_s[0]) // S_PER_HOUR * S_PER_HOUR
    end = -(-(int(column.at_s[-1]) + column.step_s) // S_PER_HOUR) * S_PER_HOUR
    values, filled = column.hours(start, end, fill_hours=FILL_HOURS, leave_gaps=leave_gaps)
    return start // S_PER_HOUR, values, filled
