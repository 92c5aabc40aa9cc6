"""Planning with choices of width, power and lateness: always feasible, never worse, and true to the grams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.model import Flexibility, PauseBy
from heliotrope.model.workload import Lateness, PowerCap
from heliotrope.plan import place
from heliotrope.units import from_epoch

HOURS = 20
values = st.lists(st.integers(5, 900), min_size=HOURS, max_size=HOURS)
speedups = st.lists(st.floats(0.1, 1.0), min_size=0, max_size=3).map(lambda g: (1.0, *np.cumsum([1.0, *g])[1:]))
caps = st.sampled_from([(), (PowerCap(600.0, 0.8),), (PowerCap(600.0, 0.8), PowerCap(350.0, 0.5))])


def grams(plan, table, now, watts=1000.0, pue=1.2):
    """Worked out anew from the slots alone."""
    total = 0.0
    for slot in plan.slots:
        power_w = slot.width * watts if slot.power_cap_w is None else slot.power_cap_w
        start, end = slot.start.timestamp() - now, slot.end.timestamp() - now
        for hour, value in enumerate(table):
            overlap = max(0.0, min(end, (hour + 1) * 3600) - max(start, hour * 3600))
            total += overlap / 3600 * value * power_w / 1000 * pue
    return total


def work_done(plan, speedup, caps_known, pause_s):
    """Seconds of work at width 1, less what each change took."""
    total, last = 0.0, None
    for slot in plan.slots:
        share = next((c.speed for c in caps_known if c.power_w * slot.width == slot.power_cap_w), 1.0)
        speed = speedup[slot.width - 1] / speedup[0] * share
        total += speed * (slot.end - slot.start).total_seconds()
        if last is not None and (
            last.end != slot.start or last.width != slot.width or last.power_cap_w != slot.power_cap_w
        ):
            total -= speed * pause_s
        last = slot
    return total


@given(values, speedups, caps, st.floats(0.5, 8), st.sampled_from([None, 0.0, 120.0]), st.sampled_from(PauseBy))
@settings(max_examples=60)
def test_any_choice_is_feasible_true_and_never_a_loss(world, table, speedup, known, hours, pause_s, by):
    flexible = Flexibility(
        pausable=pause_s is not None,
        pause_cost_s=pause_s or 0.0,
        pause_by=by,
        speedup=tuple(map(float, speedup)),
        caps=known,
    )
    stiff = Flexibility(pausable=pause_s is not None, pause_cost_s=pause_s or 0.0)
    site = world.candidate(table, capacity=3)
    told = {"now_s": world.now, "home": "home", "horizon_s": HOURS * 3600.0}
    plan = place(world.work(hours, flexibility=flexible), [site], **told)
    assert plan.expected.carbon_g == pytest.approx(grams(plan, table, world.now), rel=1e-5)
    assert work_done(plan, flexible.speedup, known, pause_s or 0.0) == pytest.approx(hours * 3600, abs=1.0)
    assert all(slot.width <= 3 for slot in plan.slots)
    simple = place(world.work(hours, flexibility=stiff), [site], **told)
    assert plan.expected.carbon_g <= simple.expected.carbon_g * (1 + 1e-6)
    assert plan.bound_g <= plan.expected.carbon_g + 1e-9
    if by is PauseBy.CHECKPOINT:
        assert plan.gap <= 2e-2
    else:
        # What is stopped in memory cannot come back with another width or cap.
        assert len({(slot.width, slot.power_cap_w) for slot in plan.slots}) == 1


def test_wider_work_meets_a_deadline_that_width_one_cannot(world):
    table = [100.0] * 10
    with pytest.raises(Infeasible):
        place(world.work(6, within_h=4), [world.candidate(table, capacity=2)], now_s=world.now)
    wide = Flexibility(speedup=(1.0, 1.8))
    plan = place(world.work(6, within_h=4, flexibility=wide), [world.candidate(table, capacity=2)], now_s=world.now)
    assert [slot.width for slot in plan.slots] == [2]
    with pytest.raises(Infeasible):
        place(world.work(6, within_h=4, flexibility=wide), [world.candidate(table, capacity=1)], now_s=world.now)


def test_a_site_with_little_power_runs_it_capped(world):
    slower = Flexibility(caps=(PowerCap(400.0, 0.6),))
    site = world.candidate([100.0] * 20, power_cap_w=500.0)
    with pytest.raises(Infeasible, match="w"):
        place(world.work(3), [site], now_s=world.now, horizon_s=20 * 3600.0)
    plan = place(world.work(3, flexibility=slower), [site], now_s=world.now, horizon_s=20 * 3600.0)
    assert plan.slots[0].power_cap_w == 400.0
    assert (plan.slots[0].end - plan.slots[0].start).total_seconds() == pytest.approx(3 / 0.6 * 3600)


@given(values, st.floats(0.5, 6), st.floats(0, 15), st.floats(0, 2000), st.booleans())
@settings(max_examples=60)
def test_lateness_with_a_price_is_weighed_exactly(world, table, hours, due, g_per_h, pausable):
    late = Lateness(from_epoch(world.now + due * 3600), g_per_h=g_per_h)
    work = world.work(hours, late=late, flexibility=Flexibility(pausable=pausable))
    site = world.candidate(table)
    plan = place(work, [site], now_s=world.now, home="home", horizon_s=HOURS * 3600.0)

    def weighed(made):
        over_h = max(0.0, (made.expected.finish.timestamp() - world.now) / 3600 - due)
        return made.expected.carbon_g + g_per_h * over_h

    for end in range(int(hours) + 1, HOURS + 1):
        other = place(
            world.work(hours, within_h=end, flexibility=Flexibility(pausable=pausable)),
            [site],
            now_s=world.now,
            home="home",
            horizon_s=HOURS * 3600.0,
        )
        assert weighed(plan) <= weighed(other) * (1 + 1e-6) + 1e-6


def test_lateness_in_money_needs_an_exchange_rate(world):
    late = Lateness(from_epoch(world.now + 3600), cost_per_h=5.0)
    site = world.candidate([900.0] * 10 + [1.0] * 110)
    with pytest.raises(InvalidInput, match="worth in grams"):
        place(world.work(1, late=late), [site], now_s=world.now)
    patient = place(world.work(1, late=late), [site], now_s=world.now, g_per_eur=1.0)
    hasty = place(world.work(1, late=late), [site], now_s=world.now, g_per_eur=1000.0)
    assert hasty.expected.finish < patient.expected.finish
