"""Moving while under way: taken when it pays for its carriage, and never otherwise."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.model import Flexibility, Link, PauseBy
from heliotrope.plan import place

HOURS = 10
values = st.lists(st.integers(1, 900), min_size=HOURS, max_size=HOURS)


def sites(world, a, b, *, watts_per_bps=3e-8):
    links = (Link("b", 10.0, 1e9, watts_per_bps),)
    return [world.candidate(a, "a", links=links), world.candidate(b, "b")]


def moving(pause_s=0.0, size=0):
    return Flexibility(pausable=True, pause_cost_s=pause_s, pause_by=PauseBy.CHECKPOINT, movable=True, move_bytes=size)


@given(values, values, st.integers(1, HOURS), st.sampled_from([0.0, 60.0, 1200.0]), st.sampled_from([0, 10**11]))
@settings(max_examples=50)
def test_moving_is_a_freedom_and_its_grams_are_true(world, a, b, hours, pause_s, size):
    told = {"now_s": world.now, "home": "a", "horizon_s": (HOURS + 0.0) * 3600.0}
    work = world.work(hours * 0.9, flexibility=moving(pause_s, size))
    stays = place(work, sites(world, a, b), **told)
    plan = place(work, sites(world, a, b), **told, moves=True)
    assert plan.expected.carbon_g <= stays.expected.carbon_g * (1 + 1e-9)
    assert plan.bound_g <= plan.expected.carbon_g + 1e-9
    slots = sorted(plan.slots, key=lambda slot: slot.start)
    assert all(x.end <= y.start for x, y in itertools.pairwise(slots))
    if pause_s == 0 and size == 0:
        cheapest = np.sort(np.minimum(a, b).astype(float))
        need = hours * 0.9
        whole = int(need + 1e-9)
        expected = cheapest[:whole].sum() + (need - whole) * (cheapest[whole] if whole < HOURS else 0.0)
        assert plan.expected.carbon_g == pytest.approx(expected * 1.2, rel=1e-6)
        assert plan.gap == pytest.approx(0.0, abs=1e-6)


def test_it_moves_for_the_night_and_not_if_its_state_is_too_heavy(world):
    day = [100.0] * 5 + [900.0] * 5
    night = [900.0] * 5 + [100.0] * 5
    told = {"now_s": world.now, "home": "a", "horizon_s": HOURS * 3600.0, "moves": True}
    light = place(world.work(9, flexibility=moving(60.0, 10**9)), sites(world, day, night), **told)
    assert [slot.site for slot in light.slots] == ["a", "b"]
    assert any(other.name == "stay" and other.more_carbon_g > 0 for other in light.alternatives)
    heavy = place(world.work(9, flexibility=moving(60.0, 10**9)), sites(world, day, night, watts_per_bps=1.0), **told)
    assert {slot.site for slot in heavy.slots} == {"a"}
