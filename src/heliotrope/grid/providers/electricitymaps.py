"""Electricity Maps, version 3: hourly, flow-traced, lifecycle or direct, for most of the world. Needs a key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heliotrope.errors import ProviderGarbled
from heliotrope.grid.web import Point, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_HOUR, from_epoch


class ElectricityMaps(WebProvider):
    name = "electricitymaps"
    url = "https://api.electricitymaps.com/v3"
    licence = "Electricity Maps (commercial terms; not to be passed on)"
    kinds = tuple(SignalKind.parse(f"carbon/average/{scope}/consumption") for scope in ("lifecycle", "direct"))
    needs_key = True
    days_a_call = 9

    def headers(self) -> dict[str, str]:
        return {"auth-token": self.key} if self.key else {}

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or zone.name

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        query = {"start": _stamp(start_s), "end": _stamp(end_s)}
        answer = self.ask("/carbon-intensity/past-range", {**self._query(theirs, kind), **query})
        return [self._point(row, kind) for row in self.field(answer, "data")]

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Iterable[Point]:
        answer = self.ask("/carbon-intensity/forecast", self._query(theirs, kind))
        return [self._point(row, kind) for row in self.field(answer, "forecast")]

    def _query(self, theirs: str, kind: SignalKind) -> dict[str, str]:
        return {"zone": theirs, "emissionFactorType": kind.scope.value}

    def _point(self, row: dict[str, Any], kind: SignalKind) -> Point:
        stated = row.get("emissionFactorType", kind.scope.value)
        if stated != kind.scope.value:
            raise ProviderGarbled(f"{self.name}: asked for {kind.scope.value} factors", cause=f"got {stated}")
        estimated = row.get("isEstimated") or row.get("estimationMethod") or row.get("estimatedMethod")
        value = self.number(self.field(row, "carbonIntensity"))
        return Point(self.instant(self.field(row, "datetime")), S_PER_HOUR, value, "estimated" if estimated else "")


def _stamp(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%M:%SZ}"
