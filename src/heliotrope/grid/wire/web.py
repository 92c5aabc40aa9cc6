"""What every provider on the web shares: options, the archive, what to ask for again. A provider adds shapes alone."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from heliotrope.errors import ConfigError, HelioError, ProviderDenied, ProviderError, ProviderGarbled, SignalGap
from heliotrope.grid.providers import Setup
from heliotrope.grid.wire import months, points
from heliotrope.grid.wire.archive import FILE, Archive, Hour, Issue
from heliotrope.grid.wire.client import Client
from heliotrope.grid.wire.points import FILL_HOURS, Hours, Point
from heliotrope.grid.zones import Zone
from heliotrope.model import Quality, QualityKind, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor, parse_instant

FRESH_S = 900  # how long a published forecast, or this morning's history, is not asked for again
SETTLED_S = 3 * S_PER_DAY  # older hours are no longer revised
STALE_S = S_PER_DAY
LATE_ISSUE_S = 6 * S_PER_HOUR  # a forecast issued longer ago says so
NOW_SLACK_S = 2 * S_PER_HOUR
REACH_S = 8 * S_PER_DAY


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`key` or the name of an environment variable that holds it; `zones`: our name → theirs."""

    url: str = ""
    key: str = ""
    key_env: str = ""
    user: str = ""
    timeout_s: float = 10.0
    calls_per_hour: int = 0
    zones: dict[str, str] = msgspec.field(default_factory=dict)
    kind: str = ""


class Said(msgspec.Struct, frozen=True):
    """A published forecast; `issued_s` where the service tells."""

    points: list[Point]
    issued_s: int | None = None


class Driver(msgspec.Struct, frozen=True):
    """A column of published forecasts; `ask(start_s, end_s)` gives each hour as known before its day began."""

    kind: SignalKind
    ask: Callable[[int, int], Iterable[Point]]


