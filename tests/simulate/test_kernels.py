"""The kernels against searches that try everything, in small worlds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.plan.kernels import solve
from heliotrope.plan.kernels.policies import awhile, gaia
from heliotrope.plan.kernels.shapes import Curves
from heliotrope.plan.kernels.world import World
from simulate.helpers import batch

HOUR = 3600.0
intensities = st.lists(st.integers(1, 9).map(float), min_size=30, max_size=30)


def curves(*rows, step=HOUR):
    return Curves.of(tuple(f"Z{i}" for i in range(len(rows))), np.array(rows, dtype=np.float64), step)


def world_of(curves_, epoch_s):
    lengths = np.array([1800.0, 10_000.0])
    return World(curves_, epoch_s, lambda: (1800.0, 10_000.0), lambda: lengths, lambda _: batch(0.0, 1800.0, 3600.0))


@settings(max_examples=40, deadline=None)
@given(intensities, st.integers(0, 2), st.integers(1, 40), st.integers(0, 40), st.integers(0, 5))
def test_best_window_is_best_of_all_starts(values, hour, length, slack, offset):
    submitted, length, slack = hour * 3600 + offset * 700, length * 900, slack * 900
    world = curves(values)
    slots = solve.best_windows(batch(submitted, length, slack), world)
    got = float(solve.grams(slots, batch(submitted, length, slack), world).sum()) * 3.6e6
    area = np.concatenate([[0], np.cumsum(np.repeat(values, 36) * 100.0)])
    starts = np.arange(submitted // 100, (submitted + slack) // 100 + 1)
    everything = area[starts + length // 100] - area[starts]
    assert got == min(everything) or abs(got - min(everything)) < 1e-6
    assert submitted <= slots.start_s[0] <= submitted + slack
    # the earliest of the best
    first = starts[np.flatnonzero(everything <= everything.min() + 1e-6)[0]] * 100
    assert slots.start_s[0] <= first + 1e-6


@settings(max_examples=60, deadline=None)
@given(intensities, st.integers(0, 2), st.integers(1, 40), st.integers(0, 40), st.integers(0, 5))
def test_cheapest_seconds_are_the_cheapest(values, hour, length, slack, offset):
    submitted, length, slack = hour * 3600 + offset * 700, length * 900, slack * 900
    world, job = curves(values), batch(submitted, length, slack)
    slots = solve.cheapest_seconds(job, world)
    seconds = np.repeat(values, 36)[submitted // 100 : (submitted + length + slack) // 100]
    wanted = np.sort(seconds)[: length // 100].sum() * 100
    got = float(solve.grams(slots, job, world).sum()) * 3.6e6
    assert abs(got - wanted) < 1e-6
    assert abs(solve.least_grams(job, world)[0] * 3.6e6 - wanted) < 1e-6
    assert abs((slots.end_s - slots.start_s).sum() - length) < 1e-6
    assert (np.diff(slots.start_s) > 0).all()
    assert (slots.start_s[1:] > slots.end_s[:-1]).all(), "touching slots are one"
    assert slots.start_s[0] >= submitted
    assert slots.end_s[-1] <= submitted + length + slack + 1e-9


@settings(max_examples=30, deadline=None)
@given(intensities, intensities, st.integers(1, 20), st.integers(0, 20), st.booleans())
def test_a_second_zone_never_hurts_and_the_bound_holds(a, b, length, slack, pausable):
    world = curves(a, b)
    wide = batch(0, length * 900, slack * 900, zones=(0, 1), pausable=int(pausable))
    narrow = batch(0, length * 900, slack * 900, zones=(0,), pausable=int(pausable))
    grams = [float(solve.grams(solve.cheapest_seconds(j, world), j, world).sum()) for j in (wide, narrow)]
    assert grams[0] <= grams[1] + 1e-12
    assert solve.least_grams(wide, world)[0] <= grams[0] + 1e-12
    free = batch(0, length * 900, slack * 900, zones=(0, 1), movable=1)
    assert solve.least_grams(free, world)[0] <= solve.least_grams(wide, world)[0] + 1e-12


def test_nobody_waits_for_nothing():
    """On a flat grid every start is a tie, and a tie is broken by not waiting."""
    flat = curves([123.456] * 60)
    for policy in (solve.best_windows, solve.cheapest_seconds):
        for submitted in (0.0, 1234.5, 7200.0):
            slots = policy(batch(submitted, 4000.1, 86_400.0), flat)
            assert slots.start_s.tolist() == [submitted]


@settings(max_examples=30, deadline=None)
@given(intensities, st.integers(1, 30), st.integers(0, 24), st.integers(0, 3500))
def test_every_gaia_policy_runs_each_job_whole_within_its_wait(values, length, slack, submitted):
    world = world_of(curves(values * 3), 0)
    job = batch(float(submitted), length * 977.0, slack * 900.0)
    for policy in (
        gaia.lowest_slot,
        gaia.lowest_window,
        gaia.carbon_time,
        gaia.known_window,
        gaia.ecovisor,
        gaia.wait_awhile,
    ):
        slots = policy(job, world)
        assert abs((slots.end_s - slots.start_s).sum() - length * 977.0) < 1e-3
        assert slots.start_s[0] >= submitted
        assert slots.end_s[-1] <= submitted + length * 977.0 + slack * 900.0 + 1e-3


def test_lets_wait_awhile_waits_until_the_morning_it_says():
    """Friday 18:00, an hour's job: by Monday 09:00. Tuesday noon: at once; or by Thursday 09:00."""
    values = [float(100 - h % 97) for h in range(24 * 14)]
    monday = 4 * 86_400  # 1970-01-05
    world = world_of(curves(values), monday)
    friday = batch(4 * 86_400 + 18 * 3600.0, 3600.0, 0.0)
    end = awhile.next_workday(friday, world).end_s.max()
    assert 4 * 86_400 + 19 * 3600 < end <= 7 * 86_400 + 9 * 3600
    noon = batch(86_400 + 12 * 3600.0, 3600.0, 0.0)
    assert awhile.next_workday(noon, world).end_s.max() == 86_400 + 13 * 3600
    assert awhile.semi_weekly(noon, world).end_s.max() <= 3 * 86_400 + 9 * 3600
