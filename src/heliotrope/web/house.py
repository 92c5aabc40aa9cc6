"""What the pages ask for, gathered from the lower rooms; signals are kept for the hour they were asked in."""

from __future__ import annotations

import time
from threading import Lock

import msgspec

from heliotrope.config import Settings
from heliotrope.errors import HelioError, UnknownName
from heliotrope.grid.show import page as show
from heliotrope.model import Quality, SignalKind, Site
from heliotrope.run import Controller
from heliotrope.run.agents.house.office import Office
from heliotrope.run.agents.house.states import States
from heliotrope.run.people.reception import Reception
from heliotrope.units import hour_floor
from heliotrope.web.chainwatch import ChainWatch

PAST_H, AHEAD_H = 48, 96


class Curve(msgspec.Struct, frozen=True):
    """A signal of a zone around the present, in `unit`: what was, then what is expected from `known_until_s` on.

    `age_s`: since the forecast was issued. `quality` is the forecast's.
    """

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
    age_s: int = 0
    past_source: str = ""
    why_no_past: str = ""
    unit: str = "g/kWh"

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
        self.office = Office(self.store, self.fleet, settings.agents)
        self.states = States(self.store, self.home, self.fleet, settings.agents, self.office.refusals)
        self.reception = Reception(self.controller, self.office.refusals)
        self.chain = ChainWatch(self.ledger, settings)
        self._curves: dict[tuple[str, int, SignalKind, int], Curve] = {}
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

    def curve(
        self, zone: str, now_s: float | None = None, *, kind: SignalKind | None = None, back_h: int = PAST_H
    ) -> Curve:
        """Of the house's own kind, unless another is asked for."""
        now = time.time() if now_s is None else now_s
        if not zone:
            raise UnknownName("this machine's zone is not set", hint="set zone in config.toml, as in zone = 'DE'")
        key = (zone, hour_floor(now), kind or self.controller.kind, back_h)
        with self._lock:
            if key not in self._curves:
                self._curves = {k: c for k, c in self._curves.items() if k[1] == key[1]}
                self._curves[key] = self._ask(*key, int(now))
            return self._curves[key]

    def _ask(self, zone: str, hour_s: int, kind: SignalKind, back_h: int, now_s: int) -> Curve:
        """History up to this hour and the forecast from it; the forecast alone where the two do not meet."""
        found = show.of(self.grid, zone, now_s, kind=kind, back_h=back_h, ahead_h=AHEAD_H)
        place, ahead = self.grid.zone(zone), found.next
        joins = found.past is not None and found.past.step_s == ahead.step_s
        parts = [found.past, ahead] if found.past is not None and joins else [ahead]
        return Curve(
            zone=zone,
            title=found.title,
            start_s=parts[0].start_s,
            step_s=ahead.step_s,
            values=tuple(v for part in parts for v in part.values),
            low=tuple(v for part in parts for v in part.low),
            high=tuple(v for part in parts for v in part.high),
            known_until_s=hour_s,
            kind=found.kind,
            quality=ahead.quality,
            latitude=place.place.latitude if place.place else None,
            longitude=place.place.longitude if place.place else None,
            age_s=found.age_s,
            past_source=found.past.quality.source if found.past is not None else "",
            why_no_past=found.why_no_past,
            unit=found.unit,
        )
