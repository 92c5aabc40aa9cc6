"""Energy over an interval, from one meter."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heliotrope.model.estimate import Estimate
from heliotrope.model.provenance import Provenance

TRANSFER = "network"  # the domain of what carrying a state between sites took


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Joules used over [start_s, end_s) by `domain` (package, dram, gpu0, host …); `error_j` is one standard error."""

    meter: str
    domain: str
    start_s: float
    end_s: float
    energy_j: Annotated[float, msgspec.Meta(ge=0)]
    error_j: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    provenance: Provenance = Provenance.MEASURED
    flags: tuple[str, ...] = ()


class MeterTotal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one meter's domain added up to."""

    name: str
    domain: str
    provenance: Provenance
    energy_j: float


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All readings of one window; `energy_j` counts no overlap twice."""

    name: str
    start_s: float
    end_s: float
    duration_s: float
    energy_j: Estimate
    meters: tuple[MeterTotal, ...] = ()
    readings: tuple[Reading, ...] = ()
    flags: tuple[str, ...] = ()
    journal: str | None = None
