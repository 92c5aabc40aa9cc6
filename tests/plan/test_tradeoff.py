"""Grams, money and time: a front that nothing beats, and budgets that hold."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import Infeasible
from heliotrope.model import PRICE, Flexibility
from heliotrope.model.workload import Budget
from heliotrope.plan import place
from heliotrope.plan.whatif.front import front

HOURS = 14
carbon = st.lists(st.integers(10, 900), min_size=HOURS, max_size=HOURS)
money = st.lists(st.integers(5, 300), min_size=HOURS, max_size=HOURS)


def priced(world, grams, euros, **more):
    return world.candidate(grams, price=world.signal(euros, kind=PRICE), **more)


def told(world):
    return {"now_s": world.now, "home": "home", "horizon_s": HOURS * 3600.0}


@given(carbon, money, st.integers(1, 6), st.booleans())
@settings(max_examples=40)
def test_no_point_beats_another_and_the_ends_are_the_best_of_each(world, grams, euros, hours, pausable):
    work = world.work(hours, flexibility=Flexibility(pausable=pausable))
    site = priced(world, grams, euros)
    points = front(work, [site], **told(world))
    values = [(p.outlook.carbon_g, p.outlook.cost, p.outlook.finish.timestamp()) for p in points]
    for a, b in itertools.permutations(values, 2):
        assert not all(x <= y for x, y in zip(a, b, strict=True))
    plan = place(work, [site], **told(world))
    assert min(v[0] for v in values) == pytest.approx(plan.expected.carbon_g, rel=1e-6)
    costs = np.array(euros, dtype=float) * 1.2 / 1000
    cheapest = (
        np.sort(costs)[:hours].sum() if pausable else min(costs[k : k + hours].sum() for k in range(HOURS - hours + 1))
    )
    assert min(v[1] for v in values) == pytest.approx(cheapest, rel=1e-6)
    assert values[0][2] == pytest.approx(world.now + hours * 3600, abs=1.0)


@given(carbon, money, st.integers(1, 6), st.floats(0, 1), st.booleans())
@settings(max_examples=40)
def test_a_budget_holds_and_its_bound_is_one(world, grams, euros, hours, where, pausable):
    site = priced(world, grams, euros)
    work = world.work(hours, flexibility=Flexibility(pausable=pausable))
    points = front(work, [site], **told(world))
    low, high = (f(p.outlook.cost for p in points) for f in (min, max))
    budget = low + where * (high - low) + 1e-9
    plan = place(msgspec.structs.replace(work, budget=Budget(cost=budget)), [site], **told(world))
    assert plan.expected.cost <= budget * (1 + 1e-6)
    within = [p.outlook.carbon_g for p in points if p.outlook.cost <= budget]
    assert plan.bound_g <= min(within) * (1 + 1e-6)
    assert plan.bound_g <= plan.expected.carbon_g * (1 + 1e-9)


def test_budgets_that_cannot_hold_say_what_would(world):
    site = priced(world, [100] * HOURS, [50] * HOURS)
    with pytest.raises(Infeasible, match="EUR") as refused:
        place(world.work(2, budget=Budget(cost=0.01)), [site], **told(world))
    assert "0.12 EUR would do" in refused.value.hint
    with pytest.raises(Infeasible, match="keeps within 1"):
        place(world.work(2, budget=Budget(carbon_g=1.0)), [site], **told(world))


def test_average_and_marginal_never_share_a_front(world):
    from heliotrope.errors import SignalMismatch
    from heliotrope.model import SignalKind

    marginal = world.signal([100] * HOURS, kind=SignalKind.parse("carbon/marginal/direct"))
    other = msgspec.structs.replace(world.candidate([100] * HOURS, "other"), carbon=marginal)
    with pytest.raises(SignalMismatch):
        front(world.work(1), [world.candidate([100] * HOURS), other], **told(world))
