"""A forecast for providers that publish none: from their own history on this machine, by the built-in models."""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.errors import SignalGap
from heliotrope.grid.correct import width_without_record
from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import DAY, REACH, WEEK, scale
from heliotrope.grid.forecast.judging import backtest
from heliotrope.grid.forecast.models import ridge, sources
from heliotrope.grid.forecast.models.fit import Fit, fit_own
from heliotrope.grid.forecast.models.seasonal import YESTERDAY
from heliotrope.grid.forecast.models.sources import Published
from heliotrope.grid.forecast.recall import Recall, afresh
from heliotrope.grid.wire.points import POSSIBLE
from heliotrope.model import Quality, QualityKind, Signal
from heliotrope.units import S_PER_HOUR, hour_floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

LEAST_DAYS = 23  # features look 21 days back
GOOD_DAYS = 90  # of history, where there is so much: enough to fit, and to judge the fit by its own errors
JUDGED_H = 28 * DAY
BAND_WITHOUT_ERRORS = 3.0  # spreads of the last week, where the model's own errors are not known yet
REMEMBERED = 256  # forecasts; the same history asked about again within the hour is not fitted again
SEAM_H, SEAM_HALF_LIFE_H = 3, 12.0
MONDAY_H = 4 * DAY  # the first Monday, 00:00 UTC, in hours of the epoch
LONG_ENOUGH_H = 70 * DAY
COVERED = 0.9  # of the history must have a column's published forecasts for the column to be of use

Drivers = Mapping[str, Mapping[int, float]]  # column → hour → value
_remembered: OrderedDict[bytes, tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]] = OrderedDict()


def expect(
    history: Signal,
    start_s: int,
    end_s: int,
    issued_at_s: int,
    drivers: Drivers | None = None,
    recall: Recall = afresh,
) -> Signal:
    """Hours of [start, end), from `history`, whose end is the issue or before it, and what was published about them.

    Hours between the history's end and `start` are forecast too and dropped: late data only lengthen the horizon.
    """
    history = _from_a_monday(history)
    known = len(history.values)
    first = (hour_floor(start_s) - history.end_s) // S_PER_HOUR
    count = (-hour_floor(-end_s) - hour_floor(start_s)) // S_PER_HOUR
    if known < DAY or first < 0:
        raise SignalGap(
            f"{known} h of history are too few to forecast from", field=history.zone, allowed="a day before the issue"
        )
    if known < LEAST_DAYS * DAY:
        forecast, low, high, flags = _repeated(history, first + count)
    else:
        published = _beside(history, first + count, drivers or {})
        forecast, low, high, flags = _remember(history, first + count, published, recall)
    least, most = POSSIBLE[history.kind.quantity]
    part = slice(first, first + count)
    value = np.clip(forecast[part], least, most)
    quality = Quality(
        QualityKind.FORECAST,
        f"heliotrope forecast from {history.quality.source}",
        history.quality.licence,
        issued_at_s,
        history.quality.year,
        (*history.quality.flags, *flags),
    )
    return Signal(
        history.kind,
        history.zone,
        hour_floor(start_s),
        S_PER_HOUR,
        value,
        np.clip(np.minimum(low[part], value), least, most),
        np.clip(np.maximum(high[part], value), least, most),
        quality,
    )


def prolong(published: Signal, own: Signal) -> Signal:
    """What was published, then our own forecast from where that ends: without a jump at the seam.

    How far the two lie apart over the last hours that both have is carried on, and fades.
    """
    published.same_kind(own)
    seam = (published.end_s - own.start_s) // S_PER_HOUR
    said, ours = published.values[-SEAM_H:], own.values[max(seam - SEAM_H, 0) : seam]
    fade = 0.5 ** (np.arange(1, len(own.values) - seam + 1) / SEAM_HALF_LIFE_H)
    least, most = POSSIBLE[own.kind.quantity]
    parts = [part[seam:] for part in (own.values, own.low, own.high)]
    if min(said.min(), ours.min(), *(part.min() for part in parts)) > 0:
        apart = float(np.log(said / ours).mean())
        after = [np.clip(part * np.exp(apart * fade), least, most) for part in parts]
    else:
        apart = float((said - ours).mean())
        after = [np.clip(part + apart * fade, least, most) for part in parts]
    quality = msgspec.structs.replace(
        published.quality,
        flags=(*published.quality.flags, f"after {len(published.values)} h: {own.quality.source}", *own.quality.flags),
    )
    return Signal(
        published.kind,
        published.zone,
        published.start_s,
        published.step_s,
        np.concatenate([published.values, after[0]]),
        np.concatenate([published.low, after[1]]),
        np.concatenate([published.high, after[2]]),
        quality,
    )


