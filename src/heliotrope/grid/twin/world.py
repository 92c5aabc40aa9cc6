"""What the power is like in the twin's world, and what it is made of, so that a round trip can be checked."""

from __future__ import annotations

import math
from functools import lru_cache

from heliotrope.grid import zones
from heliotrope.grid.files.hourly import Hourly
from heliotrope.grid.providers import model
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR

LIFECYCLE, DIRECT = "carbon/average/lifecycle", "carbon/average/direct"
GAS_G_PER_KWH, WIND_G_PER_KWH = 490.0, 11.0  # lifecycle; IPCC AR5, as in the facts
LOAD_MW = 20_000.0


@lru_cache(maxsize=10_000)
def _modelled(zone: str, kind: str, day: int) -> tuple[float, ...]:
    """The hours of a UTC day."""
    signal = model.series(zones.find(zone), SignalKind.parse(kind), day * S_PER_DAY, (day + 1) * S_PER_DAY)
    return tuple(signal.values.tolist())


class World:
    """From a series where there is one, else from the embedded model."""

    def __init__(self, series: dict[str, Hourly]) -> None:
        self.series = series

    def at(self, zone: str, at_s: int, kind: str = LIFECYCLE) -> float | None:
        """A series repeats itself day-aligned past its ends, so that any clock meets data."""
        given = self.series.get(zone)
        if given is None:
            return _modelled(zone, kind, at_s // S_PER_DAY)[at_s % S_PER_DAY // S_PER_HOUR]
        days = len(given.values) // 24 * 24
        return float(given.values[(at_s // S_PER_HOUR - given.hour0) % days])

    def mix(self, zone: str, at_s: int) -> dict[str, float]:
        """Gas and wind in the proportion that gives the intensity."""
        value = self.at(zone, at_s) or 0.0
        gas = min(max((value - WIND_G_PER_KWH) / (GAS_G_PER_KWH - WIND_G_PER_KWH), 0.0), 1.0)
        return {"gas": gas, "wind": 1.0 - gas}

    def wind_forecast(self, zone: str, at_s: int) -> float:
        """MW, made the day before: right to 5 %."""
        return LOAD_MW * self.mix(zone, at_s)["wind"] * (1 + 0.05 * math.sin(at_s / 9_000))

    def price(self, at_s: int) -> float:
        """EUR/MWh."""
        return round(60 + 50 * math.sin(at_s / 14_000), 2)

    def weather(self, variable: str, at_s: int) -> float:
        wave = math.sin(at_s / 20_000)
        if variable == "shortwave_radiation":
            return round(max(0.0, 700 * math.sin(2 * math.pi * (at_s % S_PER_DAY / S_PER_DAY - 0.25))), 1)
        return round(6 + 4 * wave, 2)
