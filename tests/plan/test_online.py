"""The guarantee: never 1 % worse than run-now, whatever the forecast says and however the grid turns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import InvalidInput, UsageError
from heliotrope.plan.kernels import solve
from heliotrope.plan.kernels.policies.helio import clairvoyant
from heliotrope.plan.kernels.shapes import Batch, Curves
from heliotrope.plan.kernels.world import Belief, World
from heliotrope.plan.online import Guard
from heliotrope.plan.online.guard import dirtiest
from heliotrope.plan.online.policy import online

HOUR = 3600.0


def batch(submitted, length, slack):
    count = len(submitted)
    ones = np.ones(count)
    return Batch(
        0,
        np.asarray(submitted, dtype=float),
        np.asarray(length, dtype=float),
        ones,
        1000.0 * ones,
        np.asarray(slack, dtype=float),
        np.ones(count, dtype=np.int8),
        np.zeros(count, dtype=np.int8),
        np.zeros(count, dtype=np.int32),
        np.array([0], dtype=np.int32),
        np.array([0, 1], dtype=np.int32),
        flexible=True,
    )


def world(values, belief=None, *, blind=False):
    curves = Curves.of(("A",), np.asarray(values, dtype=float)[None, :])
    made = None if belief is None else Belief(np.asarray(belief, dtype=np.float32)[None], np.zeros(1, dtype=np.int32))
    nothing = lambda *_: None  # noqa: E731
    return World(curves, 0, nothing, nothing, nothing, made, blind)


def total(slots, jobs, there):
    return float(solve.grams(slots, jobs, there.curves).sum())


STEPS = 120
adversary = st.lists(st.floats(0, dirtiest()), min_size=STEPS, max_size=STEPS)
traces = st.lists(st.tuples(st.floats(0, 60), st.floats(0.1, 9), st.floats(0, 30)), min_size=1, max_size=25)


@given(adversary, traces, st.integers(0, 10**6), st.sampled_from(["noise", "upside down", "always tomorrow"]))
@settings(max_examples=120)
def test_never_one_per_cent_worse_than_run_now(values, trace, seed, lie):
    submitted, length, slack = np.array(trace).T * HOUR
    jobs = batch(submitted, length, slack)
    rng = np.random.default_rng(seed)
    if lie == "noise":
        belief = rng.uniform(0, 900, (STEPS + 1, 48))
    elif lie == "upside down":
        padded = np.concatenate([values, values[:49]])
        belief = np.stack([dirtiest() - padded[i : i + 48] for i in range(STEPS + 1)])
    else:
        belief = np.tile(np.linspace(900, 1, 48), (STEPS + 1, 1))
    there = world(values, belief)
    slots = online(jobs, there)
    ours, theirs = total(slots, jobs, there), total(solve.run_now(jobs), jobs, there)
    assert ours <= 1.01 * theirs + 1e-6
    ran = np.bincount(slots.job, slots.end_s - slots.start_s, minlength=len(jobs))
    assert ran == pytest.approx(length, abs=1e-3)
    assert (slots.start_s >= submitted[slots.job] - 1e-6).all()
    assert (slots.end_s <= (submitted + length + slack)[slots.job] + 1e-3).all()


@given(
    st.lists(
        st.tuples(st.floats(0, 900), st.floats(0, 3600), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=200
    ),
    st.floats(0, 0.1),
)
def test_the_account_never_promises_more_than_it_can_keep(events, epsilon):
    """The grid turns as it likes; what may wait waits, and some of what is owed runs at once, the rest at the end."""
    guard = Guard(epsilon, ceiling=900.0)
    ours = theirs = owed = 0.0
    for intensity, seconds, wish, catch_up in events:
        waits = min(wish * seconds, guard.may_wait_s(intensity, 1000.0, seconds))
        guard.passed(intensity, 1000.0, seconds - waits, seconds)
        back = catch_up * owed
        guard.passed(intensity, 1000.0, back, 0.0)
        ours += intensity * (seconds - waits + back)
        theirs += intensity * seconds
        owed += waits - back
        assert ours + 900.0 * owed <= (1 + epsilon) * theirs + 1e-3


def test_close_to_clairvoyant_when_the_advice_is_good():
    hours = 24 * 200
    rng = np.random.default_rng(3)
    values = 350 + 200 * np.sin(np.arange(hours) * 2 * np.pi / 24) + rng.uniform(-40, 40, hours)
    submitted = np.sort(rng.uniform(0, (hours - 80) * HOUR, 3000))
    jobs = batch(submitted, rng.uniform(1, 8, 3000) * HOUR, np.full(3000, 24 * HOUR))
    there = world(values)
    now, best, ours = (
        total(slots, jobs, there) for slots in (solve.run_now(jobs), clairvoyant(jobs, there), online(jobs, there))
    )
    assert (now - ours) / (now - best) > 0.9


def test_without_credit_nothing_waits_and_jobs_that_cannot_pause_run_at_once():
    guard = Guard(0.0)
    assert guard.may_wait_s(100.0, 500.0, 3600.0) == 0.0
    assert guard.may_wait_s(dirtiest(), 500.0, 3600.0) == 3600.0
    with pytest.raises(InvalidInput, match="guarantee"):
        Guard(-0.1)
    with pytest.raises(UsageError, match="advice"):
        online(batch([0.0], [HOUR], [HOUR]), world([1.0] * 9, blind=True))
    assert len(online(batch([], [], []), world([1.0] * 9))) == 0
