"""A number that knows how it came to be: value, interval, provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from heliotrope.model.provenance import Provenance, least_trusted


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`low <= value <= high`; low and high bound 90 %. The unit is in the name of the field that holds it."""

    value: float
    low: float
    high: float
    provenance: Provenance = Provenance.MEASURED

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.low, self.high))):
            raise ValueError(f"an estimate must be finite, found {self.value}, {self.low}, {self.high}")
        slack = 1e-9 * max(1.0, abs(self.value))
        if not self.low - slack <= self.value <= self.high + slack:
            raise ValueError(f"an estimate needs low <= value <= high, found {self.low}, {self.value}, {self.high}")

    @classmethod
    def exact(cls, value: float, provenance: Provenance = Provenance.MEASURED) -> Estimate:
        return cls(value, value, value, provenance)

    def __add__(self, other: Estimate) -> Estimate:
        """Bounds add: errors that share a cause do not cancel, so no root of squares is taken."""
        return Estimate(
            self.value + other.value,
            self.low + other.low,
            self.high + other.high,
            least_trusted((self.provenance, other.provenance)),
        )

    def __mul__(self, factor: float | Estimate) -> Estimate:
        if isinstance(factor, Estimate):
            corners = [a * b for a in (self.low, self.high) for b in (factor.low, factor.high)]
            return Estimate(
                self.value * factor.value,
                min(corners),
                max(corners),
                least_trusted((self.provenance, factor.provenance)),
            )
        ends = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, ends[0], ends[1], self.provenance)


ZERO = Estimate(0.0, 0.0, 0.0)


def total(parts: Iterable[Estimate]) -> Estimate:
    result = ZERO
    for part in parts:
        result += part
    return result
