"""What a page about one zone shows: the hours that were and the hours to come as one line, and what both rest on."""

from __future__ import annotations

import msgspec

from heliotrope.errors import ProviderError, SignalGap
from heliotrope.grid.grid import Grid
from heliotrope.model import CARBON, Quality, Signal, SignalKind
from heliotrope.units import S_PER_HOUR, hour_floor


class Stretch(msgspec.Struct, frozen=True):
    """A run of hours; `low` and `high` hold 90 % of what may be, equal to `values` where no error is stated."""

    start_s: int
    step_s: int
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    quality: Quality


class Page(msgspec.Struct, frozen=True):
    """`past` is None where no provider has a history, and `why_no_past` says why. `age_s` is the forecast's."""

    zone: str
    title: str
    kind: str
    unit: str
    at_s: int
    past: Stretch | None
    next: Stretch
    age_s: int
    why_no_past: str = ""


def of(door: Grid, zone: str, at_s: int, *, kind: SignalKind = CARBON, back_h: int = 48, ahead_h: int = 96) -> Page:
    """The line that a page draws at `at_s`: the hours before it as they were, those from it on as they are expected."""
    now = hour_floor(at_s)
    ahead = door.forecast(zone, now, now + ahead_h * S_PER_HOUR, issued_at_s=at_s, kind=kind)
    past, why = None, ""
    try:
        past = _stretch(door.history(zone, now - back_h * S_PER_HOUR, now, kind=kind))
    except (ProviderError, SignalGap) as error:
        why = error.what
    issued = ahead.quality.issued_at_s
    age_s = 0 if issued is None else max(0, at_s - issued)
    title = door.zone(zone).title
    return Page(ahead.zone, title, str(kind), kind.unit, at_s, past, _stretch(ahead), age_s, why)


def _stretch(signal: Signal) -> Stretch:
    values, low, high = (tuple(series.tolist()) for series in (signal.values, signal.low, signal.high))
    return Stretch(signal.start_s, signal.step_s, values, low, high, signal.quality)
