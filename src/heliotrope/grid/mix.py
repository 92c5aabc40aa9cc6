"""From generation by fuel: megawatts of an hour times sourced factors are an intensity; their clean part a share."""

from __future__ import annotations

from collections import Counter, defaultdict

from heliotrope import facts
from heliotrope.errors import ProviderGarbled
from heliotrope.grid.wire.points import POSSIBLE, Point
from heliotrope.model import Quantity, SignalKind
from heliotrope.units import S_PER_HOUR, from_epoch

MOST_UNKNOWN = 0.05  # of an hour's power may be of a fuel without a factor; more leaves the hour out
USUAL = 0.5  # a fuel told in so many of the hours is missed where it is not
FOSSIL = frozenset({"coal", "gas", "oil"})


class Mix:
    """Power by fuel and hour; `None` is power of a fuel that has no factor."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.hours: dict[int, dict[str | None, float]] = defaultdict(dict)
        self._spoilt: set[int] = set()
        self._negative: set[int] = set()

    def add(self, at_s: int, fuel: str | None, power_mw: float | None) -> None:
        """A second figure for the same hour and fuel adds: several units, or parts of an hour. None spoils the hour."""
        hour = at_s // S_PER_HOUR * S_PER_HOUR
        power = self.hours[hour]
        if power_mw is None:
            self._spoilt.add(hour)
            return
        if not abs(power_mw) <= POSSIBLE[Quantity.GENERATION][1]:
            raise ProviderGarbled(
                f"{self.who}: a value that cannot be",
                cause=f"{power_mw:g} MW of {fuel or 'an unknown fuel'} at {from_epoch(at_s):%Y-%m-%dT%H:%MZ}",
                hint="wait for it to be corrected, or name another provider",
            )
        if power_mw < 0:
            self._negative.add(hour)
        power[fuel] = power.get(fuel, 0.0) + max(power_mw, 0.0)

    def points(self, kind: SignalKind) -> list[Point]:
        """Hourly intensity (g/kWh, factors of the kind's scope) or carbon-free share; None where too much is unknown.

        Fossil is what is not carbon-free: nuclear, hydro, wind, sun, geothermal and biomass count as free.
        """
        told = Counter(fuel for power in self.hours.values() for fuel in power)
        usual = {fuel for fuel, hours in told.items() if hours >= USUAL * len(self.hours)}
        return [self._point(at, power, usual, kind) for at, power in sorted(self.hours.items())]

    def _point(self, at: int, power: dict[str | None, float], usual: set[str | None], kind: SignalKind) -> Point:
        known = {fuel: amount for fuel, amount in power.items() if fuel is not None}
        whole, unknown = sum(power.values()), power.get(None, 0.0)
        if at in self._spoilt or usual - power.keys() or sum(known.values()) <= 0 or unknown > MOST_UNKNOWN * whole:
            return Point(at, S_PER_HOUR, None)
        notes = []
        if unknown > 0:
            notes.append(f"with up to {MOST_UNKNOWN:.0%} of power of a fuel without a factor left out")
        if at in self._negative:
            notes.append("with negative generation counted as none")
        return Point(at, S_PER_HOUR, _mean(known, kind), "; ".join(notes))


def _mean(power: dict[str, float], kind: SignalKind) -> float:
    whole = sum(power.values())
    if kind.quantity is Quantity.CARBON_FREE:
        return sum(amount for fuel, amount in power.items() if fuel not in FOSSIL) / whole
    return (
        sum(facts.fact("fuels", f"{fuel}/{kind.scope.value}").value * amount for fuel, amount in power.items()) / whole
    )
