"""Electricity Maps, version 3: hourly, flow-traced, lifecycle or direct, for most of the world. Needs a key.

Its version 4 speaks the same shapes as far as its clients show; `url` in the options chooses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heliotrope.errors import ProviderGarbled
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Said, WebProvider, stamp
from heliotrope.grid.zones import Zone
from heliotrope.model import Quantity, SignalKind
from heliotrope.units import S_PER_HOUR


class ElectricityMaps(WebProvider):
    name = "electricitymaps"
    url = "https://api.electricitymaps.com/v3"
    licence = "Electricity Maps (commercial terms; not to be passed on)"
    kinds = (
        *(SignalKind.parse(f"carbon/average/{scope}/consumption") for scope in ("lifecycle", "direct")),
        SignalKind.parse("carbon_free/consumption"),
    )
    needs_key = True
    days_a_call = 9

    def headers(self) -> dict[str, str]:
        return {"auth-token": self.key} if self.key else {}

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or zone.name

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        span = {"start": stamp(start_s), "end": stamp(end_s)}
        if kind.quantity is Quantity.CARBON_FREE:
            answer = self.ask("/power-breakdown/past-range", {"zone": theirs, **span})
            return [self._share(row) for row in self.rows(answer, "data")]
        answer = self.ask("/carbon-intensity/past-range", {**self._query(theirs, kind), **span})
        return [self._point(row, kind) for row in self.rows(answer, "data")]

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said:
        if kind.quantity is Quantity.CARBON_FREE:
            answer = self.ask("/power-breakdown/forecast", {"zone": theirs, "horizonHours": 72})
            found = [self._share(row) for row in self.rows(answer, "forecast")]
        else:
            answer = self.ask("/carbon-intensity/forecast", {**self._query(theirs, kind), "horizonHours": 72})
            found = [self._point(row, kind) for row in self.rows(answer, "forecast")]
        issued = answer.get("updatedAt")
        return Said(found, None if issued is None else self.instant(issued))

    def _query(self, theirs: str, kind: SignalKind) -> dict[str, Any]:
        return {"zone": theirs, "emissionFactorType": kind.scope.value}

    def _point(self, row: dict[str, Any], kind: SignalKind) -> Point:
        stated = row.get("emissionFactorType") or kind.scope.value
        if stated != kind.scope.value:
            raise ProviderGarbled(f"{self.name}: asked for {kind.scope.value} factors", cause=f"got {stated}")
        return self._row(row, self.number(self.field(row, "carbonIntensity")))

    def _share(self, row: dict[str, Any]) -> Point:
        percent = self.number(self.field(row, "fossilFreePercentage"))
        return self._row(row, None if percent is None else percent / 100)

    def _row(self, row: dict[str, Any], value: float | None) -> Point:
        """`estimationMethod`, in older answers `estimatedMethod`, says that nobody measured."""
        estimated = row.get("isEstimated") or row.get("estimationMethod") or row.get("estimatedMethod")
        return Point(
            self.instant(self.field(row, "datetime")), S_PER_HOUR, value, "estimated by them" if estimated else ""
        )
