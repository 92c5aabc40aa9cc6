"""From generation by fuel to intensity: megawatts of an hour times sourced factors."""

from __future__ import annotations

from collections import defaultdict

from heliotrope import facts
from heliotrope.grid.web import Point
from heliotrope.units import S_PER_HOUR

MOST_UNKNOWN = 0.05  # of an hour's power may be of a fuel without a factor; more leaves the hour out


class Mix:
    """Power by fuel and hour; `None` is power of a fuel that has no factor."""

    def __init__(self) -> None:
        self.hours: dict[int, dict[str | None, float]] = defaultdict(dict)

    def add(self, at_s: int, fuel: str | None, power_mw: float) -> None:
        """A second figure for the same hour and fuel adds: several units, or parts of an hour."""
        power = self.hours[at_s // S_PER_HOUR * S_PER_HOUR]
        power[fuel] = power.get(fuel, 0.0) + power_mw


def points_of(mix: Mix, scope: str) -> list[Point]:
    """Hourly intensity in g/kWh with the factors of `scope`; None where too much of the hour has no factor."""
    points = []
    for at, power in sorted(mix.hours.items()):
        known = {fuel: amount for fuel, amount in power.items() if fuel is not None}
        whole, unknown = sum(power.values()), power.get(None, 0.0)
        note = f"{unknown / whole:.0%} of the power has no factor" if unknown > 0 and whole > 0 else ""
        if sum(known.values()) <= 0 or unknown > MOST_UNKNOWN * whole:
            points.append(Point(at, S_PER_HOUR, None, note))
            continue
        grams = sum(facts.fact("fuels", f"{fuel}/{scope}").value * amount for fuel, amount in known.items())
        points.append(Point(at, S_PER_HOUR, grams / sum(known.values()), note))
    return points