class WebProvider(ABC):
    """A subclass sets the class variables and `_history`; `_forecast` and `_drivers` where the API has them."""

    name: ClassVar[str]
    url: ClassVar[str]
    licence: ClassVar[str]
    kinds: tuple[SignalKind, ...] = ()
    needs_key: ClassVar[bool] = False
    days_a_call: ClassVar[int] = 10
    calls_per_hour: ClassVar[int] = 600

    def __init__(self, setup: Setup) -> None:
        try:
            self.options = msgspec.convert(dict(setup.options), Options)
        except msgspec.ValidationError as error:
            keys = ", ".join(field.name for field in msgspec.structs.fields(Options))
            raise ConfigError(f"grid.options.{self.name}: {error}", hint=f"keys: {keys}") from error
        self.key = self._given_key()
        self.archive = Archive(setup.home / FILE if setup.home else None)
        self._months = setup.home / months.FOLDER if setup.home else None
        self.client = Client(
            self.name,
            self.options.url or self.url,
            headers=self.headers(),
            secrets=(self.key,),
            timeout_s=self.options.timeout_s,
            calls_per_hour=self.options.calls_per_hour or self.calls_per_hour,
            archive=self.archive,
        )

    def _given_key(self) -> str:
        """Without the newline that many a file or secret ends with; what no header can carry is refused unseen."""
        key = (self.options.key or os.environ.get(self.options.key_env or self.default_key_env(), "")).strip()
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f"the key of {self.name} holds characters that no key has",
                hint=f"copy it anew into {self.options.key_env or self.default_key_env()}",
            )
        return key

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

    @abstractmethod
    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        """What was over [start, end), as the API tells it."""

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        """Everything it publishes about the hours from `now_s` on; None where the API publishes none."""
        return None

    def _drivers(self, theirs: str) -> Mapping[str, Driver]:
        """By column, how to ask what was, and is, published of sources, load and weather; none by default."""
        return {}

    # What the door asks --------------------------------------------------------------------------------------

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        first, last = hour_floor(start_s), -hour_floor(-end_s)
        known, flags = self._known(zone, kind, first, last)
        values = {at: value for at, (value, _) in known.items()}
        series, filled = points.complete(values, first, last, who=self.name, zone=zone.name)
        flags += [*points.filled_note(filled), *points.counted(note for _, note in known.values() if note)]
        return self._signal(zone, kind, first, series, QualityKind.MEASURED, None, flags)

    def parts(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> list[Signal]:
        """The hours of [start, end) that it does know, in unbroken stretches: others may fill the holes."""
        known, flags = self._known(zone, kind, hour_floor(start_s), -hour_floor(-end_s))
        stretches: list[list[int]] = []
        for at in sorted(known):
            if stretches and at == stretches[-1][-1] + S_PER_HOUR:
                stretches[-1].append(at)
            else:
                stretches.append([at])
        signals = []
        for hours in stretches:
            notes = points.counted(note for at in hours if (note := known[at][1]))
            series = [known[at][0] for at in hours]
            signals.append(self._signal(zone, kind, hours[0], series, QualityKind.MEASURED, None, [*flags, *notes]))
        return signals

    def past(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        """The newest unbroken stretch of [start, end), up to a day before its end; what is kept here will do."""
        first, last = hour_floor(start_s), hour_floor(end_s)
        kept, flags, error = self._refreshed(zone, str(kind), first, last, self._ask_history(zone, kind))
        values = {at: hour.value for at, hour in kept.items() if hour.value is not None}
        begin, end = points.newest_run(values, first, last)
        if last - end > S_PER_DAY or begin >= end:
            raise error or SignalGap(f"{self.name} has no history of the last day", field=zone.name)
        if error is not None:
            flags.append(f"from what is kept here: {error.what}")
        series, filled = points.complete(values, begin, end, who=self.name, zone=zone.name)
        flags += points.filled_note(filled)
        return self._signal(zone, kind, begin, series, QualityKind.MEASURED, None, flags)

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal | None:
        """Its own forecast, as far as it reaches; None where it has none, or for an issue that is not now."""
        now_s = int(time.time())
        if abs(issued_at_s - now_s) > NOW_SLACK_S:
            return None
        found = self._published(zone, kind, now_s)
        if found is None:
            return None
        said, flags = found
        first, last = hour_floor(start_s), -hour_floor(-end_s)
        values = points.hourly(said.points, kind, first, last, who=self.name)
        reach = max((at for at in values if at < last), default=first - S_PER_HOUR) + S_PER_HOUR
        if reach <= first or min(values) > first + FILL_HOURS * S_PER_HOUR:
            return None
        plain = {at: value for at, (value, _) in values.items()}
        series, filled = points.complete(plain, first, reach, who=self.name, zone=zone.name)
        flags += [*points.filled_note(filled), *points.counted(note for _, note in values.values() if note)]
        return self._signal(zone, kind, first, series, QualityKind.FORECAST, said.issued_s, flags)

    def issues(self, zone: Zone, kind: SignalKind, before_s: int) -> list[Issue]:
        """The forecasts it published earlier, as they were fetched: what its errors are learnt from."""
        return self.archive.issues(self.name, zone.name, str(kind), before_s)

    def drivers(self, zone: Zone, start_s: int, end_s: int) -> dict[str, dict[int, float]]:
        """Published forecasts of sources, load and weather, by column and hour; none where it has none."""
        theirs = self.their_zone(zone)
        if theirs is None or (self.needs_key and not self.key):
            return {}
        found = {}
        for column, driver in self._drivers(theirs).items():
            ask = self._ask_driver(driver)
            kept, _, error = self._refreshed(zone, f"published/{column}", start_s, end_s, ask, ahead=True)
            if error is not None:
                raise error
            found[column] = {at: hour.value for at, hour in kept.items() if hour.value is not None}
        return found

    # How it is fetched ---------------------------------------------------------------------------------------

    def _ask_history(self, zone: Zone, kind: SignalKind) -> Callable[[int, int], Hours]:
        theirs = self._theirs(zone)
        return lambda start, end: points.hourly(
            self._history(theirs, kind, start, end), kind, start, end, who=self.name
        )

    def _ask_driver(self, driver: Driver) -> Callable[[int, int], Hours]:
        return lambda start, end: points.hourly(driver.ask(start, end), driver.kind, start, end, who=self.name)

    def _known(self, zone: Zone, kind: SignalKind, first: int, last: int) -> tuple[Hours, list[str]]:
        """Hours with values, after asking for what is missing; an error where an hour stays unknown for its sake."""
        kept, flags, error = self._refreshed(zone, str(kind), first, last, self._ask_history(zone, kind))
        known = {at: (hour.value, hour.note) for at, hour in kept.items() if hour.value is not None}
        if self._months is not None:
            flags += months.write(self.archive, self._months)
        if error is not None and len(known) < (last - first) // S_PER_HOUR:
            raise error
        return known, flags

    def _refreshed(
        self, zone: Zone, label: str, first: int, last: int, ask: Callable[[int, int], Hours], *, ahead: bool = False
    ) -> tuple[dict[int, Hour], list[str], ProviderError | None]:
        """What is kept of [first, last) after asking for what is missing or may be revised; stops at an error.

        `ahead`: hours to come may be asked for too.
        """
        now_s = int(time.time())
        kept = self.archive.hours(self.name, zone.name, label, first, last)
        flags: list[str] = []
        failed: ProviderError | None = None
        for start, end in self._missing(kept, first, last if ahead else min(last, now_s), now_s):
            hours = range(start, end, S_PER_HOUR)
            try:
                answer = ask(start, end)
            except ProviderError as error:
                failed = error
                ages = [now_s - kept[at].fetched_s for at in hours if at in kept]
                if ages:
                    flags.append(f"not refreshed for {max(ages) / S_PER_HOUR:.1f} h: {error.what}")
                break
            told: dict[int, tuple[float | None, str]] = {at: answer.get(at, (None, "")) for at in hours}
            revised = self.archive.keep_hours(self.name, zone.name, label, told, now_s)
            if revised:
                flags.append(f"{revised} h revised by {self.name}")
            kept |= {
                at: Hour(value, note, now_s)
                for at, (value, note) in told.items()
                if value is not None or at not in kept
            }
        if self.client.clock_note:
            flags.append(self.client.clock_note)
        return kept, flags, failed

    def _missing(self, known: Mapping[int, Hour], first: int, last: int, now_s: int) -> list[tuple[int, int]]:
        """Stretches to ask for: what is unknown, or young enough to be revised, and not just asked."""
        wanted = []
        for at in range(first, last, S_PER_HOUR):
            hour = known.get(at)
            if hour is not None:
                settled = hour.value is not None and at <= hour.fetched_s - SETTLED_S
                if settled or 0 <= now_s - hour.fetched_s <= FRESH_S:
                    continue
            wanted.append(at)
        parts: list[tuple[int, int]] = []
        for at in wanted:
            if parts and at - parts[-1][1] <= 6 * S_PER_HOUR and at - parts[-1][0] < self.days_a_call * S_PER_DAY:
                parts[-1] = (parts[-1][0], at + S_PER_HOUR)
            else:
                parts.append((at, at + S_PER_HOUR))
        return parts

    def _published(self, zone: Zone, kind: SignalKind, now_s: int) -> tuple[Said, list[str]] | None:
        """The newest forecast: fetched, or kept while fresh, or old with its age while the API is down."""
        name = f"forecast {zone.name} {kind}"
        kept = self.archive.document(self.name, name)
        if kept and 0 <= now_s - kept[0] < FRESH_S:
            return msgspec.json.decode(kept[1], type=Said), []
        try:
            found = self._forecast(self._theirs(zone), kind, now_s)
            if found is None:
                return None
            values = points.hourly(found.points, kind, now_s - S_PER_DAY, now_s + REACH_S, who=self.name)
        except ProviderError as error:
            if kept and now_s - kept[0] < STALE_S:
                age_h = (now_s - kept[0]) / S_PER_HOUR
                return msgspec.json.decode(kept[1], type=Said), [f"stale: fetched {age_h:.1f} h ago ({error.what})"]
            raise
        issued_s = min(found.issued_s or now_s, now_s)
        said = Said(found.points, issued_s)
        self.archive.keep_document(self.name, name, now_s, msgspec.json.encode(said))
        self._keep_issue(zone, kind, values, issued_s, now_s)
        flags = [self.client.clock_note] if self.client.clock_note else []
        if now_s - issued_s > LATE_ISSUE_S:
            flags.append(f"stale: issued {(now_s - issued_s) / S_PER_HOUR:.1f} h ago by {self.name}")
        return said, flags

    def _keep_issue(self, zone: Zone, kind: SignalKind, values: Hours, issued_s: int, now_s: int) -> None:
        """The unbroken hours from the issue on."""
        first = hour_floor(issued_s)
        ahead: list[float] = []
        while first + len(ahead) * S_PER_HOUR in values:
            ahead.append(values[first + len(ahead) * S_PER_HOUR][0])
        if ahead:
            self.archive.keep_issue(self.name, zone.name, str(kind), Issue(issued_s, first, tuple(ahead)), now_s)

    def _theirs(self, zone: Zone) -> str:
        theirs = self.their_zone(zone)
        if theirs is None:
            raise SignalGap(f"{self.name} does not cover this zone", field=zone.name)
        return theirs

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

    # For the providers' parsing: every field is looked for where the documentation puts it ---------------------

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

    def rows(self, tree: Any, *path: str | int) -> list[Any]:
        """A list in an answer."""
        found = self.field(tree, *path)
        if not isinstance(found, list):
            where = ".".join(map(str, path)) or "the answer"
            raise ProviderGarbled(f"{self.name}: {where} is not a list", cause=f"found {type(found).__name__}")
        return found

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


def stamp(at_s: float) -> str:
    """To the second, in UTC."""
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%M:%SZ}"
