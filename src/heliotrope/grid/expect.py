"""A forecast for providers that publish none: from their own history on this machine, by the built-in model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.errors import SignalGap
from heliotrope.grid.forecast import backtest, ridge
from heliotrope.grid.forecast.features import DAY, REACH, scale
from heliotrope.model import Quality, QualityKind, Signal
from heliotrope.units import S_PER_DAY, S_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

LEAST_DAYS = 23  # features look 21 days back
GOOD_DAYS = 75  # enough to fit, and to judge the fit by its own errors
JUDGED_H = 28 * DAY
BAND_WITHOUT_ERRORS = 3.0  # spreads of the last week, where the model's own errors are not known yet


def expect(history: Signal, start_s: int, end_s: int, issued_at_s: int) -> Signal:
    """Hours of [start, end), from `history`, whose end is the issue or before it.

    Hours between the history's end and `start` are forecast too and dropped: late data only lengthen the horizon.
    """
    values = history.values
    known = len(values)
    first = (start_s // S_PER_HOUR * S_PER_HOUR - history.end_s) // S_PER_HOUR
    count = -(-(end_s - start_s // S_PER_HOUR * S_PER_HOUR) // S_PER_HOUR)
    if known < LEAST_DAYS * DAY or first < 0:
        raise SignalGap(
            f"{known // DAY} days of history are too few to forecast from",
            field=history.zone,
            allowed=f"at least {LEAST_DAYS} days before the issue",
        )
    horizons = np.arange(first + count)
    padded = np.concatenate([values, np.full(len(horizons), values[-1])])
    hour0 = history.start_s // S_PER_HOUR
    longest = int(horizons[-1])
    start = known - JUDGED_H
    flags = [*history.quality.flags]
    if start - longest > REACH and ridge.enough(start, longest):
        rolled = backtest.roll(padded, hour0, known, known + len(horizons), horizons, every=6, fit=backtest.fit_own)
        forecast, low, high = (array[0] for array in (rolled.forecast, rolled.low, rolled.high))
    else:
        flags.append(f"short history ({known // DAY} days): yesterday repeats, with a wide interval")
        series = scale(padded, hour0, known)
        issue = np.array([known])
        x = backtest.Yesterday().predict(series, issue, horizons)[0]
        band = BAND_WITHOUT_ERRORS * float(series.spread(issue)[0])
        forecast, low, high = series.back(x), series.back(x - band), series.back(x + band)
    quality = Quality(
        QualityKind.FORECAST,
        f"heliotrope forecast from {history.quality.source}",
        history.quality.licence,
        issued_at_s,
        history.quality.year,
        tuple(flags),
    )
    part = slice(first, first + count)
    return Signal(
        history.kind,
        history.zone,
        start_s // S_PER_HOUR * S_PER_HOUR,
        S_PER_HOUR,
        forecast[part],
        np.minimum(low, forecast)[part],
        np.maximum(high, forecast)[part],
        quality,
    )


def prolong(published: Signal, own: Signal) -> Signal:
    """What was published, then our own forecast from where that ends."""
    published.same_kind(own)
    rest = slice((published.end_s - own.start_s) // S_PER_HOUR, None)
    quality = msgspec.structs.replace(
        published.quality,
        flags=(*published.quality.flags, f"after {len(published.values)} h: {own.quality.source}", *own.quality.flags),
    )
    return Signal(
        published.kind,
        published.zone,
        published.start_s,
        published.step_s,
        np.concatenate([published.values, own.values[rest]]),
        np.concatenate([published.low, own.low[rest]]),
        np.concatenate([published.high, own.high[rest]]),
        quality,
    )


def window(issued_at_s: int) -> tuple[int, int]:
    """Of history: the days that a fit wants, up to the last whole hour before the issue."""
    end = issued_at_s // S_PER_HOUR * S_PER_HOUR
    return end - GOOD_DAYS * S_PER_DAY, end
