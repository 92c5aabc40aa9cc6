"""Of all sites the best: each site's own best way, as far as it can still win."""

from __future__ import annotations

from heliotrope.model import Tier
from heliotrope.plan.shape.contiguous import TIE
from heliotrope.plan.single import ways
from heliotrope.plan.single.choice import Choice
from heliotrope.plan.single.option import Option


def best_by_site(options: dict[str, Option], step_s: float, *, pausable: bool) -> dict[str, Choice]:
    """Each site's best. Sites whose bound cannot beat the best so far are left at their bound."""
    if not pausable:
        return {name: ways.unbroken(option) for name, option in options.items()}
    floors = {name: ways.floor(option) for name, option in options.items()}
    choices: dict[str, Choice] = {}
    least = float("inf")
    for name in sorted(options, key=lambda n: (floors[n], n)):
        option = options[name]
        limit = least + TIE * max(1.0, abs(least))
        found = ways.paused(option, step_s, limit) if floors[name] <= limit else None
        # Without one it was proven that this site cannot be below the best; its own best lies at least there.
        choices[name] = found or Choice.at_least(option, max(floors[name], least))
        least = min(least, choices[name].score)
    return choices


def best(choices: dict[str, Choice], home: str, usual: Tier | None = None) -> Choice:
    """`usual`: the tier that this kind of work goes to where nothing else decides."""
    exact = [choice for choice in choices.values() if choice.exact]
    least = min(choice.score for choice in exact)
    tied = [c for c in exact if c.score <= least + TIE * max(1.0, abs(least))]
    return min(tied, key=lambda c: (c.finish, _tier(c) is not usual, c.option.name != home, c.option.name))


def _tier(choice: Choice) -> Tier:
    return choice.option.candidate.site.tier
