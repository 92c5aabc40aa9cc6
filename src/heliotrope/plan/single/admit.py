"""Which sites may have the work, with what window, room and ways to run; and what refuses the others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import PauseBy, Workload
from heliotrope.plan.shape.contiguous import Due
from heliotrope.plan.shape.modes import modes
from heliotrope.plan.shape.unsure import Phases, phases
from heliotrope.plan.single.candidate import (
    Candidate,
    Latency,
    Progress,
    Refusal,
    linked,
    power_w,
    refusals,
    transfer,
    unit_slip,
)
from heliotrope.plan.single.option import Option, no_room, too_short, window_of
from heliotrope.units import S_PER_HOUR


class Asked(msgspec.Struct, frozen=True):
    """One question to the planner. `g_per_eur`: grams that a EUR counts as."""

    workload: Workload
    candidates: Sequence[Candidate]
    now_s: float
    home: str
    latency_ms: Latency | None
    horizon_s: float
    ready: Progress | None
    g_per_eur: float = 0.0

    @property
    def work_s(self) -> float:
        return self.workload.length.expected_s if self.ready is None else self.ready.remaining_s

    @property
    def phases(self) -> Phases:
        """Of a length that is not known: the longest case, with the chances of the shorter ones."""
        length, done_s = self.workload.length, 0.0 if self.ready is None else self.ready.done_s
        known = length.low_s == length.high_s or (self.ready is not None and not 0 < done_s < length.high_s)
        return ((self.work_s, 1.0),) if known else phases(length, done_s)


class Admitted(msgspec.Struct, frozen=True):
    """Options in the order given, refusals by site, flags."""

    options: dict[str, Option] = msgspec.field(default_factory=dict)
    refused: dict[str, list[Refusal]] = msgspec.field(default_factory=dict)
    flags: list[str] = msgspec.field(default_factory=list)


def admit(asked: Asked) -> Admitted:
    """Every candidate, asked for once."""
    found = Admitted()
    due = _due(asked)
    latency = asked.latency_ms or linked(asked.candidates)
    for candidate in asked.candidates:
        name = candidate.site.name
        if name in found.options or name in found.refused:
            raise InvalidInput("two candidates are one site", field="candidates", found=name)
        option = _option(asked, candidate, latency, due, found.flags)
        if isinstance(option, Option):
            found.options[name] = option
        else:
            found.refused[name] = option
    return found


def _option(
    asked: Asked, candidate: Candidate, latency: Latency, due: Due | None, flags: list[str]
) -> Option | list[Refusal]:
    workload, ready, name = asked.workload, asked.ready, candidate.site.name
    flexibility = workload.flexibility
    watts, stated = power_w(workload, candidate)
    if not candidate.caps and flexibility.caps:
        flexibility = msgspec.structs.replace(flexibility, caps=())
    ways = modes(flexibility, candidate.site, workload.resources.devices, watts)
    moving = transfer(workload, candidate.site, asked.candidates, asked.home, ready)
    against = refusals(workload, candidate, min(way.watts for way in ways), latency, ready)
    window = window_of(workload, candidate, asked.now_s, asked.horizon_s, moving, ready)
    running = ready is not None and ready.running and ready.site in {"", name}
    first_s = 0.0 if ready is None or running else flexibility.pause_cost_s

    def fitted(work: Phases) -> Option | Refusal:
        needs_s = sum(seconds for seconds, _ in work) / max(way.speed for way in ways) + first_s
        short = too_short(window, needs_s, workload)
        if short:
            return short
        option = Option(
            candidate,
            ways,
            window,
            asked.now_s,
            moving,
            phases=work,
            first_s=first_s,
            pause_s=flexibility.pause_cost_s,
            running=running,
            due=due,
            reshapes=flexibility.pause_by is PauseBy.CHECKPOINT,
        )
        return no_room(option, flexibility) or option

    option = fitted(asked.phases)
    if isinstance(option, Refusal) and len(asked.phases) > 1:
        option = fitted(((asked.work_s, 1.0),))
        flags.append(f"{name}: may end after the {window.end_by} if it takes longer than expected")
    if isinstance(option, Refusal):
        return [*against, option]
    if against:
        return against
    flags += [f"power assumed: {watts:.0f} W"] if not stated else []
    flags += [f"{name}: link assumed for moving data"] if moving.assumed else []
    flags += [f"{name}: {flag}" for flag in candidate.carbon.quality.flags]
    slip = unit_slip(candidate.carbon)
    flags += [f"{name}: {slip}"] if slip else []
    return option


def _due(asked: Asked) -> Due | None:
    """Seconds after planning, and grams a second."""
    late = asked.workload.late
    if late is None:
        return None
    if late.cost_per_h and asked.g_per_eur <= 0:
        raise InvalidInput(
            "lateness in EUR needs to know what a EUR is worth in grams",
            field="late.cost_per_h",
            found=late.cost_per_h,
            hint="say g_per_eur, or state the lateness in grams an hour",
        )
    return late.due.timestamp() - asked.now_s, (late.g_per_h + late.cost_per_h * asked.g_per_eur) / S_PER_HOUR
