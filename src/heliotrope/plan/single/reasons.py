"""Why: the alternatives that lost and by how much, and when nothing will do, what clashes and what would."""

from __future__ import annotations

from collections.abc import Mapping

from heliotrope.errors import Infeasible
from heliotrope.model import Alternative, Workload
from heliotrope.plan.single.candidate import Refusal
from heliotrope.plan.single.choice import Choice
from heliotrope.plan.single.ways import unbroken
from heliotrope.units import show_carbon, show_duration


def alternatives(
    winner: Choice,
    choices: Mapping[str, Choice],
    at_once: Mapping[str, Choice],
    base: Choice,
    refused: Mapping[str, list[Refusal]],
    *,
    stays: Choice,
) -> tuple[Alternative, ...]:
    """In the order a person asks: now, now elsewhere, later at home, unbroken, every other site, and who may not."""
    found = [_lost("run-now", base, winner, f"at once at {base.option.name}")]
    soonest = min(at_once.values(), key=lambda c: (c.score, c.option.name))
    if soonest.option.name != base.option.name:
        found.append(_lost("now-elsewhere", soonest, winner, f"at once, but at {soonest.option.name}"))
    home = choices[base.option.name]
    if home.option.name != winner.option.name:
        found.append(_lost("home-best", home, winner, f"the best time at {home.option.name}"))
    if len({leg.option.name for leg in winner.legs}) > 1:
        found.append(_lost("stay", stays, winner, f"all of it at {stays.option.name}"))
    elif len(winner.pieces) > 1 and winner.option.fits(winner.option.fastest):
        option = winner.option
        whole = unbroken(option)
        found.append(_lost("unbroken", whole, winner, f"at {option.name} without a pause"))
    others = [c for c in choices.values() if c.option.name not in {winner.option.name, home.option.name}]
    for choice in sorted(others, key=lambda c: (c.score, c.option.name)):
        found.append(_lost(f"site:{choice.option.name}", choice, winner, f"the best time at {choice.option.name}"))
    found += [
        Alternative(f"refused:{name}", None, None, "; ".join(refusal.reason for refusal in reasons))
        for name, reasons in refused.items()
    ]
    return tuple(found)


def _lost(name: str, choice: Choice, winner: Choice, what: str) -> Alternative:
    more_g = choice.score - winner.score
    if not choice.exact:
        return Alternative(name, None, more_g, f"{what} would add at least {show_carbon(more_g)}")
    outlook = choice.outlook()
    if more_g < -1e-9 * abs(winner.score):
        return Alternative(
            name, outlook, more_g, f"{what} would save {show_carbon(-more_g)}, but not within the budget"
        )
    if more_g <= 0:
        return Alternative(name, outlook, more_g, f"{what} is the same")
    earlier_s = winner.finish - choice.finish
    when = f", done {show_duration(abs(earlier_s))} {'earlier' if earlier_s > 0 else 'later'}" if earlier_s else ""
    return Alternative(name, outlook, more_g, f"{what} would add {show_carbon(more_g)}{when}")


def infeasible(workload: Workload, refused: Mapping[str, list[Refusal]]) -> Infeasible:
    """Every site's limits, and the site that needs the fewest and gentlest of them lifted."""
    clash = "; ".join(f"{name}: {', '.join(r.reason for r in reasons)}" for name, reasons in refused.items())
    # A later deadline is easier to grant than other hardware, other law or another site.
    gentle = ("deadline", "horizon", "signal", "sites", "latency", "capacity", "power")
    order = {limit: i for i, limit in enumerate(gentle)}

    def effort(name: str) -> tuple[int, int, float, str]:
        reasons = refused[name]
        worst = max(order.get(r.limit, len(order)) for r in reasons)
        return len(reasons), worst, sum(r.size for r in reasons), name

    nearest_site = min(refused, key=effort)
    relax = " and ".join(refusal.relax for refusal in refused[nearest_site])
    return Infeasible(
        f"no plan meets every limit of {workload.id}", cause=clash, hint=f"{relax} would do (at {nearest_site})"
    )


def over_carbon(budget_g: float, least_g: float) -> Infeasible:
    """No plan within the other limits emits as little as asked."""
    return Infeasible(
        f"no plan keeps within {show_carbon(budget_g)}",
        cause=f"the best within every other limit emits {show_carbon(least_g)}",
        hint=f"a budget of {show_carbon(least_g)} would do; `helio plan --explain` says what each limit costs",
    )


def over_cost(budget_eur: float, least_eur: float) -> Infeasible:
    """No plan within the other limits is as cheap as asked."""
    return Infeasible(
        f"no plan keeps within {budget_eur:g} EUR",
        cause=f"the cheapest within every other limit costs {least_eur:.4g} EUR",
        hint=f"a budget of {least_eur:.4g} EUR would do",
    )
