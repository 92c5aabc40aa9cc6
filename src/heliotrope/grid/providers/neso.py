"""Great Britain's own carbon intensity: half-hours, national or by region, with its 48 h forecast. No key, CC BY 4.0.

Its factors are operational ones (wind and nuclear 0, gas 394 g/kWh) and imports are in it: average, direct,
consumption. They cannot be compared with lifecycle series.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heliotrope.grid.web import Point, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import from_epoch

HALF_HOUR_S = 1800


class Neso(WebProvider):
    name = "neso"
    url = "https://api.carbonintensity.org.uk"
    licence = "CC BY 4.0 (NESO Carbon Intensity API)"
    kinds = (SignalKind.parse("carbon/average/direct/consumption"),)
    days_a_call = 13

    def their_zone(self, zone: Zone) -> str | None:
        """`GB` is the nation; `zones` maps names of yours to region ids (1 to 17)."""
        return self.options.zones.get(zone.name) or ("" if zone.name == "GB" else None)

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        span = f"{_stamp(start_s)}/{_stamp(end_s)}"
        if theirs:
            answer = self.ask(f"/regional/intensity/{span}/regionid/{theirs}")
            return [self._point(row, ("forecast",), "estimated") for row in self.field(answer, "data", "data")]
        answer = self.ask(f"/intensity/{span}")
        return [self._point(row, ("actual", "forecast"), "") for row in self.field(answer, "data")]

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Iterable[Point]:
        start = _stamp(now_s // 3600 * 3600)
        if theirs:
            rows = self.field(self.ask(f"/regional/intensity/{start}/fw48h/regionid/{theirs}"), "data", "data")
        else:
            rows = self.field(self.ask(f"/intensity/{start}/fw48h"), "data")
        return [self._point(row, ("forecast",), "") for row in rows]

    def _point(self, row: dict[str, Any], wanted: tuple[str, ...], note: str) -> Point:
        """The first of `wanted` that is known; half-hours without an actual fall back to the forecast, noted."""
        intensity = self.field(row, "intensity")
        at = self.instant(self.field(row, "from"))
        for i, name in enumerate(wanted):
            value = self.number(self.field(intensity, name))
            if value is not None:
                return Point(at, HALF_HOUR_S, value, note if i == 0 else "not yet measured: the forecast stands in")
        return Point(at, HALF_HOUR_S, None)


def _stamp(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%MZ}"
