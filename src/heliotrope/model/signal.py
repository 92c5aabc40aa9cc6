"""A typed time series from the world outside; its kind is part of its type."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from heliotrope.errors import InvalidInput, SignalGap, SignalMismatch
from heliotrope.units import S_PER_HOUR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


class Quantity(StrEnum):
    CARBON = "carbon"
    PRICE = "price"
    CARBON_PRICE = "carbon_price"
    WATER = "water"
    CARBON_FREE = "carbon_free"
    WIND_SPEED = "wind_speed"
    SOLAR = "solar"
    WIND_POWER = "wind_power"
    SOLAR_POWER = "solar_power"
    LOAD = "load"
    GENERATION = "generation"
    TEMPERATURE = "temperature"


class Basis(StrEnum):
    """Average: all power of the hour. Marginal: the power that one more kWh would bring."""

    AVERAGE = "average"
    MARGINAL = "marginal"
    NONE = "-"


class Scope(StrEnum):
    """Direct: the chimney alone. Lifecycle: building, fuel and disposal too."""

    DIRECT = "direct"
    LIFECYCLE = "lifecycle"
    NONE = "-"


class Frame(StrEnum):
    """Production: made in the zone. Consumption: used in it, imports traced."""

    PRODUCTION = "production"
    CONSUMPTION = "consumption"
    NONE = "-"


class SignalKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quantity: Quantity
    unit: str
    basis: Basis = Basis.NONE
    scope: Scope = Scope.NONE
    frame: Frame = Frame.NONE

    def __str__(self) -> str:
        parts = [p.value for p in (self.quantity, self.basis, self.scope, self.frame) if p.value != "-"]
        return f"{'/'.join(parts)} [{self.unit}]"

    @classmethod
    def parse(cls, text: str) -> SignalKind:
        """`carbon/average/lifecycle[/production]`, `carbon/marginal/direct`, `price`, `water`."""
        head, *rest = text.strip().split("/")
        try:
            quantity = Quantity(head)
        except ValueError:
            raise InvalidInput(
                "not a kind of signal", field="kind", found=text, allowed=", ".join(q.value for q in Quantity)
            ) from None
        found: dict[str, str] = {}
        for part in rest:
            for name, enum in (("basis", Basis), ("scope", Scope), ("frame", Frame)):
                if part in {e.value for e in enum} and name not in found:
                    found[name] = part
                    break
            else:
                raise InvalidInput(
                    f"no such part of a signal's kind: {part}",
                    field="kind",
                    found=text,
                    allowed="quantity/{average|marginal}/{direct|lifecycle}/{production|consumption}",
                )
        if quantity is Quantity.CARBON:
            found.setdefault("basis", "average")
            found.setdefault("scope", "lifecycle")
            found.setdefault("frame", "production")
        if quantity is Quantity.CARBON_FREE:
            found.setdefault("frame", "production")
        return cls(
            quantity,
            UNIT_OF[quantity],
            Basis(found.get("basis", "-")),
            Scope(found.get("scope", "-")),
            Frame(found.get("frame", "-")),
        )


UNIT_OF = {
    Quantity.CARBON: "g/kWh",
    Quantity.PRICE: "EUR/MWh",
    Quantity.CARBON_PRICE: "EUR/t",
    Quantity.WATER: "L/kWh",
    Quantity.CARBON_FREE: "fraction",
    Quantity.WIND_SPEED: "m/s",
    Quantity.SOLAR: "W/m2",
    Quantity.WIND_POWER: "MW",
    Quantity.SOLAR_POWER: "MW",
    Quantity.LOAD: "MW",
    Quantity.GENERATION: "MW",
    Quantity.TEMPERATURE: "degC",
}

CARBON = SignalKind(Quantity.CARBON, "g/kWh", Basis.AVERAGE, Scope.LIFECYCLE, Frame.PRODUCTION)
PRICE = SignalKind(Quantity.PRICE, "EUR/MWh")
CARBON_PRICE = SignalKind(Quantity.CARBON_PRICE, "EUR/t")
CARBON_FREE = SignalKind(Quantity.CARBON_FREE, "fraction", frame=Frame.PRODUCTION)
WIND_POWER = SignalKind(Quantity.WIND_POWER, "MW")
SOLAR_POWER = SignalKind(Quantity.SOLAR_POWER, "MW")
LOAD = SignalKind(Quantity.LOAD, "MW")
WATER = SignalKind(Quantity.WATER, "L/kWh")


class QualityKind(StrEnum):
    MEASURED = "measured"
    ESTIMATED = "estimated"
    FORECAST = "forecast"
    MODELLED = "modelled"


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a series came from. `issued_at_s` is set for forecasts; `flags` say what was done to it."""

    kind: QualityKind
    source: str
    licence: str
    issued_at_s: int | None = None
    year: int | None = None
    flags: tuple[str, ...] = ()


