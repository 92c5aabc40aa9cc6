"""The best site and time for one workload: exact on the signals given, with what the alternatives would have cost."""

from __future__ import annotations

from collections.abc import Sequence

from heliotrope.errors import InvalidInput
from heliotrope.model import PauseBy, Plan, Workload
from heliotrope.plan.single import ways
from heliotrope.plan.single.admit import Admitted, Asked, admit
from heliotrope.plan.single.best import best, best_by_site
from heliotrope.plan.single.budget import affordable
from heliotrope.plan.single.candidate import Candidate, Latency, Progress, check_signals
from heliotrope.plan.single.journey import journey
from heliotrope.plan.single.reasons import alternatives, infeasible, over_carbon
from heliotrope.plan.single.tiers import DEFAULT, by_tier
from heliotrope.units import from_epoch, show_duration

HORIZON_S = 96 * 3600.0


def place(
    workload: Workload,
    candidates: Sequence[Candidate],
    *,
    now_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    horizon_s: float = HORIZON_S,
    step_s: int = 300,
    ready: Progress | None = None,
    g_per_eur: float = 0.0,
    moves: bool = False,
) -> Plan:
    """Least operational carbon among all admissible (site, time); ties go to the earliest finish, home, then name.

    `step_s`: work that pauses is cut no finer than this. `home`: where it would have run at once; without one the
    first admissible candidate. `ready`: the work is under way and this much is left. `g_per_eur`: what lateness in EUR
    counts. `moves`: who carries the plan out can move work under way, if it pauses by checkpoint and is movable.
    Raises Infeasible, which names the limits that clash and the smallest change that would do.
    """
    check_signals(candidates)
    asked = Asked(workload, candidates, now_s, home, latency_ms, horizon_s, ready, g_per_eur)
    if not asked.work_s > 0:
        raise InvalidInput("there is no work left to plan", field="remaining_s", found=asked.work_s, allowed="above 0")
    admitted = admit(asked)
    if not admitted.options:
        raise infeasible(workload, admitted.refused)
    flexible = workload.flexibility.pausable and workload.flexibility.movable
    flexible &= workload.flexibility.pause_by is PauseBy.CHECKPOINT and len(asked.phases) == 1
    return _plan(asked, admitted, float(step_s), moves=moves and flexible and len(admitted.options) > 1)


def _plan(asked: Asked, admitted: Admitted, step_s: float, *, moves: bool) -> Plan:
    options, flags = admitted.options, admitted.flags
    pausable = asked.workload.flexibility.pausable
    choices = best_by_site(options, step_s, pausable=pausable)
    usual = DEFAULT.get(asked.workload.kind)
    winner = best(choices, asked.home, usual)
    now = {name: ways.at_once(option) for name, option in options.items()}
    base = now[asked.home if asked.home in now else next(iter(now))]
    floor = min(choice.floor for choice in choices.values())
    budget = asked.workload.budget
    if budget.cost is not None and winner.outlook().cost > budget.cost:
        winner, floor = affordable(options, step_s, asked.home, budget.cost, pausable=pausable)
        flags.append(f"the budget of {budget.cost:g} EUR binds")
    elif pausable and winner.option.candidate.carbon.step_s < step_s:
        floor = min(map(ways.floor, options.values()))
        flags.append(f"steps of the signal shorter than {show_duration(step_s)} were merged to place pauses")
    if moves and budget.cost is None:
        moving, least = journey(asked, options, step_s, winner.score)
        winner, floor = moving or winner, min(floor, least)
    expected = winner.outlook()
    if budget.carbon_g is not None and expected.carbon_g > budget.carbon_g:
        raise over_carbon(budget.carbon_g, expected.carbon_g)
    bound_g = expected.carbon_g - max(0.0, winner.score - floor)
    return Plan(
        workload=asked.workload.id,
        made_at=from_epoch(asked.now_s),
        slots=winner.slots(),
        expected=expected,
        run_now=base.outlook(),
        alternatives=(
            *alternatives(winner, choices, now, base, admitted.refused, stays=best(choices, asked.home, usual)),
            *by_tier(asked, winner, choices, admitted.refused),
        ),
        bound_g=bound_g,
        gap=(expected.carbon_g - bound_g) / bound_g if bound_g > 0 else 0.0,
        signal_kind=str(asked.candidates[0].carbon.kind),
        signal_sources=tuple(dict.fromkeys(c.carbon.quality.source for c in asked.candidates)),
        flags=tuple(dict.fromkeys(flags)),
    )
