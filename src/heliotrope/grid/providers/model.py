"""The embedded model: an hourly series for any country from its yearly mix, the sun, the clock and a seeded sky.

Nothing is fetched and nothing is learned: the same zone and hour give the same number on every machine. Each fuel
gets a shape whose mean over the year is its yearly share; what is left of demand is met by hydro and fossil plants;
the intensity is the mix of the hour times the fuels' factors, scaled so that its mean over each calendar year (UTC)
is the yearly intensity of the facts.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from heliotrope import facts
from heliotrope.facts import Fact
from heliotrope.grid.providers import Setup
from heliotrope.grid.zones import WORLD, Zone, find
from heliotrope.model import CARBON, Basis, Frame, Place, Quality, QualityKind, Quantity, Scope, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

S_PER_YEAR = 365.2425 * S_PER_DAY
FIRM_SHARE_OF_HYDRO = 0.5  # runs with the river; the rest follows demand
MUST_RUN = 0.35  # of the mean rest: heat, reserves and exports keep plants on through sun and wind
FOSSIL = ("coal", "gas", "oil")
FLEXIBILITY = {"coal": 0.8, "gas": 1.3, "oil": 1.6}  # how a fuel's share of the rest grows with the rest
WIND_PERIODS_H = (9.0, 14.0, 21.0, 33.0, 51.0, 78.0, 115.0, 170.0, 260.0, 400.0)


class ModelProvider:
    name = "model"
    kinds = (CARBON, *(SignalKind.parse(text) for text in ("carbon/average/direct", "carbon_free")))

    def __init__(self, setup: Setup) -> None:
        pass

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        if zone.name == WORLD:
            return kind == CARBON
        return zone.intensity is not None and (
            kind.quantity is Quantity.CARBON_FREE
            or (
                kind.quantity is Quantity.CARBON
                and kind.basis is Basis.AVERAGE
                and kind.scope is not Scope.NONE
                and kind.frame is Frame.PRODUCTION
            )
        )

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        return series(zone, kind, start_s, end_s)

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal:
        return msgspec.structs.replace(series(zone, kind, start_s, end_s), quality=_quality(zone, kind, issued_at_s))


def series(zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
    """Hourly steps over the hours that touch [start_s, end_s)."""
    import numpy as np

    first = int(start_s // S_PER_HOUR)
    last = -int(-end_s // S_PER_HOUR)
    if zone.name == WORLD:
        return _world(zone, kind, first * S_PER_HOUR, max(last - first, 1))
    hours = np.arange(first, max(last, first + 1))
    years = (hours * S_PER_HOUR).astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    values = np.concatenate(
        [_of_year(zone.name, str(kind), int(y))[_hour_of_year(hours[years == y])] for y in _ordered(years)]
    )
    low, high = _interval(zone, kind, values)
    return Signal(kind, zone.name, first * S_PER_HOUR, S_PER_HOUR, values, low, high, _quality(zone, kind, None))


def _ordered(years: NDArray[np.int_]) -> list[int]:
    return sorted({int(y) for y in years})


def _hour_of_year(hours: NDArray[np.int_]) -> NDArray[np.int_]:
    year = datetime.fromtimestamp(int(hours[0]) * S_PER_HOUR, UTC).year
    return hours - int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // S_PER_HOUR


def _quality(zone: Zone, kind: SignalKind, issued_at_s: int | None) -> Quality:
    fact = _fact(zone)
    flags = ["modelled from the yearly mix: the shape of the day is typical, not observed", *zone.flags]
    if kind.scope is Scope.DIRECT:
        flags.append("direct factors times the modelled mix, not fitted to a published yearly figure")
    return Quality(
        QualityKind.MODELLED, f"heliotrope model; {fact.source}", fact.licence, issued_at_s, fact.year, tuple(flags)
    )


@lru_cache(maxsize=512)
def _of_year(zone_name: str, kind_text: str, year: int) -> FloatArray:
    """All hours of a UTC calendar year."""
    import numpy as np

    zone = find(zone_name)
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    power = dispatch(zone, np.arange(start, end, S_PER_HOUR) + S_PER_HOUR // 2)
    whole = np.sum(list(power.values()), axis=0)
    if kind_text.startswith("carbon_free"):
        values = 1.0 - np.sum([power[fuel] for fuel in FOSSIL], axis=0) / whole
    else:
        scope = "direct" if "/direct" in kind_text else "lifecycle"
        values = np.sum([power[fuel] * facts.fact("fuels", f"{fuel}/{scope}").value for fuel in power], axis=0) / whole
        if scope == "lifecycle":
            values *= _fact(zone).value / values.mean()
    result: FloatArray = values
    result.setflags(write=False)
    return result


def dispatch(zone: Zone, at_s: NDArray[np.int_]) -> dict[str, FloatArray]:
    """Power by fuel at each instant, in units of the zone's mean demand. Sums to at least demand's share."""
    import numpy as np

    shares = zone.shares
    weather = _Sky(zone)
    demand = _demand(zone, at_s)
    power = {
        "solar": shares["solar"] * weather.sun(at_s),
        "wind": shares["wind"] * weather.wind(at_s),
        "nuclear": shares["nuclear"] * (1.0 + 0.08 * _winter(zone, at_s)),
        "biomass": np.full(len(at_s), shares["biomass"]),
        "other_renewable": np.full(len(at_s), shares["other_renewable"]),
    }
    firm_hydro = FIRM_SHARE_OF_HYDRO * shares["hydro"]
    rest = np.maximum(demand - np.sum(list(power.values()), axis=0) - firm_hydro, 0.03)
    flexible = (1 - FIRM_SHARE_OF_HYDRO) * shares["hydro"] + sum(shares[fuel] for fuel in FOSSIL)
    relative = np.maximum(rest / rest.mean(), MUST_RUN)
    relative /= relative.mean()
    power["hydro"] = (
        firm_hydro + (1 - FIRM_SHARE_OF_HYDRO) * shares["hydro"] * relative if flexible else np.zeros(len(at_s))
    )
    for fuel in FOSSIL:
        shaped = relative ** FLEXIBILITY[fuel]
        power[fuel] = shares[fuel] * shaped / shaped.mean()
    return power


def _local_hours(zone: Zone, at_s: NDArray[np.int_]) -> FloatArray:
    """Hours of local mean solar time since the epoch: no time zone table, no daylight saving."""
    hours: FloatArray = at_s / S_PER_HOUR + _place(zone).longitude / 15.0
    return hours


def _place(zone: Zone) -> Place:
    assert zone.place is not None, "serves() refuses zones without facts"
    return zone.place


def _fact(zone: Zone) -> Fact:
    assert zone.intensity is not None, "serves() refuses zones without facts"
    return zone.intensity


def _winter(zone: Zone, at_s: NDArray[np.int_]) -> FloatArray:
    """+1 in the depth of the zone's winter, -1 at midsummer."""
    import numpy as np

    side = 1.0 if _place(zone).latitude >= 0 else -1.0
    wave: FloatArray = side * np.cos(2 * np.pi * (at_s / S_PER_YEAR - 15.0 / 365.0))
    return wave


