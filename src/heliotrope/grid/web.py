"""What every provider on the web shares: options, cache, checks, flags. A provider adds addresses and parsing.

Points become hourly values only after they are checked: nulls and gaps are filled from neighbours for at most two
hours and flagged, doubled hours are settled for the later one and flagged, absurd or negative values refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from heliotrope.errors import ConfigError, HelioError, ProviderDenied, ProviderError, ProviderGarbled, SignalGap
from heliotrope.grid.cache import Cache
from heliotrope.grid.http import Client
from heliotrope.grid.providers import Setup
from heliotrope.grid.tables import ABSURD_G_PER_KWH
from heliotrope.grid.zones import Zone
from heliotrope.model import Quality, QualityKind, Quantity, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, parse_instant

FILL_HOURS = 2
FRESH_S = 900  # how long a published forecast, or this morning's history, is not asked for again
SETTLED_S = 3 * S_PER_DAY  # older hours are no longer revised
STALE_S = S_PER_DAY
NOW_SLACK_S = 2 * S_PER_HOUR
# The least and the most that can be, by quantity, in the kind's unit.
POSSIBLE = {
    Quantity.CARBON: (0.0, ABSURD_G_PER_KWH),
    Quantity.PRICE: (-10_000.0, 20_000.0),
    Quantity.WATER: (0.0, 1000.0),
    Quantity.CARBON_FREE: (0.0, 1.0),
    Quantity.WIND_SPEED: (0.0, 120.0),
    Quantity.SOLAR: (0.0, 1500.0),
    Quantity.TEMPERATURE: (-90.0, 65.0),
    Quantity.LOAD: (0.0, 5e6),
    Quantity.GENERATION: (0.0, 5e6),
}


class Point(msgspec.Struct, frozen=True):
    """One value over [at_s, at_s + length_s); `note` says what is special about it (estimated …)."""

    at_s: int
    length_s: int
    value: float | None
    note: str = ""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`key` or the name of an environment variable that holds it; `zones`: our name → theirs."""

    url: str = ""
    key: str = ""
    key_env: str = ""
    user: str = ""
    timeout_s: float = 10.0
    calls_per_hour: int = 600
    zones: dict[str, str] = msgspec.field(default_factory=dict)
    kind: str = ""


