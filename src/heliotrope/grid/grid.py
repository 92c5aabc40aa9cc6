"""The one door to signals: asks providers in the order of the settings and says what it had to do without."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import msgspec

from heliotrope import facts
from heliotrope.config import GridSettings
from heliotrope.errors import ProviderError, SignalGap, SignalMismatch, UnknownZone, nearest
from heliotrope.grid import expect, zones
from heliotrope.grid.providers import Provider, build
from heliotrope.grid.providers.file import FileProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import CARBON, Quality, QualityKind, Quantity, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch

# No free source of prices may be shipped: a wide guess, marked as one, until a provider or the fleet file says more.
ASSUMED_PRICE_EUR_PER_MWH = (20.0, 120.0, 400.0)


class Grid:
    """`home` holds the cache of what was fetched; without it nothing is kept."""

    def __init__(self, settings: GridSettings, home: Path | None = None) -> None:
        self.settings = settings
        self.home = home

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
        return self._first(self.zone(zone), kind, start_s, end_s, None)

    def forecast(self, zone: str, start_s: int, end_s: int, *, issued_at_s: int, kind: SignalKind = CARBON) -> Signal:
        """What is expected over the hours that touch [start_s, end_s), knowing nothing after `issued_at_s`."""
        return self._first(self.zone(zone), kind, start_s, end_s, issued_at_s)

    def _first(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int | None) -> Signal:
        if end_s <= start_s:
            raise SignalGap("an empty time span", field=zone.name, found=f"{start_s} to {end_s}")
        setbacks: list[str] = []
        last: ProviderError | SignalGap | None = None
        for provider in self.providers:
            if not provider.serves(zone, kind):
                continue
            try:
                signal = _ask(provider, zone, kind, start_s, end_s, issued_at_s)
            except (ProviderError, SignalGap) as error:
                setbacks.append(f"{provider.name}: {error.what}")
                last = error
                continue
            return _flagged(signal, setbacks)
        if last is not None:
            raise last
        if kind.quantity is Quantity.PRICE:
            return _assumed_price(zone, kind, start_s, end_s)
        if kind.quantity is Quantity.WATER:
            return _water(zone, kind, start_s, end_s)
        for provider in self.providers:
            if isinstance(provider, FileProvider) and provider.kind == kind:
                raise UnknownZone(
                    f"no zone {zone.name} in {', '.join(self.settings.files)}", hint=nearest(zone.name, provider.zones)
                )
        raise SignalMismatch(
            f"no configured provider gives {kind} for {zone.name}",
            found=", ".join(provider.name for provider in self.providers),
            allowed=", ".join(str(k) for provider in self.providers for k in provider.kinds) or "none",
            hint="ask for one of these with --kind or grid.kind, or add a provider (`helio grid providers` lists them)",
        )


def _ask(provider: Provider, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int | None) -> Signal:
    """History, or the provider's own forecast, carried on by ours where it has none or ends too soon."""
    if issued_at_s is None:
        return provider.history(zone, kind, start_s, end_s)
    signal = provider.forecast(zone, kind, start_s, end_s, issued_at_s)
    if signal is not None and signal.end_s >= end_s:
        return signal
    try:
        own = expect.expect(_past(provider, zone, kind, issued_at_s), start_s, end_s, issued_at_s)
    except (ProviderError, SignalGap) as error:
        if signal is None:
            raise
        raise SignalGap(
            f"{provider.name} forecasts {len(signal.values)} h only, and its history cannot be carried on",
            field=zone.name,
            cause=error.what,
            hint="shorten the horizon, or name `model` after it in grid.providers",
        ) from error
    return own if signal is None else expect.prolong(signal, own)


def _past(provider: Provider, zone: Zone, kind: SignalKind, issued_at_s: int) -> Signal:
    """As much history as a fit wants and the provider has, ending at the issue or up to a day before it."""
    start_s, end_s = expect.window(issued_at_s)
    if isinstance(provider, FileProvider):
        first, last = provider.covers(zone)
        start_s = max(start_s, -(-first // S_PER_HOUR) * S_PER_HOUR)
        end_s = min(end_s, last // S_PER_HOUR * S_PER_HOUR)
        if start_s >= end_s or issued_at_s - end_s > S_PER_DAY:
            raise SignalGap(
                "no values just before the issue to forecast from",
                field=zone.name,
                cause=f"the file covers {from_epoch(first):%Y-%m-%dT%H:%MZ} to {from_epoch(last):%Y-%m-%dT%H:%MZ}",
                hint='if the file is a forecast itself: [grid.options.file] role = "forecast"',
            )
        return provider.history(zone, kind, start_s, end_s)
    for late_h in (0, 3, 12, 24):  # data come late: the newest hours may not be there yet
        try:
            return provider.history(zone, kind, start_s, end_s - late_h * S_PER_HOUR)
        except SignalGap:
            if late_h == 24:
                raise
    raise AssertionError("the loop returns or raises")


def _flagged(signal: Signal, flags: list[str]) -> Signal:
    if not flags:
        return signal
    quality = msgspec.structs.replace(signal.quality, flags=(*signal.quality.flags, *flags))
    return msgspec.structs.replace(signal, quality=quality)


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
