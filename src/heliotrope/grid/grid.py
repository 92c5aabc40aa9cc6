"""The one door to signals: asks providers in the order of the settings and says what it had to do without."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import msgspec

from heliotrope import facts
from heliotrope.config import GridSettings
from heliotrope.errors import HelioError, ProviderError, SignalGap, SignalMismatch, UnknownZone, nearest
from heliotrope.grid import expect, shelf, zones
from heliotrope.grid.correct import corrected
from heliotrope.grid.merge import flagged, merge
from heliotrope.grid.providers import Provider, Publishes, Remembers, build, known
from heliotrope.grid.providers.file import FileProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import CARBON, Quality, QualityKind, Quantity, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor

# No free source of prices may be shipped: a wide guess, marked as one, until a provider or the fleet file says more.
ASSUMED_PRICE_EUR_PER_MWH = (20.0, 120.0, 400.0)
HOW_TO_STATE = {
    Quantity.CARBON_PRICE: "no free service tells it: state it, [grid.options.constant] carbon_price = 71.5 with "
    '"constant" among grid.providers, or name a file in grid.options.file.kinds'
}
JUDGING_DAYS = 13  # of history, to judge a published forecast by: one call to most services


class Grid:
    """`home` holds the cache of what was fetched; without it nothing is kept."""

    def __init__(self, settings: GridSettings, home: Path | None = None) -> None:
        self.settings = settings
        self.home = home
        self._fits = shelf.at(home)

    @cached_property
    def providers(self) -> tuple[Provider, ...]:
        """In order of precedence. Naming files is asking for them: they come first unless placed otherwise."""
        names = self.settings.providers
        if self.settings.files and "file" not in names:
            names = ("file", *names)
        return tuple(build(name, self.settings, self.home) for name in names)

    def zones(self) -> tuple[Zone, ...]:
        return tuple(zones.all_zones().values())

    def zone(self, name: str) -> Zone:
        """By any name `zones.find` knows, or a column of the user's files."""
        in_files = [z for p in self.providers if isinstance(p, FileProvider) for z in p.zones]
        if name in in_files and name not in zones.all_zones():
            try:
                return msgspec.structs.replace(zones.find(name), name=name)
            except UnknownZone:
                return Zone(name, "", name, None, None, {}, ("a zone that only a file knows",))
        return zones.find(name)

    def history(self, zone: str, start_s: int, end_s: int, *, kind: SignalKind = CARBON) -> Signal:
        """What was over the hours that touch [start_s, end_s)."""
        return self._of(self.zone(zone), kind, start_s, end_s, None)

    def forecast(self, zone: str, start_s: int, end_s: int, *, issued_at_s: int, kind: SignalKind = CARBON) -> Signal:
        """What is expected over the hours that touch [start_s, end_s), knowing nothing after `issued_at_s`."""
        return self._of(self.zone(zone), kind, start_s, end_s, issued_at_s)

    def kinds_of(self, zone: str | None) -> list[SignalKind]:
        """What the configured providers give in the zone (None: anywhere), in their order."""
        place = None if zone is None else self.zone(zone)
        pairs = ((provider, kind) for provider in self.providers for kind in provider.kinds)
        given = (kind for provider, kind in pairs if place is None or provider.serves(place, kind))
        return list(dict.fromkeys(given))

    def kind_of(self, zone: str | None, wanted: SignalKind) -> SignalKind:
        """`wanted` where it is given, else what comes first."""
        given = self.kinds_of(zone)
        return wanted if wanted in given or not given else given[0]

    def _of(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int | None) -> Signal:
        signal = self._first(zone, kind, start_s, end_s, issued_at_s)
        return flagged(signal, (zone.stand_in,) if zone.stand_in else ())

    def _first(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int | None) -> Signal:
        """The first provider's answer; hours that it does not know from the next of the same kind, flagged."""
        if end_s <= start_s:
            raise SignalGap(
                "an empty time span",
                field=zone.name,
                found=f"{from_epoch(start_s):%Y-%m-%dT%H:%MZ} to {from_epoch(end_s):%Y-%m-%dT%H:%MZ}",
            )
        first, last = hour_floor(start_s), -hour_floor(-end_s)
        setbacks: list[str] = []
        parts: list[Signal] = []
        error: ProviderError | SignalGap | None = None
        for provider in self.providers:
            if not provider.serves(zone, kind):
                setbacks += _of_another_kind(provider, zone, kind)
                continue
            try:
                if issued_at_s is None:
                    found = provider.history(zone, kind, first, last)
                else:
                    found = self._forecast(provider, zone, kind, first, last, issued_at_s)
            except (ProviderError, SignalGap) as raised:
                setbacks.append(f"{provider.name}: {raised.what}")
                error = error or raised
                if issued_at_s is None and isinstance(raised, SignalGap) and isinstance(provider, Remembers):
                    parts += provider.parts(zone, kind, first, last)
                continue
            if not parts and found.end_s >= last:
                return flagged(found, setbacks)
            parts.append(found)
            if issued_at_s is None or found.end_s >= last:
                break
            setbacks.append(f"{provider.name} forecasts {len(found.values)} h only")
            error = error or SignalGap(setbacks[-1], field=zone.name, hint="shorten the horizon")
        if parts:
            try:
                return flagged(merge(parts, first, last, zone=zone.name), setbacks)
            except SignalGap:
                if error is None:
                    raise
        if error is not None:
            raise error
        return self._without_provider(zone, kind, start_s, end_s)

    def _without_provider(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        if kind.quantity is Quantity.PRICE:
            return _assumed_price(zone, kind, start_s, end_s)
        if kind.quantity is Quantity.WATER:
            return _water(zone, kind, start_s, end_s)
        for provider in self.providers:
            if isinstance(provider, FileProvider) and kind in provider.kinds:
                raise UnknownZone(
                    f"no zone {zone.name} in {', '.join(self.settings.files)}", hint=nearest(zone.name, provider.zones)
                )
        names = ", ".join(provider.name for provider in self.providers)
        if not any(provider.serves(zone, k) for provider in self.providers for k in provider.kinds):
            raise UnknownZone(
                f"{names}: {zone.name} is not covered",
                hint=self._who_else(zone, kind) or "`helio grid providers` lists who can be asked",
            )
        raise SignalMismatch(
            f"no configured provider gives {kind} for {zone.name}",
            found=names,
            allowed=", ".join(str(k) for provider in self.providers for k in provider.kinds) or "none",
            hint=self._who_else(zone, kind)
            or HOW_TO_STATE.get(kind.quantity, "ask for one of these with --kind or grid.kind"),
        )

    def _who_else(self, zone: Zone, kind: SignalKind) -> str:
        """Whom to name instead: others that tell the same quantity of this zone, those without a key first."""
        found: list[tuple[bool, str]] = []
        for name in known():
            if name in {provider.name for provider in self.providers}:
                continue
            try:
                provider = build(name, self.settings, None)
            except HelioError:  # lacks settings of its own
                continue
            given = next((k for k in provider.kinds if k.quantity is kind.quantity and provider.serves(zone, k)), None)
            if given is not None:
                key = isinstance(provider, Publishes) and provider.needs_key
                found.append(
                    (key, f"--provider {name} ({str(given).partition(' ')[0]}{', with a key' if key else ''})")
                )
        return f"told by {' or '.join(text for _, text in sorted(found))}" if found else ""

    def _forecast(
        self, provider: Provider, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int
    ) -> Signal:
        """The provider's own forecast, corrected by its record; carried on by ours where it has none or ends too soon.

        A forecast that cannot be carried on ends where it ends: another provider may.
        """
        published = provider.forecast(zone, kind, start_s, end_s, issued_at_s)
        if not isinstance(provider, Remembers):
            if published is None:
                raise SignalGap(f"{provider.name} has no forecast for this issue", field=zone.name)
            return published
        if published is not None and published.end_s >= end_s and not _may_err(provider, kind):
            return published
        days = JUDGING_DAYS if published is not None and published.end_s >= end_s else expect.GOOD_DAYS
        try:
            past = provider.past(zone, kind, hour_floor(issued_at_s) - days * S_PER_DAY, hour_floor(issued_at_s))
        except (ProviderError, SignalGap) as error:
            if published is None:
                raise
            return _proven(provider, published, zone, {}, issued_at_s, (f"no history to judge it by: {error.what}",))
        own: Signal | None = None
        if published is None or published.end_s < end_s:
            try:
                # What is published of sources reaches no farther than what is published of the kind itself.
                drivers, notes = self._drivers(zone, past, end_s) if published is None else ({}, [])
                own = flagged(expect.expect(past, start_s, end_s, issued_at_s, drivers, self._fits.recall), notes)
            except SignalGap as error:
                if published is None:
                    raise
                published = flagged(published, (f"not carried on: {error.what}",))
        if published is None:
            assert own is not None
            return own
        actual = dict(zip(range(past.start_s, past.end_s, S_PER_HOUR), past.values.tolist(), strict=True))
        proven = _proven(provider, published, zone, actual, issued_at_s, ())
        return proven if own is None else expect.prolong(proven, own)

    def _drivers(self, zone: Zone, past: Signal, end_s: int) -> tuple[expect.Drivers, list[str]]:
        """What is published of sources, load and weather, by whichever configured provider; a failure is a note."""
        found: dict[str, dict[int, float]] = {}
        notes: list[str] = []
        for provider in self.providers:
            if not isinstance(provider, Publishes):
                continue
            try:
                columns = provider.drivers(zone, past.start_s, end_s)
            except ProviderError as error:
                notes.append(f"without {provider.name}'s forecasts: {error.what}")
                continue
            found |= {name: column for name, column in columns.items() if name not in found}
        return found, notes


def _of_another_kind(provider: Provider, zone: Zone, kind: SignalKind) -> list[str]:
    """Kinds never mix: whoever configured a service that is passed over for its kind is told how to ask for it."""
    given = [k for k in provider.kinds if k.quantity is kind.quantity and provider.serves(zone, k)]
    names = " and ".join(str(k).partition(" ")[0] for k in given)
    return [f"{provider.name} tells {names} here, another kind: ask with --kind or grid.kind"] if given else []


def _may_err(provider: Provider, kind: SignalKind) -> bool:
    """Day-ahead prices are what an auction settled, and a file's forecast is the user's word: neither is corrected."""
    return not isinstance(provider, FileProvider) and kind.quantity is not Quantity.PRICE


def _proven(
    provider: Provider,
    published: Signal,
    zone: Zone,
    actual: dict[int, float],
    issued_at_s: int,
    flags: tuple[str, ...],
) -> Signal:
    if not isinstance(provider, Publishes) or not _may_err(provider, published.kind):
        return flagged(published, flags)
    issues = provider.issues(zone, published.kind, issued_at_s)
    return flagged(corrected(published, issues, actual, issued_at_s), flags)


def _constant(
    zone: Zone, kind: SignalKind, start_s: int, end_s: int, level: tuple[float, float, float], quality: Quality
) -> Signal:
    import numpy as np

    first = start_s // S_PER_HOUR * S_PER_HOUR
    hours = -(-(end_s - first) // S_PER_HOUR)
    low, value, high = (np.full(hours, number) for number in level)
    return Signal(kind, zone.name, first, S_PER_HOUR, value, low, high, quality)


def _assumed_price(zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
    flag = f"assumed: nothing configured knows the price in {zone.name}"
    quality = Quality(QualityKind.ESTIMATED, "assumption", "none", flags=(flag,))
    return _constant(zone, kind, start_s, end_s, ASSUMED_PRICE_EUR_PER_MWH, quality)


def _water(zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
    """A yearly figure of the country; the interval is that of the factor's spread between countries where unknown."""
    rows = {fact.name: fact for fact in facts.table("water")}
    row = rows.get(zone.country)
    levels = sorted(fact.value for fact in rows.values())
    if row is not None:
        level, flags = (0.5 * row.value, row.value, 1.5 * row.value), ("assumed: ±50 % about the yearly figure",)
    else:
        row = rows["WORLD"]
        level = (levels[0], row.value, levels[-1])
        flags = (f"no figure for {zone.country or zone.name}: the world's, with the span of all countries",)
    quality = Quality(QualityKind.ESTIMATED, row.source, row.licence, None, row.year, flags)
    return _constant(zone, kind, start_s, end_s, level, quality)
