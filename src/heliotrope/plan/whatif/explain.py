"""What each limit costs: the plan is made again with one limit eased, and the difference is its price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

import msgspec

from heliotrope.errors import Infeasible
from heliotrope.model import PauseBy, Plan, Workload
from heliotrope.plan.single.candidate import Candidate, Latency
from heliotrope.plan.single.place import HORIZON_S, place
from heliotrope.units import show_carbon

EASED_S = 3600.0


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`saves_g`: grams that easing `limit` would save, expected; 0 where it does not bind."""

    limit: str
    eased: str
    saves_g: float
    sentence: str


def explained(
    workload: Workload,
    candidates: Sequence[Candidate],
    *,
    now_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    horizon_s: float = HORIZON_S,
    step_s: int = 300,
    eased: bool = True,
    g_per_eur: float = 0.0,
) -> tuple[Plan, tuple[Price, ...]]:
    """The plan, and a price for each limit the workload states, dearest first; no prices unless `eased`."""

    def plan(asked: Workload, offered: Sequence[Candidate] = candidates) -> Plan:
        return place(
            asked,
            offered,
            now_s=now_s,
            home=home,
            latency_ms=latency_ms,
            horizon_s=horizon_s,
            step_s=step_s,
            g_per_eur=g_per_eur,
        )

    made = plan(workload)
    if not eased:
        return made, ()
    prices = [_price(limit, what, made, partial(plan, other)) for limit, what, other in _easier(workload)]
    prices += [_price(limit, what, made, partial(plan, workload, other)) for limit, what, other in _roomier(candidates)]
    return made, tuple(sorted((p for p in prices if p is not None), key=lambda p: (-p.saves_g, p.limit)))


def _easier(workload: Workload) -> Iterator[tuple[str, str, Workload]]:
    """Each limit alone, a little or wholly lifted."""
    replace = msgspec.structs.replace
    if workload.deadline is not None:
        for hours in (1, 6, 24):
            later = workload.deadline + timedelta(seconds=hours * EASED_S)
            yield "deadline", f"{hours} h later", replace(workload, deadline=later)
    if workload.late is not None:
        yield "lateness", "without a price", replace(workload, late=None)
    if workload.budget.cost is not None:
        yield "budget", "of any size", replace(workload, budget=replace(workload.budget, cost=None))
    if workload.not_before is not None:
        yield "not before", "lifted", replace(workload, not_before=None)
    if workload.sites:
        yield "sites", "any site", replace(workload, sites=())
    if workload.latency is not None:
        yield "latency", "lifted", replace(workload, latency=None)
    if any(need.jurisdictions for need in workload.data):
        free = tuple(replace(need, jurisdictions=()) for need in workload.data)
        yield "jurisdiction", "lifted", replace(workload, data=free)
    if any(need.held_at and need.size_bytes for need in workload.data):
        here = tuple(replace(need, size_bytes=0) for need in workload.data)
        yield "data", "already everywhere", replace(workload, data=here)
    flexibility = workload.flexibility
    if not flexibility.pausable:
        yield (
            "unbroken",
            "pauses free",
            replace(workload, flexibility=replace(flexibility, pausable=True, pause_cost_s=0.0)),
        )
    elif flexibility.pause_cost_s:
        yield "pause cost", "pauses free", replace(workload, flexibility=replace(flexibility, pause_cost_s=0.0))
    if (
        flexibility.pausable
        and flexibility.pause_by is PauseBy.SIGNAL
        and (flexibility.max_width > 1 or flexibility.caps)
    ):
        reshaped = replace(flexibility, pause_by=PauseBy.CHECKPOINT)
        yield "one width", "pauses by checkpoint", replace(workload, flexibility=reshaped)


def _roomier(candidates: Sequence[Candidate]) -> Iterator[tuple[str, str, list[Candidate]]]:
    """Each limit of the sites alone, lifted everywhere."""
    replace = msgspec.structs.replace
    if any(candidate.busy for candidate in candidates):
        yield "capacity", "no other work", [replace(candidate, busy=()) for candidate in candidates]
    if any(candidate.site.power_cap_w is not None for candidate in candidates):
        uncapped = [replace(candidate, site=replace(candidate.site, power_cap_w=None)) for candidate in candidates]
        yield "power", "no cap at any site", uncapped


def _price(limit: str, what: str, made: Plan, plan: Callable[[], Plan]) -> Price | None:
    """None where easing one limit makes room for nothing at all."""
    try:
        eased = plan()
    except Infeasible:
        return None
    saves_g = max(0.0, made.expected.carbon_g - eased.expected.carbon_g)
    if saves_g <= 1e-9 * max(1.0, made.expected.carbon_g):
        return Price(limit, what, 0.0, f"{what} would save nothing")
    share = saves_g / made.expected.carbon_g
    return Price(limit, what, saves_g, f"{what} would save {show_carbon(saves_g)} ({share:.1%})")
