"""The least grams within a budget of money: each EUR counts as grams, and the worth of a EUR is searched."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np

from heliotrope.plan.single.best import best, best_by_site
from heliotrope.plan.single.choice import Choice, Leg
from heliotrope.plan.single.option import ASSUMED_PRICE_EUR_PER_MWH, Option
from heliotrope.plan.single.reasons import over_cost
from heliotrope.plan.timeline import timeline
from heliotrope.units import J_PER_KWH

HALVINGS = 40
# Grams a EUR counts as where only money counts: a EUR buys kilowatt-hours, a kilowatt-hour is kilograms at most.
MONEY_ALONE = 1e9


def weighed(option: Option, g_per_eur: float) -> Option:
    """The same with each EUR of its energy counted as so many grams."""
    site, price = option.candidate.site, option.candidate.price
    eur_per_unit = option.watts * site.cooling.pue / J_PER_KWH / 1000  # EUR/s for each EUR/MWh
    line = option.line
    if price is None:
        stated = ASSUMED_PRICE_EUR_PER_MWH if site.price_eur_per_mwh is None else site.price_eur_per_mwh
        dearer = line.raised(g_per_eur * stated * eur_per_unit)
    else:
        money = timeline(
            price, g_per_eur * eur_per_unit, option.origin_s, option.origin_s + line.start, option.origin_s + line.end
        )
        dearer = line.plus(money)
    made = copy.copy(option)
    made.line = dearer
    return made


def affordable(
    options: Mapping[str, Option], step_s: float, home: str, budget_eur: float, *, pausable: bool
) -> tuple[Choice, float]:
    """The least grams found within the budget, and a bound by the best price of a EUR. Raises Infeasible."""
    cheapest = at_worth(options, MONEY_ALONE, step_s, home, pausable=pausable)[0]
    if cheapest.outlook().cost > budget_eur * (1 + 1e-9):
        raise over_cost(budget_eur, cheapest.outlook().cost)
    low, high, found, floor = 1e-6, MONEY_ALONE, cheapest, -np.inf
    for _ in range(HALVINGS):
        worth = float(np.sqrt(low * high))
        choice, score = at_worth(options, worth, step_s, home, pausable=pausable)
        floor = max(floor, score - worth * budget_eur)
        if choice.outlook().cost <= budget_eur:
            high = worth
            found = min(found, choice, key=lambda c: c.score)
        else:
            low = worth
        if high / low < 1.001:
            break
    return found, min(floor, found.score)


def at_worth(
    options: Mapping[str, Option], g_per_eur: float, step_s: float, home: str, *, pausable: bool
) -> tuple[Choice, float]:
    """The best at that worth of a EUR, in grams again, and no less than what any plan scores at it."""
    dearer = {name: weighed(option, g_per_eur) for name, option in options.items()}
    return chosen_by(dearer, options, step_s, home, pausable=pausable)


def chosen_by(
    changed: Mapping[str, Option], options: Mapping[str, Option], step_s: float, home: str, *, pausable: bool
) -> tuple[Choice, float]:
    """The best by `changed` lines, told on the true ones; and what no plan scores less than on the changed."""
    choices = best_by_site(dict(changed), step_s, pausable=pausable)
    found = best(choices, home)
    option = options[found.option.name]
    legs = [Leg(option, leg.start, leg.end, leg.mode) for leg in found.legs]
    return Choice.of(option, legs), min(choice.floor for choice in choices.values())
