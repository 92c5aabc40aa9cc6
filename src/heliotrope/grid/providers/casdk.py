"""The Carbon Aware SDK's web API: whatever source stands behind yours. `kind` in the options says what it serves."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from heliotrope.errors import ConfigError
from heliotrope.grid.providers import Setup
from heliotrope.grid.wire.points import Point
from heliotrope.grid.wire.web import Said, WebProvider, stamp
from heliotrope.grid.zones import Zone
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_HOUR


class CarbonAwareSdk(WebProvider):
    name = "casdk"
    url = "http://127.0.0.1:8090"
    licence = "of the source behind the Carbon Aware SDK"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if not self.options.kind:
            raise ConfigError(
                "the Carbon Aware SDK does not say what kind its numbers are",
                hint='[grid.options.casdk] kind = "carbon/marginal/direct" (WattTime) or what stands behind yours',
            )
        self.kinds = (SignalKind.parse(self.options.kind),)

    def their_zone(self, zone: Zone) -> str | None:
        return self.options.zones.get(zone.name) or zone.name

    def _history(self, theirs: str, kind: SignalKind, start_s: int, end_s: int) -> Iterable[Point]:
        query = {"location": theirs, "time": stamp(start_s), "toTime": stamp(end_s)}
        rows = self.rows(self.ask("/emissions/bylocation", query))
        at = [self.instant(self.field(row, "time")) for row in rows]
        step_s = min((b - a for a, b in itertools.pairwise(at) if b > a), default=S_PER_HOUR)
        return [
            Point(second, step_s, self.number(self.field(row, "rating"))) for second, row in zip(at, rows, strict=True)
        ]

    def _forecast(self, theirs: str, kind: SignalKind, now_s: int) -> Said:
        """`optimalDataPoints` (some pages say `optimalDataPoint`) is not needed: the planner chooses itself."""
        answer = self.ask("/emissions/forecasts/current", {"location": theirs})
        found = [
            Point(
                self.instant(self.field(row, "timestamp")),
                int(self.number(self.field(row, "duration")) or 0) * 60,
                self.number(self.field(row, "value")),
            )
            for row in self.rows(answer, 0, "forecastData")
        ]
        return Said(found, self.instant(self.field(answer, 0, "generatedAt")))
