"""What a run cost the world, and by which factors."""

from __future__ import annotations

from typing import Protocol

import msgspec

from heliotrope.model.estimate import ZERO, Estimate


class Sourced(Protocol):
    """A row of `facts`, seen from a floor that does not know that room."""

    @property
    def table(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> float: ...

    @property
    def unit(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def year(self) -> int: ...

    @property
    def source(self) -> str: ...

    @property
    def licence(self) -> str: ...


class Factor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sourced constant or the digest of a signal that made a number."""

    name: str
    value: float
    unit: str
    kind: str
    source: str
    licence: str = ""
    year: int | None = None

    @classmethod
    def of(cls, fact: Sourced) -> Factor:
        return cls(f"{fact.table}/{fact.name}", fact.value, fact.unit, fact.kind, fact.source, fact.licence, fact.year)


class Hour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Energy of one signal step and the intensity it met; the sum of these is the operational carbon."""

    start_s: int
    energy_j: float
    intensity_g_per_kwh: float


class Footprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """IT energy in `energy_j`; `facility_energy_j` has the PUE in it and is what carbon counts."""

    energy_j: Estimate
    facility_energy_j: Estimate
    carbon_operational_g: Estimate
    carbon_embodied_g: Estimate
    water_l: Estimate
    cost: Estimate
    currency: str = "EUR"
    heat_reused_j: Estimate = ZERO
    hours: tuple[Hour, ...] = ()
    factors: tuple[Factor, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def carbon_g(self) -> Estimate:
        return self.carbon_operational_g + self.carbon_embodied_g
