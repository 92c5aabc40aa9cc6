"""US Energy Information Administration, hourly grid monitor (EIA-930, v2): intensity from generation by fuel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heliotrope.grid.mix import Mix, points_of
from heliotrope.grid.web import Point, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import from_epoch

# Their codes of energy sources → ours; what is in neither is not counted and noted.
FUELS = {"COL": "coal", "NG": "gas", "NUC": "nuclear", "OIL": "oil", "WAT": "hydro", "SUN": "solar", "WND": "wind"}
FUELS |= {"GEO": "other_renewable", "OTH": "biomass"}
RESPONDENTS = {"US-CAL-CISO": "CISO", "US-MIDA-PJM": "PJM", "US": "US48"}
ROWS_A_CALL = 5000


class Eia(WebProvider):
    """`zones` maps further names to balancing authorities (ERCO, ISNE, MISO …)."""

    name = "eia"
    url = "https://api.eia.gov"
    licence = "US public domain (EIA-930); factors: IPCC AR5"
    kinds = tuple(SignalKind.parse(f"carbon/average/{scope}/production") for scope in ("lifecycle", "direct"))
    needs_key = True
    days_a_call = 14

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or RESPONDENTS.get(zone.name)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        mix = Mix()
        offset = 0
        while True:
            query = {
                "api_key": self.key,
                "frequency": "hourly",
                "data[0]": "value",
                "facets[respondent][]": theirs,
                "start": f"{from_epoch(start_s):%Y-%m-%dT%H}",
                "end": f"{from_epoch(end_s - 1):%Y-%m-%dT%H}",
                "offset": offset,
                "length": ROWS_A_CALL,
            }
            rows = self.field(self.ask("/v2/electricity/rto/fuel-type-data/data", query), "response", "data")
            for row in rows:
                self._add(mix, row)
            if len(rows) < ROWS_A_CALL:
                return points_of(mix, kind.scope.value)
            offset += ROWS_A_CALL

    def _add(self, mix: Mix, row: dict[str, Any]) -> None:
        """Values come as strings; types come in more than one spelling, so the code alone is trusted."""
        value = self.number(self.field(row, "value"))
        code = str(self.field(row, "fueltype")).upper()
        if value is not None:
            mix.add(self.instant(f"{self.field(row, 'period')}:00Z"), FUELS.get(code), max(value, 0.0))