class WebProvider:
    """A subclass sets the class variables and `_history`, and `_forecast` where the API has one."""

    name: ClassVar[str]
    url: ClassVar[str]
    licence: ClassVar[str]
    kinds: tuple[SignalKind, ...] = ()
    needs_key: ClassVar[bool] = False
    days_a_call: ClassVar[int] = 10

    def __init__(self, setup: Setup) -> None:
        try:
            self.options = msgspec.convert(dict(setup.options), Options)
        except msgspec.ValidationError as error:
            keys = ", ".join(field.name for field in msgspec.structs.fields(Options))
            raise ConfigError(f"grid.options.{self.name}: {error}", hint=f"keys: {keys}") from error
        self.key = self.options.key or os.environ.get(self.options.key_env or self.default_key_env(), "")
        self.client = Client(
            self.name,
            self.options.url or self.url,
            headers=self.headers(),
            secrets=(self.key,),
            timeout_s=self.options.timeout_s,
            calls_per_hour=self.options.calls_per_hour,
        )
        self.cache = Cache(setup.home / "grid" / "signals.sqlite" if setup.home else None)

    @classmethod
    def default_key_env(cls) -> str:
        return f"HELIO_{cls.name.upper().replace('-', '_')}_KEY"

    def headers(self) -> dict[str, str]:
        return {}

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        return kind in self.kinds and self.their_zone(zone) is not None

    def their_zone(self, zone: Zone) -> str | None:
        """The API's own name of a zone; None where it has none."""
        return self.options.zones.get(zone.name)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        raise NotImplementedError

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Iterable[Point] | None:
        """Everything it publishes about the hours from `now_s` on; None where the API publishes none."""
        return None

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        first = start_s // S_PER_HOUR * S_PER_HOUR
        last = -(-end_s // S_PER_HOUR) * S_PER_HOUR
        now_s = int(time.time())
        flags: list[str] = []
        known = self.cache.hours(self.name, zone.name, str(kind), first, last)
        for part_start, part_end in self._missing(known, first, min(last, now_s), now_s):
            try:
                points = list(self._history(self._theirs(zone), kind, part_start, part_end))
                values = self.hourly(points, kind, part_start, part_end)
            except ProviderError as error:
                if not all(at in known for at in range(part_start, part_end, S_PER_HOUR)):
                    raise
                flags.append(f"not refreshed: {error.what}")
                continue
            self.cache.keep_hours(self.name, zone.name, str(kind), values, now_s)
            known |= {at: (value, note, now_s) for at, (value, note) in values.items()}
        series, notes = self._complete({at: value for at, (value, _, _) in known.items()}, first, last, zone)
        flags += [*notes, *_counted(note for _, note, _ in known.values() if note)]
        return self._signal(zone, kind, first, series, QualityKind.MEASURED, None, flags)

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal | None:
        """Its own forecast, as far as it reaches; None where it has none, or for an issue that is not now."""
        now_s = int(time.time())
        if abs(issued_at_s - now_s) > NOW_SLACK_S:
            return None
        kept = self._published(zone, kind, now_s)
        if kept is None:
            return None
        fetched_s, points, flags = kept
        first = start_s // S_PER_HOUR * S_PER_HOUR
        last = -(-end_s // S_PER_HOUR) * S_PER_HOUR
        values = self.hourly(points, kind, first, last)
        reach = max((at for at in values if at < last), default=first - S_PER_HOUR) + S_PER_HOUR
        if reach <= first or min(values) > first + FILL_HOURS * S_PER_HOUR:
            return None
        series, notes = self._complete({at: value for at, (value, _) in values.items()}, first, reach, zone)
        flags = [*flags, *notes, *_counted(note for _, note in values.values() if note)]
        return self._signal(zone, kind, first, series, QualityKind.FORECAST, fetched_s, flags)

    def _published(self, zone: Zone, kind: SignalKind, now_s: int) -> tuple[int, list[Point], list[str]] | None:
        """The newest forecast: fetched, or from the cache while fresh, or old with its age while the API is down."""
        name = f"forecast {zone.name} {kind}"
        kept = self.cache.document(self.name, name)
        if kept and now_s - kept[0] < FRESH_S:
            return kept[0], msgspec.json.decode(kept[1], type=list[Point]), []
        try:
            found = self._forecast(self._theirs(zone), kind, now_s)
            if found is None:
                return None
            points = list(found)
            self.hourly(points, kind, now_s - S_PER_DAY, now_s + 8 * S_PER_DAY)
        except ProviderError as error:
            if kept and now_s - kept[0] < STALE_S:
                age = (now_s - kept[0]) / S_PER_HOUR
                flag = f"stale: fetched {age:.1f} h ago ({error.what})"
                return kept[0], msgspec.json.decode(kept[1], type=list[Point]), [flag]
            raise
        self.cache.keep_document(self.name, name, now_s, msgspec.json.encode(points))
        return now_s, points, []

    def _theirs(self, zone: Zone) -> str:
        theirs = self.their_zone(zone)
        if theirs is None:
            raise SignalGap(f"{self.name} does not cover this zone", field=zone.name)
        return theirs

    def _missing(
        self, known: Mapping[int, tuple[float, str, int]], first: int, last: int, now_s: int
    ) -> list[tuple[int, int]]:
        """Stretches to ask for: what is unknown, or young enough to be revised and not just fetched."""
        wanted = [
            at
            for at in range(first, last, S_PER_HOUR)
            if at not in known or (at > known[at][2] - SETTLED_S and now_s - known[at][2] > FRESH_S)
        ]
        parts: list[tuple[int, int]] = []
        for at in wanted:
            if parts and at - parts[-1][1] <= 6 * S_PER_HOUR and at - parts[-1][0] < self.days_a_call * S_PER_DAY:
                parts[-1] = (parts[-1][0], at + S_PER_HOUR)
            else:
                parts.append((at, at + S_PER_HOUR))
        return parts

    def hourly(
        self, points: Iterable[Point], kind: SignalKind, start_s: int, end_s: int
    ) -> dict[int, tuple[float, str]]:
        """Hours of [start, end) that are wholly known: start → (time-weighted mean, note)."""
        seconds: dict[int, float] = {}
        sums: dict[int, float] = {}
        notes: dict[int, str] = {}
        settled: dict[int, Point] = {}
        for point in points:
            if point.value is None or not start_s - S_PER_HOUR < point.at_s < end_s:
                continue
            self._check(point, kind)
            before = settled.get(point.at_s)
            if before is not None and before.value != point.value:
                notes[point.at_s // S_PER_HOUR * S_PER_HOUR] = "given twice: the later was taken"
            settled[point.at_s] = point
        for at, point in settled.items():
            assert point.value is not None
            hour = at // S_PER_HOUR * S_PER_HOUR
            if not start_s <= hour < end_s:
                continue
            seconds[hour] = seconds.get(hour, 0.0) + min(point.length_s, S_PER_HOUR)
            sums[hour] = sums.get(hour, 0.0) + point.value * min(point.length_s, S_PER_HOUR)
            if point.note:
                notes.setdefault(hour, point.note)
        return {
            hour: (sums[hour] / seconds[hour], notes.get(hour, ""))
            for hour in sorted(seconds)
            if seconds[hour] >= 0.99 * S_PER_HOUR
        }

    def _check(self, point: Point, kind: SignalKind) -> None:
        assert point.value is not None
        value = float(point.value)
        least, most = POSSIBLE[kind.quantity]
        if not least <= value <= most:  # NaN lies in no range
            raise ProviderGarbled(
                f"{self.name}: a value that cannot be",
                cause=f"{value:g} {kind.unit} at {from_epoch(point.at_s):%Y-%m-%dT%H:%MZ}",
                hint="wait for it to be corrected, or name another provider",
            )

    def _complete(self, values: dict[int, float], first: int, last: int, zone: Zone) -> tuple[list[float], list[str]]:
        """Every hour of [first, last): short holes interpolated and counted, longer ones refused."""
        hours = list(range(first, last, S_PER_HOUR))
        known = [at for at in hours if at in values]
        if not known:
            raise SignalGap(f"{self.name} has nothing for these hours", field=zone.name)
        import numpy as np

        holes = np.diff([hours[0] - S_PER_HOUR, *known, hours[-1] + S_PER_HOUR]) // S_PER_HOUR - 1
        if holes.max() > FILL_HOURS:
            worst = int(np.argmax(holes))
            start = known[worst - 1] + S_PER_HOUR if worst else hours[0]
            raise SignalGap(
                f"{self.name}: {int(holes.max())} h without values from {from_epoch(start):%Y-%m-%dT%H:%MZ}",
                field=zone.name,
                hint="the data may come late; ask for an earlier end, or name another provider after this one",
            )
        series = np.interp(hours, known, [values[at] for at in known]).tolist()
        filled = len(hours) - len(known)
        return series, [f"{filled} h filled from their neighbours"] if filled else []

    def _signal(
        self,
        zone: Zone,
        kind: SignalKind,
        first: int,
        series: list[float],
        quality: QualityKind,
        issued_s: int | None,
        flags: list[str],
    ) -> Signal:
        import numpy as np

        values = np.asarray(series, dtype=np.float64)
        source = f"{self.name} ({self.client.base.netloc})"
        stated = Quality(quality, source, self.licence, issued_s, None, tuple(dict.fromkeys(flags)))
        return Signal(kind, zone.name, first, S_PER_HOUR, values, values, values, stated)

    # For the providers' parsing: every field is looked for where the documentation puts it.

    def ask(self, path: str, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        self.require_key()
        return self.client.get_json(path, query, headers)

    def require_key(self) -> None:
        if self.needs_key and not self.key:
            raise ProviderDenied(
                f"{self.name} needs a key",
                hint=f"export {self.options.key_env or self.default_key_env()}=…, or [grid.options.{self.name}] key",
            )

    def field(self, tree: Any, *path: str | int) -> Any:
        """`tree[path[0]][path[1]]…`, or what is missing, by name."""
        for i, step in enumerate(path):
            try:
                tree = tree[step]
            except (KeyError, IndexError, TypeError):
                where = ".".join(map(str, path[: i + 1]))
                found = ", ".join(sorted(map(str, tree))[:8]) if isinstance(tree, dict) else type(tree).__name__
                raise ProviderGarbled(
                    f"{self.name}: the answer has no {where}",
                    cause=f"found {found}",
                    hint="its interface may have changed",
                ) from None
        return tree

    def number(self, value: Any) -> float | None:
        """A number, or a number in a string; None for null."""
        if value is None:
            return None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ProviderGarbled(f"{self.name}: not a number", cause=f"found {value!r}") from None

    def instant(self, text: Any) -> int:
        try:
            return int(parse_instant(text if len(text) > 17 or text.endswith("Z") else f"{text}Z").timestamp())
        except (HelioError, TypeError, AttributeError) as error:
            raise ProviderGarbled(f"{self.name}: not a time", cause=f"found {text!r}") from error


def _counted(notes: Iterable[str]) -> list[str]:
    from collections import Counter

    return [f"{count} h {note}" for note, count in Counter(notes).items()]
