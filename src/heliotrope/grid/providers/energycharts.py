"""Energy-Charts (Fraunhofer ISE): carbon intensity with its forecast, and day-ahead prices, for Europe. No key."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from heliotrope.grid.web import Point, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import PRICE, Quantity, SignalKind
from heliotrope.units import from_epoch

QUARTER_S = 900
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
    kinds = (SignalKind.parse("carbon/average/direct/production"), PRICE)

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or (zone.name.lower() if zone.name in EUROPE else None)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        if kind == PRICE:
            return zone.name in PRICE_ZONES or zone.name in self.options.zones
        return super().serves(zone, kind)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        if kind.quantity is Quantity.PRICE:
            return self._prices(theirs, start_s, end_s)
        answer = self.ask("/co2eq", {"country": theirs, "start": _stamp(start_s), "end": _stamp(end_s)})
        return self._points(answer, "co2eq")

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Iterable[Point]:
        if kind.quantity is Quantity.PRICE:
            return self._prices(theirs, now_s - 3600, now_s + 2 * 86_400)
        return self._points(self.ask("/co2eq", {"country": theirs}), "co2eq_forecast", instead="co2eq")

    def _prices(self, theirs: str, start_s: int, end_s: int) -> list[Point]:
        zone = PRICE_ZONES.get(theirs.upper(), theirs)
        answer = self.ask("/price", {"bzn": zone, "start": _stamp(start_s), "end": _stamp(end_s)})
        return self._points(answer, "price")

    def _points(self, answer: Any, column: str, *, instead: str | None = None) -> list[Point]:
        """Columns side by side; `instead` fills what `column` leaves empty (hours already measured)."""
        at = [int(second) for second in self.field(answer, "unix_seconds")]
        values = [self.number(value) for value in self.field(answer, column)]
        if instead:
            other = [self.number(value) for value in self.field(answer, instead)]
            values = [b if a is None else a for a, b in zip(values, other, strict=True)]
        step_s = min((b - a for a, b in itertools.pairwise(at) if b > a), default=QUARTER_S)
        return [Point(second, step_s, value) for second, value in zip(at, values, strict=True)]


def _stamp(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%MZ}"
