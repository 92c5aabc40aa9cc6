"""From what a service says, point by point, to hours: nothing that cannot be passes, nothing is filled in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from heliotrope.errors import ProviderGarbled, SignalGap
from heliotrope.grid.files.tables import ABSURD_G_PER_KWH
from heliotrope.model import Quantity, SignalKind
from heliotrope.units import S_PER_HOUR, from_epoch

FILL_HOURS = 2
# The least and the most that can be, by quantity, in the kind's unit.
POSSIBLE = {
    Quantity.CARBON: (0.0, ABSURD_G_PER_KWH),
    Quantity.PRICE: (-10_000.0, 20_000.0),
    Quantity.CARBON_PRICE: (0.0, 5_000.0),
    Quantity.WATER: (0.0, 1000.0),
    Quantity.CARBON_FREE: (0.0, 1.0),
    Quantity.WIND_SPEED: (0.0, 120.0),
    Quantity.SOLAR: (0.0, 1500.0),
    Quantity.TEMPERATURE: (-90.0, 65.0),
    Quantity.WIND_POWER: (0.0, 5e6),
    Quantity.SOLAR_POWER: (0.0, 5e6),
    Quantity.LOAD: (0.0, 5e6),
    Quantity.GENERATION: (0.0, 5e6),
}


class Point(msgspec.Struct, frozen=True):
    """One value over [at_s, at_s + length_s); `note` says what is special about it (estimated …)."""

    at_s: int
    length_s: int
    value: float | None
    note: str = ""


Hours = dict[int, tuple[float, str]]  # start → (time-weighted mean, note)


def hourly(points: Iterable[Point], kind: SignalKind, start_s: int, end_s: int, *, who: str) -> Hours:
    """Hours of [start, end) that are wholly known. A point given twice counts once: the later, noted."""
    settled: dict[int, Point] = {}
    notes: dict[int, str] = {}
    for point in points:
        if point.value is None or not start_s - S_PER_HOUR < point.at_s < end_s:
            continue
        check(point, kind, who=who)
        before = settled.get(point.at_s)
        if before is not None and before.value != point.value:
            notes[point.at_s // S_PER_HOUR * S_PER_HOUR] = "given twice: the later was taken"
        settled[point.at_s] = point
    seconds: dict[int, float] = {}
    sums: dict[int, float] = {}
    for at, point in settled.items():
        assert point.value is not None
        hour = at // S_PER_HOUR * S_PER_HOUR
        if not start_s <= hour < end_s:
            continue
        length = min(point.length_s, S_PER_HOUR)
        seconds[hour] = seconds.get(hour, 0.0) + length
        sums[hour] = sums.get(hour, 0.0) + point.value * length
        if point.note:
            notes.setdefault(hour, point.note)
    return {
        hour: (sums[hour] / seconds[hour], notes.get(hour, ""))
        for hour in sorted(seconds)
        if seconds[hour] >= 0.99 * S_PER_HOUR
    }


def check(point: Point, kind: SignalKind, *, who: str) -> None:
    assert point.value is not None
    value = float(point.value)
    least, most = POSSIBLE[kind.quantity]
    if not least <= value <= most:  # NaN lies in no range
        raise ProviderGarbled(
            f"{who}: a value that cannot be",
            cause=f"{value:g} {kind.unit} at {from_epoch(point.at_s):%Y-%m-%dT%H:%MZ}",
            hint="wait for it to be corrected, or name another provider",
        )


def complete(values: Mapping[int, float], first: int, last: int, *, who: str, zone: str) -> tuple[list[float], int]:
    """Every hour of [first, last), and how many were interpolated: at most two in a row."""
    import numpy as np

    hours = list(range(first, last, S_PER_HOUR))
    known = [at for at in hours if at in values]
    if not known:
        raise SignalGap(f"{who} has nothing for these hours", field=zone)
    holes = np.diff([hours[0] - S_PER_HOUR, *known, hours[-1] + S_PER_HOUR]) // S_PER_HOUR - 1
    if holes.max() > FILL_HOURS:
        worst = int(np.argmax(holes))
        start = known[worst - 1] + S_PER_HOUR if worst else hours[0]
        raise SignalGap(
            f"{who}: {int(holes.max())} h without values from {from_epoch(start):%Y-%m-%dT%H:%MZ}",
            field=zone,
            hint="the data may come late; ask for an earlier end, or name another provider after this one",
        )
    return np.interp(hours, known, [values[at] for at in known]).tolist(), len(hours) - len(known)


def newest_run(values: Mapping[int, float], first: int, last: int) -> tuple[int, int]:
    """The latest stretch of [first, last) without a hole longer than may be filled, or (last, last)."""
    known = sorted((at for at in values if first <= at < last), reverse=True)
    if not known:
        return last, last
    end = start = known[0]
    for at in known[1:]:
        if start - at > (FILL_HOURS + 1) * S_PER_HOUR:
            break
        start = at
    return start, end + S_PER_HOUR


def counted(notes: Iterable[str]) -> list[str]:
    return [f"{count} h {note}" for note, count in Counter(notes).items()]


def filled_note(hours: int) -> list[str]:
    return [f"{hours} h filled from their neighbours"] if hours else []
