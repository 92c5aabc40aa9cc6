"""What is minted lies below what was saved, whatever the baselines are worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_programme import KINDS, jobs
from heliotrope.prove.claims.estimate import FEWEST, saving, student


def judged(made, held):
    return saving(made.baseline, made.at_once, made.shifted, held)


@pytest.mark.parametrize("kind", KINDS)
def test_too_much_is_minted_at_most_one_time_in_twenty(kind):
    rng = np.random.default_rng(7)
    over, trials = 0, 600
    beyond_g = saved_g = 0.0
    for _ in range(trials):
        made = jobs(kind, 200, rng)
        held = rng.random(200) < 0.2
        true_g = float((made.at_once - made.shifted)[~held].sum())
        earned_g = judged(made, held).earned_g
        over += earned_g > max(0.0, true_g)
        beyond_g += max(0.0, earned_g - max(0.0, true_g))
        saved_g += max(0.0, true_g)
    assert beyond_g <= 0.05 * saved_g
    # One in twenty of 600 is 30; binomial chance adds at most 2.3 standard deviations.
    assert over <= 42


@given(st.integers(0, 2**32), st.floats(0.01, 100))
@settings(max_examples=30, deadline=None)
def test_inflating_every_baseline_alike_changes_nothing(seed, factor):
    rng = np.random.default_rng(seed)
    made, held = jobs("honest", 120, rng), rng.random(120) < 0.25
    plain = saving(made.baseline, made.at_once, made.shifted, held)
    inflated = saving(made.baseline * factor, made.at_once, made.shifted, held)
    if plain.low_g == -np.inf:
        assert inflated.low_g == -np.inf
        return
    assert inflated.low_g == pytest.approx(plain.low_g, rel=1e-6, abs=1e-6)
    assert inflated.ratio == pytest.approx(plain.ratio / factor)


def test_perfect_baselines_leave_no_doubt():
    made = jobs("honest", 100, np.random.default_rng(3))
    held = np.arange(100) % 5 == 0
    held[np.argmax(made.at_once)] = True
    judgement = saving(made.at_once, made.at_once, made.shifted, held)
    true_g = (made.at_once - made.shifted)[~held].sum()
    assert judgement.value_g == pytest.approx(true_g)
    assert judgement.low_g == pytest.approx(true_g)


def test_too_few_held_out_say_nothing():
    made = jobs("honest", 100, np.random.default_rng(3))
    held = np.arange(100) < FEWEST - 1
    assert judged(made, held).low_g == -np.inf
    assert judged(made, np.ones(100, dtype=bool)).low_g == -np.inf


def test_a_job_larger_than_any_held_out_earns_nothing():
    made = jobs("honest", 100, np.random.default_rng(3))
    held = np.arange(100) % 4 == 0
    small = judged(made, held)
    giant = float(made.baseline.max()) * 1000
    with_giant = saving(
        np.append(made.baseline, giant),
        np.append(made.at_once, giant),
        np.append(made.shifted, 0.0),
        np.append(held, False),
    )
    assert with_giant.too_large == small.too_large + 1
    assert with_giant.low_g == pytest.approx(small.low_g)


def test_work_that_is_not_done_saves_nothing():
    made = jobs("honest", 100, np.random.default_rng(3))
    held = np.arange(100) % 4 == 0
    unfinished = (np.arange(100) % 4 == 1) & (made.baseline <= made.baseline[held].max())
    whole = judged(made, held)
    emitted = np.where(unfinished, 0.0, made.shifted)
    broken_off = saving(made.baseline, made.at_once, emitted, held, unfinished=unfinished)
    assert broken_off.value_g == pytest.approx(
        whole.value_g - (whole.ratio * made.baseline - made.shifted)[unfinished].sum()
    )
    half_done = saving(made.baseline, made.at_once, emitted + unfinished * 7.0, held, unfinished=unfinished)
    assert half_done.value_g == pytest.approx(broken_off.value_g - 7.0 * unfinished.sum())


def test_quantiles_of_student():
    # Published one-sided 95 % points.
    for freedom, point in ((9, 1.833), (20, 1.725), (60, 1.671), (10**6, 1.645)):
        assert student(0.95, freedom) == pytest.approx(point, abs=0.001)
