"""Where work can run, and on what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from heliotrope.model.estimate import Estimate
from heliotrope.model.workload import NonNegative, Positive


class Tier(StrEnum):
    """Edge nodes answer, regional clusters fine-tune, central machines train."""

    EDGE = "edge"
    REGIONAL = "regional"
    CENTRAL = "central"


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Degrees; north and east positive."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` alike accelerators or hosts. Power at zero and full load; embodied carbon of one, cradle to gate."""

    id: str
    model: str
    kind: str = "cpu"
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    idle_w: NonNegative = 0.0
    max_w: Positive = 1.0
    embodied_g: Estimate | None = None
    lifetime_s: Positive = 4 * 365 * 86_400.0
    used_s: NonNegative = 0.0


class Cooling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PUE: site energy over IT energy, 1 or more. WUE: litres of site water per kWh of IT energy."""

    pue: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    pue_low: Annotated[float, msgspec.Meta(ge=1)] | None = None
    pue_high: Annotated[float, msgspec.Meta(ge=1)] | None = None
    wue_l_per_kwh: NonNegative = 0.0
    heat_reuse_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    source: str = "assumed"


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to another site; `power_w_per_bps` is marginal, for placing, not for reporting."""

    to: str
    latency_ms: NonNegative
    bandwidth_bps: Positive = 1e9
    power_w_per_bps: NonNegative = 3e-8


class Lending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What share of the site others may use, and who."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    organisations: tuple[str, ...] = ()


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`emulated`: stands in for a far site but runs on this machine; every record of it says so."""

    name: str
    zone: str
    tier: Tier = Tier.REGIONAL
    country: str = ""
    jurisdiction: str = ""
    place: Place | None = None
    engine: str = "local"
    engine_options: dict[str, str | bool | int | float] = msgspec.field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    cooling: Cooling = Cooling()
    links: tuple[Link, ...] = ()
    lending: Lending = Lending()
    capacity: Annotated[int, msgspec.Meta(ge=0)] = 1
    power_cap_w: Positive | None = None
    price_eur_per_mwh: NonNegative | None = None
    emulated: bool = False
