"""US Energy Information Administration, hourly grid monitor (EIA-930, v2): intensity from generation by fuel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from heliotrope.grid.mix import Mix
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Driver, Said, WebProvider
from heliotrope.grid.zones import Zone, parts
from heliotrope.model import CARBON_FREE, LOAD, SOLAR_POWER, WIND_POWER, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor

# Their codes of energy sources → ours; what is in neither is not counted and noted.
FUELS = {"COL": "coal", "NG": "gas", "NUC": "nuclear", "OIL": "oil", "WAT": "hydro", "SUN": "solar", "WND": "wind"}
FUELS |= {"GEO": "other_renewable", "OTH": "biomass"}
PLANTS = {WIND_POWER: "WND", SOLAR_POWER: "SUN"}
WHOLE = {"US": "US48"}
ROWS_A_CALL = 5000


class Eia(WebProvider):
    """`zones` maps further names to balancing authorities than facts do."""

    name = "eia"
    url = "https://api.eia.gov"
    licence = "US public domain (EIA-930); factors: IPCC AR5"
    kinds = (
        *(SignalKind.parse(f"carbon/average/{scope}/production") for scope in ("lifecycle", "direct")),
        CARBON_FREE,
        WIND_POWER,
        SOLAR_POWER,
        LOAD,
    )
    needs_key = True
    days_a_call = 14

    def their_zone(self, zone: Zone) -> str | None:
        part = parts().get(zone.name)
        return self.options.zones.get(zone.name) or WHOLE.get(zone.name) or (part.more["eia"] if part else "") or None

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        """Values come as strings; a fuel may come twice under names of another case, so its code alone counts, once."""
        if kind == LOAD:
            return self._demand(theirs, "D", start_s, end_s)
        told: dict[tuple[int, str], float | None] = {}
        for row in self._all("fuel-type-data", {}, theirs, start_s, end_s):
            told[self._hour(row), str(self.field(row, "fueltype")).upper()] = self.number(self.field(row, "value"))
        if kind in PLANTS:
            return [Point(at, S_PER_HOUR, value) for (at, code), value in told.items() if code == PLANTS[kind]]
        mix = Mix(self.name)
        for (at, code), value in told.items():
            mix.add(at, FUELS.get(code), value)
        return mix.points(kind)

    def _drivers(self, theirs: str) -> dict[str, Driver]:
        return {"forecast_load": Driver(LOAD, partial(self._demand, theirs, "DF"))}

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        """Of demand alone."""
        return (
            Said(list(self._demand(theirs, "DF", hour_floor(now_s), now_s + 2 * S_PER_DAY))) if kind == LOAD else None
        )

    def _demand(self, theirs: str, what: str, start_s: int, end_s: int) -> Iterable[Point]:
        """What was used (D), or each balancing authority's own forecast of it, made the day before (DF)."""
        for row in self._all("region-data", {"facets[type][]": what}, theirs, start_s, end_s):
            yield Point(self._hour(row), S_PER_HOUR, self.number(self.field(row, "value")))

    def _all(
        self, table: str, facets: Mapping[str, str], theirs: str, start_s: int, end_s: int
    ) -> Iterator[dict[str, Any]]:
        """Every row of a span, page by page."""
        offset = 0
        while True:
            query = {
                "api_key": self.key,
                "frequency": "hourly",
                "data[0]": "value",
                "facets[respondent][]": theirs,
                **facets,
                "start": f"{from_epoch(start_s):%Y-%m-%dT%H}",
                "end": f"{from_epoch(end_s - 1):%Y-%m-%dT%H}",
                "offset": offset,
                "length": ROWS_A_CALL,
            }
            rows = self.rows(self.ask(f"/v2/electricity/rto/{table}/data", query), "response", "data")
            yield from rows
            if len(rows) < ROWS_A_CALL:
                return
            offset += ROWS_A_CALL

    def _hour(self, row: dict[str, Any]) -> int:
        return self.instant(f"{self.field(row, 'period')}:00Z")
