"""WattTime, version 3: marginal emissions, five-minute steps, in lb/MWh turned to g/kWh. Needs user and password."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from typing import Any

from heliotrope.errors import ProviderDenied, ProviderGarbled
from heliotrope.grid.providers import Setup
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Said, WebProvider
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_DAY, from_epoch, g_per_kwh_from_lb_per_mwh

TOKEN_LIFE_S = 25 * 60  # the API's tokens live for 30 minutes
REGION_LIFE_S = 30 * S_PER_DAY
UNIT = "lbs_co2_per_mwh"


class WattTime(WebProvider):
    """`key` is the password and `user` stands beside it; `zones` (our name → their region) spares asking by place."""

    name = "watttime"
    url = "https://api.watttime.org"
    licence = "WattTime (terms of its service; not to be passed on)"
    kinds = (SignalKind.parse("carbon/marginal/direct"),)
    needs_key = True
    days_a_call = 30

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._token = ""
        self._token_until = 0.0

    def their_zone(self, zone: Zone) -> str | None:
        """A region, or a place whose region they are asked for once."""
        place = None if zone.place is None else f"{zone.place.latitude},{zone.place.longitude}"
        return self.options.zones.get(zone.name) or place

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        span = {"start": from_epoch(start_s).isoformat(), "end": from_epoch(end_s).isoformat()}
        return self._points(
            self._ask("/v3/historical", {"region": self._region(theirs), "signal_type": "co2_moer", **span})
        )

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said:
        query = {"region": self._region(theirs), "signal_type": "co2_moer", "horizon_hours": 72}
        answer = self._ask("/v3/forecast", query)
        return Said(self._points(answer), self.instant(self.field(answer, "meta", "generated_at")))

    def _region(self, theirs: str) -> str:
        """Of a place; regions move rarely, so it is kept for a month."""
        latitude, comma, longitude = theirs.partition(",")
        if not comma:
            return theirs
        kept = self.archive.document(self.name, f"region {theirs}")
        if kept and time.time() - kept[0] < REGION_LIFE_S:
            return kept[1].decode()
        query = {"latitude": latitude, "longitude": longitude, "signal_type": "co2_moer"}
        region = str(self.field(self._ask("/v3/region-from-loc", query), "region"))
        self.archive.keep_document(self.name, f"region {theirs}", int(time.time()), region.encode())
        return region

    def _ask(self, path: str, query: Mapping[str, Any]) -> Any:
        try:
            return self.ask(path, query, {"Authorization": f"Bearer {self._login()}"})
        except ProviderDenied:
            if not self._token:
                raise
            self._token = ""  # it may have been withdrawn early: once more with a new one
            return self.ask(path, query, {"Authorization": f"Bearer {self._login()}"})

    def _login(self) -> str:
        if not self._token or time.time() > self._token_until:
            pair = base64.b64encode(f"{self.options.user}:{self.key}".encode()).decode()
            self.client.hide(pair)
            self._token = str(self.field(self.ask("/login", None, {"Authorization": f"Basic {pair}"}), "token"))
            self.client.hide(self._token)
            self._token_until = time.time() + TOKEN_LIFE_S
        return self._token

    def _points(self, answer: Any) -> list[Point]:
        unit = self.field(answer, "meta", "units")
        if unit != UNIT:
            raise ProviderGarbled(f"{self.name}: an unknown unit", cause=f"found {unit}, expected {UNIT}")
        step_s = int(self.number(self.field(answer, "meta", "data_point_period_seconds")) or 0)
        points = []
        for row in self.rows(answer, "data"):
            pounds = self.number(self.field(row, "value"))
            value = None if pounds is None else g_per_kwh_from_lb_per_mwh(pounds)
            points.append(Point(self.instant(self.field(row, "point_time")), step_s, value))
        return points
