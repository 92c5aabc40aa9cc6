"""When, where, how wide, at what power; why; and how far from the best possible."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heliotrope.model.workload import Aware, Positive


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs at `site` over [start, end) at `width`; `power_cap_w` is a whole-slot cap, None for none."""

    site: str
    start: Aware
    end: Aware
    width: Annotated[int, msgspec.Meta(ge=1)] = 1
    power_cap_w: Positive | None = None


class Outlook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What following a plan is expected to cost; carbon is operational (embodied is sunk and does not place)."""

    energy_j: float
    carbon_g: float
    carbon_low_g: float
    carbon_high_g: float
    cost: float
    finish: Aware


class Alternative(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan that lost: `more_carbon_g` is what it would add; `reason` is a sentence."""

    name: str
    outlook: Outlook | None
    more_carbon_g: float | None
    reason: str


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`bound_g`: no plan on these signals can be below it; `gap` = (expected - bound) / bound."""

    workload: str
    made_at: Aware
    slots: tuple[Slot, ...]
    expected: Outlook
    run_now: Outlook
    alternatives: tuple[Alternative, ...]
    bound_g: float
    gap: float
    signal_kind: str
    signal_sources: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
