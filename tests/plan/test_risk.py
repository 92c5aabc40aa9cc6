"""Against a bad turn: the plan with the least weighed grams among all windows, its tail counted as drawn."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.model import Signal
from heliotrope.plan.whatif.risk import Risk, careful

HOURS = 12
DRAWS = np.random.default_rng(5).standard_normal(200_000)


def uncertain(world, values, spreads):
    values, spreads = np.asarray(values, dtype=float), np.asarray(spreads, dtype=float)
    plain = world.candidate(values)
    told = plain.carbon
    carbon = Signal(
        told.kind, told.zone, told.start_s, told.step_s, values, values - spreads, values + spreads, told.quality
    )
    return msgspec.structs.replace(plain, carbon=carbon)


@given(
    st.lists(st.integers(50, 900), min_size=HOURS, max_size=HOURS),
    st.lists(st.integers(0, 49), min_size=HOURS, max_size=HOURS),
    st.integers(1, 6),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.floats(0, 1),
)
@settings(max_examples=40)
def test_no_window_weighs_less(world, values, spreads, hours, alpha, weight):
    site = uncertain(world, values, spreads)
    found = careful(
        world.work(hours), [site], Risk(alpha, weight), now_s=world.now, horizon_s=HOURS * 3600.0, home="home"
    )
    worst = np.sort(DRAWS)[int(alpha * len(DRAWS)) :].mean() / 1.6449

    def weighed(k):
        mean, spread = (sum(table[k : k + hours]) * 1.2 for table in (values, spreads))
        return mean + weight * worst * spread

    start = round((found.slots[0].start.timestamp() - world.now) / 3600)
    least = min(weighed(k) for k in range(HOURS - hours + 1))
    assert weighed(start) == pytest.approx(least, rel=5e-3)
    assert found.outlook.carbon_g >= found.neutral_g - 1e-6
    drawn = (sum(values[start : start + hours]) + worst * sum(spreads[start : start + hours])) * 1.2
    assert found.tail_g == pytest.approx(drawn, rel=5e-3)


def test_a_sure_hour_is_taken_before_a_slightly_better_doubtful_one(world):
    site = uncertain(world, [200.0, 190.0] + [500.0] * 10, [0.0, 180.0] + [0.0] * 10)
    told = {"now_s": world.now, "horizon_s": HOURS * 3600.0, "home": "home"}
    bold = careful(world.work(1), [site], Risk(weight=0.0), **told)
    wary = careful(world.work(1), [site], Risk(weight=1.0), **told)
    assert bold.slots[0].start.timestamp() == world.now + 3600
    assert wary.slots[0].start.timestamp() == world.now
    assert wary.tail_g < bold.tail_g
    assert wary.outlook.carbon_g > wary.neutral_g