class Signal(msgspec.Struct, frozen=True, eq=False):
    """Values over `[start_s + i*step_s, start_s + (i+1)*step_s)`, epoch seconds UTC.

    `low` and `high` bound 90 % of each value (equal to it where the source states no error).
    NaN is not allowed: a gap is an error or a flagged fill before a Signal exists.
    """

    kind: SignalKind
    zone: str
    start_s: int
    step_s: int
    values: FloatArray
    low: FloatArray
    high: FloatArray
    quality: Quality

    def __post_init__(self) -> None:
        import numpy as np

        if self.step_s <= 0:
            raise InvalidInput("a signal's step must be positive", field="step_s", found=self.step_s)
        if not len(self.values) == len(self.low) == len(self.high):
            raise InvalidInput("values, low and high differ in length", field=self.zone)
        if len(self.values) and not (
            np.isfinite(self.values).all() and np.isfinite(self.low).all() and np.isfinite(self.high).all()
        ):
            first = int(np.argmin(np.isfinite(self.values)))
            raise SignalGap("a value is missing or not finite", field=f"{self.zone}[{first}]")

    @property
    def end_s(self) -> int:
        return self.start_s + self.step_s * len(self.values)

    def same_kind(self, other: Signal) -> None:
        """Refuse to add, compare or average what is not comparable."""
        if self.kind != other.kind:
            raise SignalMismatch(
                "signals of different kinds cannot be compared",
                found=f"{self.zone} {self.kind} and {other.zone} {other.kind}",
                hint="choose providers of one kind, or convert one with its own factors first",
            )

    def index(self, at_s: float) -> int:
        i = int((at_s - self.start_s) // self.step_s)
        if not 0 <= i < len(self.values):
            raise SignalGap(
                "no value for that time",
                field=self.zone,
                found=int(at_s),
                allowed=f"{self.start_s} to {self.end_s} (epoch seconds)",
            )
        return i

    def at(self, at_s: float) -> float:
        return float(self.values[self.index(at_s)])

    def window(self, start_s: float, end_s: float) -> Signal:
        """The steps that touch [start_s, end_s)."""
        i = self.index(start_s)
        j = self.index(end_s - 1e-6) + 1
        return Signal(
            self.kind,
            self.zone,
            self.start_s + i * self.step_s,
            self.step_s,
            self.values[i:j],
            self.low[i:j],
            self.high[i:j],
            self.quality,
        )

    def mean(self, start_s: float, end_s: float) -> tuple[float, float, float]:
        """Time-weighted mean of value, low, high over [start_s, end_s)."""
        import numpy as np

        part = self.window(start_s, max(end_s, start_s + 1e-6))
        edges = part.start_s + part.step_s * np.arange(len(part.values) + 1, dtype=np.float64)
        weights = np.diff(np.clip(edges, start_s, max(end_s, start_s + 1e-6)))
        weights /= weights.sum()
        return float(weights @ part.values), float(weights @ part.low), float(weights @ part.high)


def hourly(start_s: int, hours: int) -> range:
    return range(start_s, start_s + hours * S_PER_HOUR, S_PER_HOUR)
