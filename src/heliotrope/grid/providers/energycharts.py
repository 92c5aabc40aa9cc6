"""Energy-Charts (Fraunhofer ISE): carbon intensity with its forecast, and day-ahead prices, for Europe. No key."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from heliotrope.errors import ProviderGarbled
from heliotrope.grid.mix import Mix
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Said, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import CARBON_FREE, PRICE, Quantity, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch

QUARTER_S = 900
# Types of `/public_power` → fuel; what is neither here nor in NOT_MADE has no factor, and is noted.
FUEL_OF = {
    "Nuclear": "nuclear",
    "Biomass": "biomass",
    "Waste": "biomass",
    "Waste renewable": "biomass",
    "Geothermal": "other_renewable",
}
FUEL_OF |= dict.fromkeys(("Hydro Run-of-River", "Hydro water reservoir"), "hydro")
FUEL_OF |= dict.fromkeys(("Wind onshore", "Wind offshore"), "wind") | {"Solar": "solar", "Fossil oil": "oil"}
FUEL_OF |= dict.fromkeys(
    ("Fossil brown coal / lignite", "Fossil hard coal", "Fossil coal-derived gas", "Fossil peat"), "coal"
)
FUEL_OF |= {"Fossil gas": "gas", "Fossil oil shale": "coal", "Waste non-renewable": "biomass"}
NOT_MADE = {"Load", "Load (incl. self-consumption)", "Cross border electricity trading", "Hydro pumped storage"}
NOT_MADE |= {"Hydro pumped storage consumption", "Battery Storage (Power)"}
# Countries with one price zone of their own name; others need `zones` in the options.
PRICE_ZONES = {"DE": "DE-LU", "AT": "AT", "BE": "BE", "CH": "CH", "CZ": "CZ", "FR": "FR", "HU": "HU", "NL": "NL"}
PRICE_ZONES |= {
    "PL": "PL",
    "SI": "SI",
    "ES": "ES",
    "PT": "PT",
    "GR": "GR",
    "FI": "FI",
    "EE": "EE",
    "LT": "LT",
    "LV": "LV",
}
_EUROPE = "AL AT BA BE BG CH CY CZ DE DK EE ES FI FR GE GR HR HU IE IT LT LU LV MD ME MK NL NO PL PT RO RS SE SI SK UA"
EUROPE = frozenset(_EUROPE.split())


class EnergyCharts(WebProvider):
    name = "energycharts"
    url = "https://api.energy-charts.info"
    licence = "CC BY 4.0 (Energy-Charts.info; prices: see the answer's licence)"
    kinds = (SignalKind.parse("carbon/average/direct/production"), CARBON_FREE, PRICE)

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or (zone.name.lower() if zone.name in EUROPE else None)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        if kind == PRICE:
            return zone.name in PRICE_ZONES or zone.name in self.options.zones
        return super().serves(zone, kind)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        if kind.quantity is Quantity.PRICE:
            return self._prices(theirs, start_s, end_s)
        if kind == CARBON_FREE:
            return self._mix(theirs, start_s, end_s).points(kind)
        answer = self.ask("/co2eq", {"country": theirs, "start": _stamp(start_s), "end": _stamp(end_s)})
        return self._points(answer, "co2eq")

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        if kind.quantity is Quantity.PRICE:
            return Said(self._prices(theirs, now_s - S_PER_HOUR, now_s + 2 * S_PER_DAY))
        if kind == CARBON_FREE:
            return None
        return Said(self._points(self.ask("/co2eq", {"country": theirs}), "co2eq_forecast", instead="co2eq"))

    def _mix(self, theirs: str, start_s: int, end_s: int) -> Mix:
        """Generation by type, one column a type; what is no generation (load, storage, trade) is passed over."""
        answer = self.ask("/public_power", {"country": theirs, "start": _stamp(start_s), "end": _stamp(end_s)})
        at = [int(second) for second in self.rows(answer, "unix_seconds")]
        step_s = _step(at)
        mix = Mix(self.name)
        for column in self.rows(answer, "production_types"):
            name = str(self.field(column, "name"))
            if name in NOT_MADE or name.startswith(("Residual", "Renewable share")):
                continue
            for second, value in zip(at, self.rows(column, "data"), strict=False):
                power = self.number(value)
                mix.add(second, FUEL_OF.get(name), None if power is None else power * step_s / S_PER_HOUR)
        return mix

    def _prices(self, theirs: str, start_s: int, end_s: int) -> list[Point]:
        zone = PRICE_ZONES.get(theirs.upper(), theirs)
        answer = self.ask("/price", {"bzn": zone, "start": _stamp(start_s), "end": _stamp(end_s)})
        return self._points(answer, "price")

    def _points(self, answer: Any, column: str, *, instead: str | None = None) -> list[Point]:
        """Columns side by side; `instead` fills what `column` leaves empty (hours already measured)."""
        at = [int(second) for second in self.rows(answer, "unix_seconds")]
        values = [self.number(value) for value in self.rows(answer, column)]
        if instead:
            other = [self.number(value) for value in self.rows(answer, instead)]
            values = [b if a is None else a for a, b in itertools.zip_longest(values, other)]
        if len(values) != len(at):
            raise ProviderGarbled(f"{self.name}: {len(values)} values for {len(at)} times", cause=column)
        step_s = _step(at)
        return [Point(second, step_s, value) for second, value in zip(at, values, strict=True)]


def _step(at: list[int]) -> int:
    return min((b - a for a, b in itertools.pairwise(at) if b > a), default=QUARTER_S)


def _stamp(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%MZ}"
