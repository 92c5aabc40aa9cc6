"""Open-Meteo: wind, sun and temperature at a zone's place, past days and the week to come. No key for private use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from heliotrope.errors import ProviderGarbled
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Driver, Said, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_HOUR, from_epoch

VARIABLES = {"wind_speed": "wind_speed_10m", "solar": "shortwave_radiation", "temperature": "temperature_2m"}


class OpenMeteo(WebProvider):
    name = "openmeteo"
    url = "https://api.open-meteo.com"
    licence = "CC BY 4.0 (Open-Meteo)"
    kinds = tuple(SignalKind.parse(quantity) for quantity in VARIABLES)
    days_a_call = 90
    calls_per_hour = 400  # of 10,000 a day

    def their_zone(self, zone: Zone) -> str | None:
        return None if zone.place is None else f"{zone.place.latitude},{zone.place.longitude}"

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        span = {"start_date": f"{from_epoch(start_s):%Y-%m-%d}", "end_date": f"{from_epoch(end_s - 1):%Y-%m-%d}"}
        return self._points(theirs, kind, span)

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said:
        return Said(self._points(theirs, kind, {"forecast_days": "8"}))

    def _drivers(self, theirs: str) -> dict[str, Driver]:
        """Of days gone by this is the newest run, not the one of the day before: weather looks a little too certain."""
        return {f"forecast_{kind.quantity}": Driver(kind, partial(self._history, theirs, kind)) for kind in self.kinds}

    def _points(self, theirs: str, kind: SignalKind, span: dict[str, str]) -> list[Point]:
        latitude, longitude = theirs.split(",")
        variable = VARIABLES[kind.quantity.value]
        query = {"latitude": latitude, "longitude": longitude, "hourly": variable, "timezone": "GMT", **span}
        answer = self.ask("/v1/forecast", {**query, "wind_speed_unit": "ms"})
        times, values = self.rows(answer, "hourly", "time"), self.rows(answer, "hourly", variable)
        if len(times) != len(values):
            raise ProviderGarbled(f"{self.name}: {len(values)} values for {len(times)} times", cause=variable)
        return [
            Point(self.instant(at), S_PER_HOUR, self.number(value)) for at, value in zip(times, values, strict=True)
        ]
