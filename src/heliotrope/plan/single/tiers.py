"""Three tiers: where a kind of work goes by default, what overruled that, and what the cloud alone would take."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from heliotrope.model import Alternative, Tier, WorkloadKind
from heliotrope.plan.single.admit import Asked
from heliotrope.plan.single.candidate import Progress, Refusal, Transfer, transfer
from heliotrope.plan.single.choice import Choice
from heliotrope.units import show_bytes, show_carbon, show_energy

# Edge nodes answer, regional clusters fine-tune, central machines train; other kinds are at home on any.
DEFAULT = {
    WorkloadKind.INFER: Tier.EDGE,
    WorkloadKind.FINETUNE: Tier.REGIONAL,
    WorkloadKind.TRAIN: Tier.CENTRAL,
}


def by_tier(
    asked: Asked, winner: Choice, choices: Mapping[str, Choice], refused: Mapping[str, Sequence[Refusal]]
) -> tuple[Alternative, ...]:
    """The tier that the kind of work goes to by default, where it went elsewhere; and all of it in the cloud."""
    tiers = {candidate.site.name: candidate.site.tier for candidate in asked.candidates}
    if len(set(tiers.values())) < 2:
        return ()
    default = DEFAULT.get(asked.workload.kind)
    found = []
    if default is not None and tiers[winner.option.name] is not default:
        what = f"{asked.workload.kind} goes to {default} sites by default"
        found.append(_told(f"tier:{default}", what, default, asked, winner, choices, refused))
    found.append(_told("cloud-only", "in the cloud alone", Tier.CENTRAL, asked, winner, choices, refused))
    return tuple(found)


def _told(
    name: str,
    what: str,
    tier: Tier,
    asked: Asked,
    winner: Choice,
    choices: Mapping[str, Choice],
    refused: Mapping[str, Sequence[Refusal]],
) -> Alternative:
    """Grams, and bytes and joules on the way, against those of the plan."""
    sites = [candidate.site.name for candidate in asked.candidates if candidate.site.tier is tier]
    admitted = [choices[site] for site in sites if site in choices]
    if not admitted:
        limits = "; ".join(f"{site}: {', '.join(r.reason for r in refused.get(site, ()))}" for site in sites)
        return Alternative(name, None, None, f"{what}, but {limits or f'there is no {tier} site'}")
    best = min(admitted, key=lambda choice: (choice.score, not choice.exact, choice.option.name))
    more_g = best.score - winner.score
    there, here = best.option.moving, _moved(asked, winner)
    carried = (
        f"{show_bytes(there.size_bytes)} and {show_energy(there.energy_j)} on the way instead of "
        f"{show_bytes(here.size_bytes)} and {show_energy(here.energy_j)}"
    )
    if best.option.name == winner.option.name and len(_sites(winner)) == 1:
        return Alternative(name, winner.outlook(), 0.0, f"{what}: it is, at {best.option.name}")
    least = "" if best.exact else "at least "
    grams = f"would add {least}{show_carbon(more_g)}" if more_g > 0 else f"would save {show_carbon(-more_g)}"
    outlook = best.outlook() if best.exact else None
    return Alternative(name, outlook, more_g, f"{what}: at {best.option.name} it {grams}, with {carried}")


def _sites(choice: Choice) -> list[str]:
    """One after another."""
    return [name for name, _ in itertools.groupby(leg.option.name for leg in choice.legs)]


def _moved(asked: Asked, choice: Choice) -> Transfer:
    """Of the whole plan: getting there first, and from site to site after that."""
    ready, seconds, energy_j, size_bytes = asked.ready, 0.0, 0.0, 0
    sites = {leg.option.name: leg.option.candidate.site for leg in choice.legs}
    for name in _sites(choice):
        way = transfer(asked.workload, sites[name], asked.candidates, asked.home, ready)
        seconds, energy_j, size_bytes = seconds + way.seconds, energy_j + way.energy_j, size_bytes + way.size_bytes
        ready = Progress(asked.work_s, name)
    return Transfer(seconds, energy_j, size_bytes=size_bytes)