def _from_a_monday(history: Signal) -> Signal:
    """Where it is long enough: so every issue of a week rests on the same past, and what was learnt of it serves."""
    late = -(history.start_s // S_PER_HOUR - MONDAY_H) % WEEK
    if len(history.values) - late < LONG_ENOUGH_H:
        return history
    return msgspec.structs.replace(
        history,
        start_s=history.start_s + late * S_PER_HOUR,
        values=history.values[late:],
        low=history.low[late:],
        high=history.high[late:],
    )


def _remember(
    history: Signal, hours: int, published: Published | None, recall: Recall
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    digest = hashlib.blake2b(history.values.tobytes())
    digest.update(repr((history.zone, history.start_s, hours, published and published.names)).encode())
    if published is not None:
        digest.update(published.columns.tobytes())
    key = digest.digest()
    if key not in _remembered:
        _remembered[key] = _forecast(history, hours, published, recall)
        if len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return _remembered[key]


def _forecast(
    history: Signal, hours: int, published: Published | None, recall: Recall
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    """The `hours` that follow the history, with what must be said of them."""
    values, known = history.values, len(history.values)
    horizons = np.arange(hours)
    padded = np.concatenate([values, np.full(hours, values[-1])])
    hour0, days = history.start_s // S_PER_HOUR, free_days.of(history.zone)
    cuts = _cuts(known, hour0, hours)
    if cuts:
        fit: Fit = partial(fit_own, recall=recall)
        flags: tuple[str, ...] = ()
        if published is not None:
            fit = partial(sources.fit, published=published, recall=recall)
            flags = (f"with published forecasts: {', '.join(published.names)}",)
        rolled = backtest.roll(
            padded, hour0, known, known + hours, horizons, every=6, fit=fit, cuts=cuts, days=days, plans=True
        )
        return rolled.forecast[0], rolled.low[0], rolled.high[0], flags
    series = scale(padded, hour0, known, days)
    issue = np.array([known])
    x = YESTERDAY.predict(series, issue, horizons)[0]
    band = BAND_WITHOUT_ERRORS * float(series.spread(issue)[0])
    flag = f"history too short ({known // DAY} days) to learn {hours} h from: yesterday repeats, with a wide interval"
    return series.back(x), series.back(x - band), series.back(x + band), (flag,)


def _repeated(history: Signal, hours: int) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    """The last day, again and again; as wide as days differ where enough of them are known."""
    values = history.values
    again = np.resize(values[-DAY:], hours)
    actual = dict(zip(range(history.start_s, history.end_s, S_PER_HOUR), values.tolist(), strict=True))
    down, up, why = width_without_record(again, actual)
    flag = f"short history ({len(values) / DAY:.1f} days): yesterday repeats, with an interval {why}"
    return again, again + down, again + up, (flag,)


def _cuts(known: int, hour0: int, hours: int) -> tuple[int, ...]:
    """Where to fit: on the last Monday, and four weeks before to know its errors; none if too little lies behind."""
    monday = known - (known + hour0 - MONDAY_H) % WEEK
    for last in (monday, known):
        first = last - JUDGED_H
        if first - hours > REACH and ridge.enough(first, hours - 1):
            return first, last
    return ()


def _beside(history: Signal, hours: int, drivers: Drivers) -> Published | None:
    """Columns laid beside the history and the hours to come; holes of two hours filled, columns mostly empty dropped.

    Where load, wind and sun are all forecast, what is left of the load is one more source.
    """
    known = len(history.values)
    at = history.start_s + S_PER_HOUR * np.arange(known + hours)
    columns = {}
    for name, told in drivers.items():
        column = np.array([told.get(hour, np.nan) for hour in at.tolist()])
        if np.isfinite(column[:known]).mean() >= COVERED:
            columns[name] = _filled(column)
    made = [column for name, column in columns.items() if name.endswith("_production_forecast")]
    if made and "forecast_load" in columns:
        columns["rest_production_forecast"] = np.maximum(columns["forecast_load"] - np.sum(made, axis=0), 0.0)
    return Published(np.column_stack(list(columns.values())), tuple(columns)) if columns else None


def _filled(column: FloatArray) -> FloatArray:
    """Holes of at most two hours between known ones interpolated; longer ones and the end stay unknown."""
    known = np.flatnonzero(np.isfinite(column))
    out = column.copy()
    for before, after in itertools.pairwise(known):
        if 1 < after - before <= 3:
            out[before:after] = np.linspace(column[before], column[after], after - before, endpoint=False)
    return out
