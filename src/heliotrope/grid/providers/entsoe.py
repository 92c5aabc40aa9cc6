"""ENTSO-E Transparency Platform: Europe's generation by type, load, day-ahead prices, wind and sun. Needs a token.

Imports are not traced: the intensity is that of what is made in the zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from xml.etree import ElementTree as ET

from heliotrope import facts
from heliotrope.errors import ProviderGarbled
from heliotrope.grid.mix import Mix
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Driver, Said, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import CARBON_FREE, LOAD, PRICE, SOLAR_POWER, WIND_POWER, Quantity, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor

# Type of plant → fuel. Peat, oil shale and coal gas burn like coal; waste like biomass; storage makes nothing new.
FUEL_OF = {"B01": "biomass", "B02": "coal", "B03": "coal", "B04": "gas", "B05": "coal", "B06": "oil", "B07": "coal"}
FUEL_OF |= {"B08": "coal", "B09": "other_renewable", "B11": "hydro", "B12": "hydro", "B13": "other_renewable"}
FUEL_OF |= {"B14": "nuclear", "B15": "other_renewable", "B16": "solar", "B17": "biomass", "B18": "wind", "B19": "wind"}
STORAGE = {"B10", "B25"}
PLANTS = {WIND_POWER: {"B18", "B19"}, SOLAR_POWER: {"B16"}, LOAD: {""}}
_RESOLUTION = re.compile(r"PT(\d+)M")


class Entsoe(WebProvider):
    name = "entsoe"
    url = "https://web-api.tp.entsoe.eu"
    licence = "ENTSO-E Transparency Platform (free re-use with attribution for most data; see its list)"
    kinds = (
        *(SignalKind.parse(f"carbon/average/{scope}/production") for scope in ("lifecycle", "direct")),
        CARBON_FREE,
        PRICE,
        WIND_POWER,
        SOLAR_POWER,
        LOAD,
    )
    needs_key = True
    days_a_call = 30

    def their_zone(self, zone: Zone) -> str | None:
        codes = {fact.name: fact.more["eic"] for fact in facts.table("entsoe_areas")}
        return self.options.zones.get(zone.name) or codes.get(zone.name)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        if kind.quantity is Quantity.PRICE:
            return self._prices(theirs, start_s, end_s)
        if kind in PLANTS:
            return self._power(kind, "A16", theirs, start_s, end_s)
        mix = Mix(self.name)
        query = {"documentType": "A75", "processType": "A16", "in_Domain": theirs}
        for series in self._series(query, start_s, end_s):
            if series.find("{*}outBiddingZone_Domain.mRID") is not None:
                continue  # power that storage took in, not made
            plant = series.findtext("{*}MktPSRType/{*}psrType") or ""
            if plant in STORAGE:
                continue
            for at, length_s, quantity in self._steps(series, "quantity"):
                mix.add(at, FUEL_OF.get(plant), quantity * length_s / S_PER_HOUR)
        return mix.points(kind)

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        """Prices, wind, sun and load of the day ahead; of the intensity itself there is none."""
        start_s, end_s = hour_floor(now_s), now_s + 2 * S_PER_DAY
        if kind.quantity is Quantity.PRICE:
            return Said(self._prices(theirs, start_s, end_s))
        return Said(list(self._power(kind, "A01", theirs, start_s, end_s))) if kind in PLANTS else None

    def _drivers(self, theirs: str) -> dict[str, Driver]:
        columns = {
            "wind_production_forecast": WIND_POWER,
            "solar_production_forecast": SOLAR_POWER,
            "forecast_load": LOAD,
        }
        return {name: Driver(kind, partial(self._power, kind, "A01", theirs)) for name, kind in columns.items()}

    def _power(self, kind: SignalKind, process: str, theirs: str, start_s: int, end_s: int) -> Iterable[Point]:
        """Of all plants of a kind together, or the load, which has no type: day-ahead (A01) or as it was (A16)."""
        if kind == LOAD:
            query = {"documentType": "A65", "outBiddingZone_Domain": theirs}
        else:
            query = {"documentType": "A69" if process == "A01" else "A75", "in_Domain": theirs}
        sums: dict[tuple[int, int], float] = {}
        for series in self._series({**query, "processType": process}, start_s, end_s):
            taken_in = kind != LOAD and series.find("{*}outBiddingZone_Domain.mRID") is not None
            if taken_in or (series.findtext("{*}MktPSRType/{*}psrType") or "") not in PLANTS[kind]:
                continue
            for at, length_s, quantity in self._steps(series, "quantity"):
                sums[at, length_s] = sums.get((at, length_s), 0.0) + quantity
        return [Point(at, length_s, total) for (at, length_s), total in sums.items()]

    def _prices(self, theirs: str, start_s: int, end_s: int) -> list[Point]:
        query = {"documentType": "A44", "in_Domain": theirs, "out_Domain": theirs}
        return [
            Point(at, length_s, value)
            for series in self._series(query, start_s, end_s)
            for at, length_s, value in self._steps(series, "price.amount")
        ]

    def _series(self, query: dict[str, str], start_s: int, end_s: int) -> list[ET.Element]:
        span = {"periodStart": f"{from_epoch(start_s):%Y%m%d%H%M}", "periodEnd": f"{from_epoch(end_s):%Y%m%d%H%M}"}
        self.require_key()
        body = self.client.get("/api", {**query, **span, "securityToken": self.key}).body
        if b"<!ENTITY" in body:
            raise ProviderGarbled(f"{self.name}: entities in the answer")
        try:
            root = ET.fromstring(body)  # noqa: S314 - entities were refused
        except ET.ParseError as error:
            raise ProviderGarbled(f"{self.name}: the answer is not XML", cause=str(error)) from None
        if root.tag.endswith("Acknowledgement_MarketDocument"):
            return []  # "no matching data found"
        return root.findall("{*}TimeSeries")

    def _steps(self, series: ET.Element, name: str) -> Iterator[tuple[int, int, float]]:
        """(start, length, value) of each position. With curve type A03 one left out repeats the one before."""
        repeats = series.findtext("{*}curveType") == "A03"
        for period in series.findall("{*}Period"):
            start = self.instant(period.findtext("{*}timeInterval/{*}start"))
            end = self.instant(period.findtext("{*}timeInterval/{*}end"))
            match = _RESOLUTION.fullmatch(period.findtext("{*}resolution") or "")
            if not match:
                raise ProviderGarbled(f"{self.name}: no resolution in a period")
            length_s = int(match[1]) * 60
            given: dict[int, float] = {}
            for point in period.findall("{*}Point"):
                value = self.number(point.findtext(f"{{*}}{name}"))
                if value is not None:
                    given[int(point.findtext("{*}position") or 0) - 1] = value
            last = None
            for i in range((end - start) // length_s):
                last = given.get(i, last if repeats else None)
                if last is not None:
                    yield start + i * length_s, length_s, last
