"""Where signals come from: one small module a source, found by entry point, all behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import msgspec

from heliotrope.config import GridSettings
from heliotrope.errors import UnknownName, nearest
from heliotrope.grid.zones import Zone
from heliotrope.model import Signal, SignalKind

if TYPE_CHECKING:
    from heliotrope.grid.wire.archive import Issue

GROUP = "heliotrope.grid_providers"


class Setup(msgspec.Struct, frozen=True):
    """What a provider is built from. `home` is None where nothing may be kept on disk."""

    settings: GridSettings
    options: Mapping[str, Any]
    home: Path | None


class Provider(Protocol):
    """Serves signals of some kinds for some zones; raises ProviderError or InvalidInput when it cannot."""

    name: str
    kinds: tuple[SignalKind, ...]

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        """Whether to ask it at all. No I/O over a network."""

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        """What was, over the hours of [start_s, end_s)."""

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal | None:
        """What it expects, knowing only what was known at `issued_at_s`; None where it publishes no forecast."""


@runtime_checkable
class Remembers(Protocol):
    """A provider that can say what it knows piece by piece; one without is asked for whole spans alone."""

    def parts(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> list[Signal]:
        """The unbroken stretches of [start, end) that it knows; none where it knows nothing."""

    def past(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        """The newest unbroken stretch of [start, end), up to a day before its end: what a forecast starts from."""


@runtime_checkable
class Publishes(Protocol):
    """A provider whose forecasts are kept, and who publishes what drives the power: wind, sun, load."""

    needs_key: ClassVar[bool]

    def issues(self, zone: Zone, kind: SignalKind, before_s: int) -> list[Issue]:
        """What it forecast before, oldest first."""

    def drivers(self, zone: Zone, start_s: int, end_s: int) -> dict[str, dict[int, float]]:
        """By column (`wind_production_forecast`, `forecast_load` …) and hour, of days gone by too."""


def known() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def build(name: str, settings: GridSettings, home: Path | None) -> Provider:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownName(f"no grid provider named {name}", field="grid.providers", hint=nearest(name, found))
    factory = found[name].load()
    provider: Provider = factory(Setup(settings, settings.options.get(name, {}), home))
    return provider
