"""What the pages ask for, gathered from the lower rooms; signals are kept for the hour they were asked in."""

from __future__ import annotations

import time
from functools import partial
from threading import Lock

import msgspec

from heliotrope.config import Settings
from heliotrope.errors import HelioError, ProviderError, SignalGap, UnknownName
from heliotrope.model import Quality, Signal, Site
from heliotrope.run import Controller
from heliotrope.run.agents.office import Office
from heliotrope.units import S_PER_DAY, hour_floor

PAST_S = 2 * S_PER_DAY
AHEAD_S = 4 * S_PER_DAY


class Curve(msgspec.Struct, frozen=True):
    """Carbon intensity of a zone around the present, g/kWh: what was, then what is expected from `known_until_s` on."""

    zone: str
    title: str
    start_s: int
    step_s: int
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    known_until_s: int
    kind: str
    quality: Quality
    latitude: float | None = None
    longitude: float | None = None

    def index(self, at_s: float) -> int:
        return min(max(int((at_s - self.start_s) // self.step_s), 0), len(self.values) - 1)


class Here(msgspec.Struct, frozen=True):
    """A site with its curve; `why` says what is missing where there is none."""

    site: Site
    home: bool
    curve: Curve | None
    why: str = ""


class House:
    """One home's controller (and with it fleet, grid, store and log), opened once and shared by all pages."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home_path
        self.controller = Controller(settings)
        self.fleet = self.controller.fleet
        self.grid = self.controller.grid
        self.store = self.controller.store
        self.ledger = self.controller.ledger
        self.office = Office(self.store, self.home, self.fleet, settings.agents)
        self._curves: dict[tuple[str, int], Curve] = {}
        self._lock = Lock()

    def sites(self, now_s: float | None = None) -> tuple[Here, ...]:
        """Home first; a site whose zone nobody knows is shown with the reason."""
        found = []
        for site in sorted(self.fleet.sites, key=lambda s: s.name != self.fleet.home):
            home = site.name == self.fleet.home
            try:
                found.append(Here(site, home, self.curve(site.zone, now_s)))
            except HelioError as error:
                found.append(Here(site, home, None, error.what))
        return tuple(found)

    def curve(self, zone: str, now_s: float | None = None) -> Curve:
        now = time.time() if now_s is None else now_s
        if not zone:
            raise UnknownName("this machine's zone is not set", hint="set zone in config.toml, as in zone = 'DE'")
        key = (zone, hour_floor(now))
        with self._lock:
            if key not in self._curves:
                self._curves = {k: c for k, c in self._curves.items() if k[1] == key[1]}
                self._curves[key] = self._ask(zone, key[1], int(now))
            return self._curves[key]

    def _ask(self, zone: str, hour_s: int, now_s: int) -> Curve:
        """History up to this hour and the forecast from it; either alone where the other is not to be had."""
        place, kind = self.grid.zone(zone), self.controller.kind
        parts: list[Signal] = []
        refused: HelioError | None = None
        for ask in (
            partial(self.grid.history, zone, hour_s - PAST_S, hour_s, kind=kind),
            partial(self.grid.forecast, zone, hour_s, hour_s + AHEAD_S, issued_at_s=now_s, kind=kind),
        ):
            try:
                parts.append(ask())
            except (ProviderError, SignalGap) as error:
                refused = error
        if not parts:
            assert refused is not None
            raise refused
        if len(parts) == 2 and not _joins(*parts):
            parts = parts[1:]
        ahead = parts[-1]
        return Curve(
            zone=zone,
            title=place.title,
            start_s=parts[0].start_s,
            step_s=ahead.step_s,
            values=tuple(v for part in parts for v in part.values.tolist()),
            low=tuple(v for part in parts for v in part.low.tolist()),
            high=tuple(v for part in parts for v in part.high.tolist()),
            known_until_s=min(hour_s, ahead.end_s),
            kind=str(ahead.kind),
            quality=ahead.quality,
            latitude=place.place.latitude if place.place else None,
            longitude=place.place.longitude if place.place else None,
        )


def _joins(past: Signal, ahead: Signal) -> bool:
    """Two series make one curve only if they are of one kind and step, and meet."""
    past.same_kind(ahead)
    return past.step_s == ahead.step_s and past.end_s == ahead.start_s
