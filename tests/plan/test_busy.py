"""A site that is promised to other work: no plan overlaps the promise, and where there is none nothing changes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.plan import Progress, place

HOURS = 24
spans = st.lists(st.tuples(st.floats(-1, HOURS), st.floats(0.1, 5)), max_size=5)
values = st.lists(st.integers(1, 900), min_size=HOURS, max_size=HOURS)


def held(candidate, busy, now):
    return msgspec.structs.replace(candidate, busy=tuple((now + a * 3600, now + (a + b) * 3600) for a, b in busy))


@given(values, spans, st.floats(0.2, 6), st.sampled_from(["unbroken", "free", "costly"]), st.booleans())
def test_no_slot_overlaps_what_is_promised(world, table, busy, hours, how, running):
    candidate = held(world.candidate(table), busy, world.now)
    flexibility = world.pausable(600.0 if how == "costly" else 0.0)
    work = world.work(hours, **({} if how == "unbroken" else {"flexibility": flexibility}))
    ready = Progress(hours * 3600, "home", running=True) if running else None
    try:
        plan = place(work, [candidate], now_s=world.now, home="home", horizon_s=HOURS * 3600.0, ready=ready)
    except Infeasible:
        assert busy
        return
    for slot in plan.slots:
        for start, end in candidate.busy:
            overlap = min(slot.end.timestamp(), end) - max(slot.start.timestamp(), start)
            assert overlap <= 1e-3
    ran = sum((slot.end - slot.start).total_seconds() for slot in plan.slots)
    assert ran >= hours * 3600 - 1e-3
    assert plan.expected.carbon_g >= plan.bound_g - 1e-9
    if how != "costly" and not running:
        assert ran == pytest.approx(hours * 3600, abs=1e-3)


@given(values, st.floats(0.2, 20), st.booleans())
def test_without_promises_nothing_changes(world, table, hours, pausable):
    work = world.work(hours, flexibility=world.pausable(60.0)) if pausable else world.work(hours)
    free = world.candidate(table)
    after = held(free, [(HOURS, 5.0)], world.now)
    plans = [place(work, [c], now_s=world.now, home="home", horizon_s=HOURS * 3600.0) for c in (free, after)]
    assert plans[0] == plans[1]


def test_the_clash_is_named_with_the_smallest_change(world):
    site = held(world.candidate([100.0] * 8), [(2.0, 6.0)], world.now)
    with pytest.raises(Infeasible) as refused:
        place(world.work(3, within_h=8), [site], now_s=world.now)
    assert "other work leaves 2 h" in refused.value.cause
    assert "60 min later" in refused.value.hint


def test_a_promise_that_ends_before_it_starts(world):
    with pytest.raises(InvalidInput, match="busy"):
        place(world.work(1), [held(world.candidate([1.0] * 200), [(2.0, -1.0)], world.now)], now_s=world.now)
