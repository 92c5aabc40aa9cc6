"""`heliotrope.plan(...)`: planning for people who hold a length and some signals, not structs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from heliotrope.model import Flexibility, Length, Plan, Resources, Signal, Site, Workload, WorkloadKind
from heliotrope.plan.single.candidate import Candidate
from heliotrope.plan.single.place import place
from heliotrope.units import from_epoch, parse_duration_s


def plan(
    length: str | float,
    signals: Iterable[Signal],
    *,
    within: str | float | None = None,
    now: datetime | None = None,
    power_w: float | None = None,
    pausable: bool = False,
    pause_cost_s: float = 0.0,
) -> Plan:
    """When and in which signal's zone to run `length` ("2h", or seconds) of work, done `within` ("24h") from now.

    Each signal's zone counts as a site of that name with no overhead (PUE 1); for real sites call `plan.place`.
    """
    now_s = (now or datetime.now(UTC)).timestamp()
    limit_s = None if within is None else _seconds(within, "within")
    workload = Workload(
        id="plan",
        kind=WorkloadKind.BATCH,
        command=("-",),
        submitted_at=from_epoch(now_s),
        length=Length.known(_seconds(length, "length")),
        resources=Resources(power_w=power_w),
        flexibility=Flexibility(pausable=pausable, pause_cost_s=pause_cost_s),
        deadline=None if limit_s is None else from_epoch(now_s + limit_s),
    )
    return place(workload, [Candidate(Site(name=s.zone, zone=s.zone), s) for s in signals], now_s=now_s)


def _seconds(value: str | float, field: str) -> float:
    return parse_duration_s(value, field=field) if isinstance(value, str) else float(value)