def _demand(zone: Zone, at_s: NDArray[np.int_]) -> FloatArray:
    """Mean near 1. Low at 4, a shoulder at 9, the peak at 19 local time; weekends are lower.

    Higher in winter where it is cool, in summer where it is hot.
    """
    import numpy as np

    local = _local_hours(zone, at_s)
    hour = local % 24.0
    day = 1.0 + 0.11 * np.cos(2 * np.pi * (hour - 16) / 24) + 0.05 * np.cos(4 * np.pi * (hour - 8) / 24)
    weekday = (np.floor(local / 24.0) + 3) % 7  # Monday is 0
    week = np.where(weekday >= 5, 0.92, 1.03)
    cold = np.clip((abs(_place(zone).latitude) - 30.0) / 25.0, -0.6, 1.0)
    demand: FloatArray = day * week * (1.0 + 0.12 * cold * _winter(zone, at_s))
    return demand


class _Sky:
    """Sun by geometry, clouds and wind by waves whose phases are seeded with the zone's name."""

    def __init__(self, zone: Zone) -> None:
        import numpy as np

        self.zone = zone
        seed = int.from_bytes(hashlib.sha256(zone.name.encode()).digest()[:8], "big")
        random = np.random.default_rng(seed)
        self._wind_phase = random.uniform(0, 2 * np.pi, (len(WIND_PERIODS_H), 2))
        self._stretch = random.uniform(0.9, 1.1, len(WIND_PERIODS_H))
        self._cloud_phase = random.uniform(0, 2 * np.pi, 4)

    def sun(self, at_s: NDArray[np.int_]) -> FloatArray:
        """Output of photovoltaics over its own yearly mean."""
        import numpy as np

        latitude = np.radians(_place(self.zone).latitude)
        declination = np.radians(-23.44) * np.cos(2 * np.pi * (at_s / S_PER_YEAR + 10.0 / 365.25))
        angle = 2 * np.pi * ((_local_hours(self.zone, at_s) % 24.0) - 12.0) / 24.0
        height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle)
        clear = np.maximum(height, 0.0) ** 1.15
        days = at_s / S_PER_DAY
        periods = (2.7, 4.9, 9.1, 17.0)
        clouds = sum(np.sin(2 * np.pi * days / p + phase) for p, phase in zip(periods, self._cloud_phase, strict=True))
        output = clear * np.clip(0.72 + 0.14 * clouds, 0.2, 1.0)
        mean = output.mean()
        shape: FloatArray = output / mean if mean > 0 else output
        return shape

    def wind(self, at_s: NDArray[np.int_]) -> FloatArray:
        """Output of wind farms over its own yearly mean: waves from hours to weeks, stronger in winter."""
        import numpy as np

        hours = at_s / S_PER_HOUR
        wave = np.zeros(len(at_s))
        for period, stretch, (a, b) in zip(WIND_PERIODS_H, self._stretch, self._wind_phase, strict=True):
            length = period * stretch
            wave += (
                np.sqrt(period / 60.0)
                / (1 + period / 160.0)
                * np.sin(2 * np.pi * hours / length + a + 0.4 * np.sin(hours / length / 3 + b))
            )
        wave /= wave.std()
        speed = 1.0 + 0.42 * wave + 0.14 * _winter(self.zone, at_s)
        output = np.clip(speed, 0.12, 2.6) ** 1.6
        shape: FloatArray = output / output.mean()
        return shape


