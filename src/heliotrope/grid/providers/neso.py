"""Great Britain's own carbon intensity: half-hours, national or by region, with its 48 h forecast. No key, CC BY 4.0.

Its factors are operational ones (wind and nuclear 0, gas 394 g/kWh) and imports are in it: average, direct,
consumption. They cannot be compared with lifecycle series.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Said, WebProvider
from heliotrope.grid.zones import Zone, parts
from heliotrope.model import Quantity, SignalKind
from heliotrope.units import from_epoch, hour_floor

HALF_HOUR_S = 1800
NOT_FREE = ("gas", "coal", "imports", "other")


class Neso(WebProvider):
    name = "neso"
    url = "https://api.carbonintensity.org.uk"
    licence = "CC BY 4.0 (NESO Carbon Intensity API)"
    kinds = (SignalKind.parse("carbon/average/direct/consumption"), SignalKind.parse("carbon_free/consumption"))
    days_a_call = 13

    def their_zone(self, zone: Zone) -> str | None:
        """`GB` is the nation; its regions have ids (1 to 17) in facts, and `zones` maps names of yours to them."""
        part = parts().get(zone.name)
        region = self.options.zones.get(zone.name) or (part.more["neso"] if part else "")
        return region or ("" if zone.name == "GB" else None)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        return super().serves(zone, kind) and (kind.quantity is Quantity.CARBON or not self.their_zone(zone))

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        span = f"{_stamp(start_s)}/{_stamp(end_s)}"
        if kind.quantity is Quantity.CARBON_FREE:
            return [self._share(row) for row in self.rows(self.ask(f"/generation/{span}"), "data")]
        if theirs:
            answer = self.ask(f"/regional/intensity/{span}/regionid/{theirs}")
            return [self._point(row, ("forecast",), "estimated") for row in self.rows(answer, "data", "data")]
        answer = self.ask(f"/intensity/{span}")
        return [self._point(row, ("actual", "forecast"), "") for row in self.rows(answer, "data")]

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said | None:
        start = _stamp(hour_floor(now_s))
        if kind.quantity is Quantity.CARBON_FREE:
            return None
        if theirs:
            rows = self.rows(self.ask(f"/regional/intensity/{start}/fw48h/regionid/{theirs}"), "data", "data")
        else:
            rows = self.rows(self.ask(f"/intensity/{start}/fw48h"), "data")
        return Said([self._point(row, ("forecast",), "") for row in rows])

    def _share(self, row: dict[str, Any]) -> Point:
        """Everything but gas, coal, imports and `other`; what comes over the cables is not known to be clean."""
        shares = {str(self.field(part, "fuel")): self.number(self.field(part, "perc")) for part in self._mix(row)}
        known = [value for value in shares.values() if value is not None]
        at = self.instant(self.field(row, "from"))
        if len(known) < len(shares) or not known or sum(known) <= 0:
            return Point(at, HALF_HOUR_S, None)
        dirty = sum(shares.get(fuel) or 0.0 for fuel in NOT_FREE)
        note = "imports counted as not carbon-free" if shares.get("imports") else ""
        return Point(at, HALF_HOUR_S, 1 - dirty / sum(known), note)

    def _mix(self, row: dict[str, Any]) -> list[Any]:
        return self.rows(row, "generationmix")

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
