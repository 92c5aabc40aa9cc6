"""Energy-Charts (Fraunhofer ISE), for Europe and without a key: intensity, prices, wind, sun, load; their forecasts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from heliotrope.errors import ProviderGarbled
from heliotrope.grid.mix import Mix
from heliotrope.grid.wire.client import NothingThere
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Driver, Said, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import CARBON_FREE, LOAD, PRICE, SOLAR_POWER, WIND_POWER, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor

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
# Columns of `/public_power` that make up a kind, and what `/public_power_forecast` calls them.
MADE = {WIND_POWER: ("Wind onshore", "Wind offshore"), SOLAR_POWER: ("Solar",), LOAD: ("Load",)}
FORESEEN = {WIND_POWER: ("wind_onshore", "wind_offshore"), SOLAR_POWER: ("solar",), LOAD: ("load",)}
COLUMNS = {
    "wind_production_forecast": WIND_POWER,
    "solar_production_forecast": SOLAR_POWER,
    "forecast_load": LOAD,
}
_EUROPE = "AL AT BA BE BG CH CY CZ DE DK EE ES FI FR GE GR HR HU IE IT LT LU LV MD ME MK NL NO PL PT RO RS SE SI SK UA"
EUROPE = {"GB": "uk"} | {name: name.lower() for name in _EUROPE.split()}
# Price zones by our name; others need `zones` in the options.
_ALONE = "AT BE BG CH CZ EE ES FI FR GR HR HU LT LV ME NL PL PT RO RS SI SK"
PRICE_ZONES = {"DE": "DE-LU", "DK-DK1": "DK1", "DK-DK2": "DK2"} | {name: name for name in _ALONE.split()}
PRICE_ZONES |= {f"NO-NO{i}": f"NO{i}" for i in range(1, 6)} | {f"SE-SE{i}": f"SE{i}" for i in range(1, 5)}
PRICE_ZONES |= {"IT-NO": "IT-North", "IT-CNO": "IT-Centre-North", "IT-CSO": "IT-Centre-South"}
PRICE_ZONES |= {"IT-SO": "IT-South", "IT-SIC": "IT-Sicily", "IT-SAR": "IT-Sardinia"}


class EnergyCharts(WebProvider):
    name = "energycharts"
    url = "https://api.energy-charts.info"
    licence = "CC BY 4.0 (Energy-Charts.info; prices: see the answer's licence)"
    kinds = (SignalKind.parse("carbon/average/direct/production"), CARBON_FREE, PRICE, *MADE)
    days_a_call = 30

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or EUROPE.get(zone.name) or PRICE_ZONES.get(zone.name)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        known = PRICE_ZONES if kind == PRICE else EUROPE
        return kind in self.kinds and (zone.name in known or zone.name in self.options.zones)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        if kind == PRICE:
            return self._prices(theirs, start_s, end_s)
        if kind == CARBON_FREE:
            return self._mix(theirs, start_s, end_s).points(kind)
        if kind in MADE:
            return self._made(theirs, kind, start_s, end_s)
        answer = self.ask("/co2eq", {"country": theirs, "start": _stamp(start_s), "end": _stamp(end_s)})
        return self._points(answer, "co2eq")

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        if kind == PRICE:
            return Said(self._prices(theirs, now_s - S_PER_HOUR, now_s + 2 * S_PER_DAY))
        if kind == CARBON_FREE:
            return None
        if kind in MADE:
            return Said(self._foreseen(theirs, kind, "current", hour_floor(now_s), now_s + 2 * S_PER_DAY))
        return Said(self._points(self.ask("/co2eq", {"country": theirs}), "co2eq_forecast", instead="co2eq"))

    def _drivers(self, theirs: str) -> dict[str, Driver]:
        """Day-ahead forecasts of wind, sun and load; of the country, so a price zone's own are not known."""
        if theirs not in EUROPE.values():
            return {}
        return {
            column: Driver(kind, partial(self._foreseen, theirs, kind, "day-ahead")) for column, kind in COLUMNS.items()
        }

    def _made(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> list[Point]:
        """Columns of one answer added up; an hour that one of them lacks is unknown."""
        answer = self.ask("/public_power", {"country": theirs, "start": _stamp(start_s), "end": _stamp(end_s)})
        at = [int(second) for second in self.rows(answer, "unix_seconds")]
        columns = [
            [self.number(value) for value in self.rows(column, "data")]
            for column in self.rows(answer, "production_types")
            if self.field(column, "name") in MADE[kind]
        ]
        return [Point(second, _step(at), _sum(parts)) for second, *parts in zip(at, *columns, strict=False) if parts]

    def _foreseen(self, theirs: str, kind: SignalKind, made: str, start_s: int, end_s: int) -> list[Point]:
        """`made`: the day ahead, or as newly as there is one. A country without a coast has nothing off it."""
        span = {"start": _stamp(start_s), "end": _stamp(end_s)}
        sums: dict[tuple[int, int], list[float | None]] = {}
        for name in FORESEEN[kind]:
            query = {"country": theirs, "production_type": name, "forecast_type": made, **span}
            try:
                answer = self.ask("/public_power_forecast", query)
            except NothingThere:
                continue
            for point in self._points(answer, "forecast_values"):
                sums.setdefault((point.at_s, point.length_s), []).append(point.value)
        return [Point(at, length_s, _sum(parts)) for (at, length_s), parts in sums.items()]

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
        zone = PRICE_ZONES.get(theirs.upper(), theirs)  # countries are asked for in lower case, price zones are not
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


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _step(at: list[int]) -> int:
    return min((b - a for a, b in itertools.pairwise(at) if b > a), default=QUARTER_S)


def _stamp(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%MZ}"
