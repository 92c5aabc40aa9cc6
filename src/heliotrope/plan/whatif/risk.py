"""Planning against a bad turn of the forecast: grams expected, weighed with the mean of the worst cases.

CVaR at `alpha` is the mean over the worst 1 - alpha of cases. Forecast errors of neighbouring hours move together;
where they move wholly together the CVaR of a plan is the sum of its hours' CVaRs (comonotone additivity), and for any
other dependence it is at most that (CVaR is subadditive). So every kernel plans on hours raised by their own risk:
exact for errors that move together, and a promise that holds for all others.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from statistics import NormalDist
from typing import Annotated

import msgspec

from heliotrope.model import Outlook, Signal, Slot, Workload
from heliotrope.plan.single.admit import Asked, admit
from heliotrope.plan.single.budget import chosen_by
from heliotrope.plan.single.candidate import Candidate, Latency, check_signals
from heliotrope.plan.single.option import Option
from heliotrope.plan.single.reasons import infeasible
from heliotrope.plan.timeline import timeline

_NORMAL = NormalDist()
_Z95 = _NORMAL.inv_cdf(0.95)  # `low` and `high` of a signal bound 90 %


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weight` 0: only what is expected counts; 1: only the mean of the worst 1 - `alpha` of cases."""

    alpha: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.9
    weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5

    @property
    def spreads(self) -> float:
        """Standard deviations by which an hour counts dearer."""
        return self.weight * _NORMAL.pdf(_NORMAL.inv_cdf(self.alpha)) / (1 - self.alpha)


class Careful(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tail_g`: mean grams of the worst cases, at most; `neutral_g`: expected grams had risk not counted."""

    outlook: Outlook
    slots: tuple[Slot, ...]
    tail_g: float
    neutral_g: float


def careful(
    workload: Workload,
    candidates: Sequence[Candidate],
    risk: Risk,
    *,
    now_s: float,
    horizon_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    step_s: int = 300,
) -> Careful:
    """The plan with the least weighed grams."""
    check_signals(candidates)
    admitted = admit(Asked(workload, candidates, now_s, home, latency_ms, horizon_s, None))
    options = admitted.options
    if not options:
        raise infeasible(workload, admitted.refused)
    pausable = workload.flexibility.pausable
    wary = {name: hedged(option, risk) for name, option in options.items()}
    choice, _ = chosen_by(wary, options, float(step_s), home, pausable=pausable)
    neutral, _ = chosen_by(options, options, float(step_s), home, pausable=pausable)
    worst = hedged(options[choice.option.name], Risk(risk.alpha, 1.0))
    tail_g = choice.moved_g + sum(
        worst.line.integral(leg.start, leg.end) * worst.ways[leg.mode].watts / worst.watts * leg.share
        for leg in choice.legs
    )
    return Careful(choice.outlook(), choice.slots(), tail_g, neutral.outlook().carbon_g)


def hedged(option: Option, risk: Risk) -> Option:
    """The same, each hour dearer by its own upward spread."""
    signal = option.candidate.carbon
    raised = signal.values + risk.spreads * (signal.high - signal.values) / _Z95
    dearer = Signal(signal.kind, signal.zone, signal.start_s, signal.step_s, raised, raised, raised, signal.quality)
    line = timeline(dearer, option.grams_per_s, option.origin_s, option.window.start_s, option.window.end_s)
    made = copy.copy(option)
    made.line = line.without(option.line.busy)
    return made
