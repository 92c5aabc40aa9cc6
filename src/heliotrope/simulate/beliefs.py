"""What was believed of the grid, hour by hour: our own forecasts, or a file's, with nothing leaking from the future."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.grid import shelf
from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.judging import backtest
from heliotrope.grid.forecast.models import sources
from heliotrope.grid.forecast.models.fit import fit_own
from heliotrope.grid.forecast.recall import Recall, afresh
from heliotrope.plan.kernels.shapes import Curves, Floats
from heliotrope.plan.kernels.world import Belief
from heliotrope.simulate import gridfile
from heliotrope.units import S_PER_DAY, S_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heliotrope.grid.forecast.inputs.free_days import DayKinds

    IntArray = NDArray[np.int64]

LEAD = 96  # hours ahead that are forecast; beyond, the last day repeats
HISTORY = 21 * 24 + LEAD  # hours the forecaster needs behind it
DAY = 24


@cache
def kept_in(home: Path | None) -> Recall:
    """What was learnt once serves every replay of the same series: those of a sweep differ in other things."""
    return shelf.at(home).recall


def of(
    stated: str, curves: Curves, zones: tuple[str, ...], epoch_s: int, start_hour: float, recall: Recall = afresh
) -> Belief | None:
    """`perfect` and `none` believe nothing in particular; `builtin` forecasts; else the name of a file."""
    if stated in ("perfect", "none"):
        return None
    if curves.step_s != S_PER_HOUR:
        raise InvalidInput(
            "forecasts are hourly",
            field="--forecast",
            found=f"a grid in steps of {curves.step_s:g} s",
            allowed="3600 s",
        )
    wanted = [curves.zones.index(zone) for zone in zones]
    given = None if stated == "builtin" else _file(Path(stated), curves, zones, epoch_s)
    first = int(start_hour)
    rows = np.full(len(curves.zones), -1, dtype=np.int32)
    tables = np.empty((len(wanted), curves.steps, LEAD), dtype=np.float32)
    for n, z in enumerate(wanted):
        rows[z] = n
        actual = curves.values[z, : curves.steps]
        days = free_days.of(zones[n])
        table = own(actual, epoch_s // S_PER_HOUR, first, recall, days)
        if given is not None:
            table = overlaid(table, actual, given[n], epoch_s)
            table = learnt(table, actual, given[n], epoch_s // S_PER_HOUR, first, recall, days)
        tables[n] = table
    return Belief(tables, rows)


def own(actual: Floats, hour0: int, first: int, recall: Recall = afresh, days: DayKinds | None = None) -> Floats:
    """[issued, lead]: the house's forecaster where it has history enough, the last known day before that."""
    steps = len(actual)
    table = naive(actual)
    start = max(first, HISTORY)
    if steps - start > LEAD:
        table[start:] = backtest.hourly(actual, hour0, start, steps, LEAD, partial(fit_own, recall=recall), days)
    return table


def learnt(
    table: Floats,
    actual: Floats,
    given: Floats,
    hour0: int,
    first: int,
    recall: Recall = afresh,
    days: DayKinds | None = None,
) -> Floats:
    """From the hour there is enough of the file behind to learn from: what it is worth, today and past midnight."""
    steps = len(actual)
    start = max(first, HISTORY, int(np.argmax(np.isfinite(given))) + sources.LEAST_HOURS + DAY)
    if steps - start > LEAD:
        published = sources.Published(given[:, None], ("carbon",))
        fit = partial(sources.fit, published=published, recall=recall)
        table[start:] = backtest.hourly(actual, hour0, start, steps, LEAD, fit, days)
    return table


def naive(actual: Floats) -> Floats:
    """The same hour on the last known day; before there is one, the last known hour; at the very first, the first."""
    steps = len(actual)
    issued, lead = np.arange(steps)[:, None], np.arange(LEAD)
    back = issued + lead - DAY * (lead // DAY + 1)
    return np.where(back >= 0, actual[np.maximum(back, 0)], actual[np.maximum(issued - 1, 0)])


def overlaid(table: Floats, actual: Floats, given: Floats, epoch_s: int) -> Floats:
    """A day-ahead forecast known from 00:00 UTC of its day, each later issue corrected by the errors seen so far.

    `given` is NaN where the file says nothing. The correction decays as the errors' own past autocorrelation.
    """
    steps = len(actual)
    error = np.where(np.isfinite(given), actual - given, 0.0)
    both = np.concatenate([[0.0, 0.0], np.cumsum(error[1:] * error[:-1])])
    alone = np.concatenate([[0.0], np.cumsum(error**2)])
    memory = np.clip(both[:steps] / np.maximum(alone[:steps], 1e-9), 0.0, 0.99)
    last = np.concatenate([[0.0], error[:-1]])
    day = (np.arange(steps) * S_PER_HOUR + epoch_s) // S_PER_DAY
    for lead in range(min(DAY, steps)):
        issued = np.arange(steps - lead)
        target = issued + lead
        known = (day[issued] == day[target]) & np.isfinite(given[target])
        corrected = given[target] + last[issued] * memory[issued] ** (lead + 1)
        table[issued, lead] = np.where(known, np.maximum(corrected, 0.0), table[issued, lead])
    return table


def _file(path: Path, curves: Curves, zones: tuple[str, ...], epoch_s: int) -> list[Floats]:
    """For each zone, the file's value of each hour of the grid; NaN where it has none."""
    theirs, start_s = gridfile.read(path)
    missing = [zone for zone in zones if zone not in theirs.zones]
    if missing:
        raise InvalidInput(
            "the forecast has no such zone", file=str(path), field=missing[0], allowed=", ".join(theirs.zones)
        )
    if theirs.step_s != curves.step_s:
        raise InvalidInput("the forecast's steps are not the grid's", file=str(path), found=theirs.step_s)
    offset = int((start_s - epoch_s) // S_PER_HOUR)
    out = []
    for zone in zones:
        column = np.full(curves.steps, np.nan)
        values = theirs.values[theirs.zones.index(zone), : theirs.steps]
        a, b = max(0, offset), min(curves.steps, offset + len(values))
        if a < b:
            column[a:b] = values[a - offset : b - offset]
        out.append(column)
    if not np.isfinite(out[0]).any():
        raise InvalidInput("the forecast covers no hour of the grid", file=str(path))
    return out
