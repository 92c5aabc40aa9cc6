"""The vocabulary that every room speaks: a dozen nouns as frozen structs. Imports nothing but the ground floor."""

from heliotrope.model.estimate import ZERO, Estimate, Provenance, least_trusted, total
from heliotrope.model.footprint import Factor, Footprint, Hour
from heliotrope.model.plan import Alternative, Outlook, Plan, Slot
from heliotrope.model.reading import Measurement, MeterTotal, Reading
from heliotrope.model.run import Run, RunState
from heliotrope.model.signal import (
    CARBON,
    PRICE,
    WATER,
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
    Length,
    PauseBy,
    Resources,
    Workload,
    WorkloadKind,
)

__all__ = [
    "CARBON",
    "PRICE",
    "WATER",
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
    "Lending",
    "Length",
    "Link",
    "Measurement",
    "MeterTotal",
    "Outlook",
    "PauseBy",
    "Place",
    "Plan",
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
