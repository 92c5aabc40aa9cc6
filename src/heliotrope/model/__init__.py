"""The vocabulary that every room speaks: a dozen nouns as frozen structs. Imports nothing but the ground floor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heliotrope.model.estimate import ZERO, Estimate, total
    from heliotrope.model.footprint import Factor, Footprint, Hour
    from heliotrope.model.plan import Alternative, Outlook, Plan, Slot
    from heliotrope.model.provenance import Provenance, least_trusted
    from heliotrope.model.reading import TRANSFER, Measurement, MeterTotal, Reading
    from heliotrope.model.run import Run, RunState
    from heliotrope.model.signal import (
        CARBON,
        CARBON_FREE,
        CARBON_PRICE,
        LOAD,
        PRICE,
        SOLAR_POWER,
        WATER,
        WIND_POWER,
        Basis,
        Frame,
        Quality,
        QualityKind,
        Quantity,
        Scope,
        Signal,
        SignalKind,
    )
    from heliotrope.model.site import Cooling, Device, Lending, Link, Place, Site, Tier
    from heliotrope.model.workload import (
        Budget,
        DataNeed,
        Flexibility,
        LatencyBound,
        Lateness,
        Length,
        PauseBy,
        PowerCap,
        Resources,
        Workload,
        WorkloadKind,
    )

__all__ = [
    "CARBON",
    "CARBON_FREE",
    "CARBON_PRICE",
    "LOAD",
    "PRICE",
    "SOLAR_POWER",
    "TRANSFER",
    "WATER",
    "WIND_POWER",
    "ZERO",
    "Alternative",
    "Basis",
    "Budget",
    "Cooling",
    "DataNeed",
    "Device",
    "Estimate",
    "Factor",
    "Flexibility",
    "Footprint",
    "Frame",
    "Hour",
    "LatencyBound",
    "Lateness",
    "Lending",
    "Length",
    "Link",
    "Measurement",
    "MeterTotal",
    "Outlook",
    "PauseBy",
    "Place",
    "Plan",
    "PowerCap",
    "Provenance",
    "Quality",
    "QualityKind",
    "Quantity",
    "Reading",
    "Resources",
    "Run",
    "RunState",
    "Scope",
    "Signal",
    "SignalKind",
    "Site",
    "Slot",
    "Tier",
    "Workload",
    "WorkloadKind",
    "least_trusted",
    "total",
]

_MODULES = ("provenance", "estimate", "reading", "signal", "footprint", "workload", "site", "plan", "run")


def __getattr__(name: str) -> Any:
    """Each noun loads when first spoken: who only measures does not wait for plans and sites."""
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