# Calibrated on 60 zones of 2022 (lifecycle, imports traced): bench/grid.py prints what share of hours truly lay within.
DOWN, UP = 0.55, 0.6
SPREAD_OF_FACTORS = 1.1  # plants of one fuel differ from its median factor
NOTABLE_SHARE = 0.02


def _interval(zone: Zone, kind: SignalKind, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Down by a part of the value, more where much is clean; up by a part of the way to the dirtiest own fuel alone."""
    import numpy as np

    if kind.quantity is Quantity.CARBON_FREE:
        return np.clip(values - 0.25, 0.0, 1.0), np.clip(values + 0.25, 0.0, 1.0)
    fossil = {fuel: zone.shares[fuel] for fuel in FOSSIL}
    burnt = [fuel for fuel, share in fossil.items() if share >= NOTABLE_SHARE] or ["gas"]
    dirtiest = SPREAD_OF_FACTORS * max(facts.fact("fuels", f"{fuel}/{kind.scope.value}").value for fuel in burnt)
    clean = 1.0 - min(1.0, sum(fossil.values()))
    low = values * (1.0 - DOWN * np.sqrt(clean))
    high = values + UP * np.maximum(dirtiest - values, 0.0)
    if zone.name != _fact(zone).name:  # a part can be far from its country: hydro valleys, coal basins
        cleanest = facts.fact("fuels", f"wind/{kind.scope.value}").value
        low, high = np.minimum(low, cleanest), np.maximum(high, dirtiest)
    return low, high


def _world(zone: Zone, kind: SignalKind, start_s: int, hours: int) -> Signal:
    """No place, no shape: the world's mean, and the span of countries as its interval."""
    import numpy as np

    countries = sorted(fact.value for fact in facts.table("countries"))
    ends = (countries[len(countries) // 20], countries[-1 - len(countries) // 20])
    value, low, high = (np.full(hours, number) for number in (_fact(zone).value, *ends))
    return Signal(kind, zone.name, start_s, S_PER_HOUR, value, low, high, _quality(zone, kind, None))
