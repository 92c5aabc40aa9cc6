"""Work whose length nobody knows: planned for every case at once, and never worse than starting now."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.model import Length
from heliotrope.plan import Progress, place
from heliotrope.plan.shape.contiguous import best_window
from heliotrope.plan.shape.unsure import best_cells, phases
from heliotrope.plan.timeline import Timeline

HOUR = 3600.0
TABLES = st.lists(st.integers(20, 900).map(float), min_size=40, max_size=60)


@st.composite
def lengths(draw):
    low, mean, high = sorted(draw(st.tuples(*[st.floats(600, 10 * HOUR)] * 3)))
    return Length(mean, low, high)


@given(lengths(), st.floats(0, 0.99))
def test_phases_keep_the_mean_and_the_longest_case(length, done):
    whole = phases(length)
    assert sum(seconds for seconds, _ in whole) == pytest.approx(length.high_s)
    if length.low_s < length.expected_s:
        assert sum(seconds * share for seconds, share in whole) == pytest.approx(length.expected_s)
    # An assumed length is one number for planning: nothing is known of shorter cases.
    assert phases(Length(3600.0, 1800.0, 3600.0)) == ((3600.0, 1.0),)
    shares = [share for _, share in phases(length, done * length.low_s)]
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
    # What has run the shortest case is known to be longer; what is left of it is less than before.
    later = phases(length, length.low_s)
    assert sum(seconds for seconds, _ in later) == pytest.approx(length.high_s - length.low_s, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(TABLES, lengths(), st.floats(0, 0.9))
def test_no_start_of_an_unbroken_window_is_expected_to_be_better(table, length, late):
    line = Timeline(0.0, HOUR * np.arange(len(table) + 1.0), np.array(table) / HOUR)
    work = phases(length)
    turns = list(zip(itertools.accumulate(s for s, _ in work), (share for _, share in work), strict=True))
    due = (late * line.end, 0.05)

    def cost(start):
        found = before = 0.0
        shares = [*(share for _, share in turns[1:]), 0.0]
        for (turn, share), after in zip(turns, shares, strict=True):
            found += share * line.integral(start + before, start + turn)
            found += (share - after) * due[1] * max(0.0, start + turn - due[0])
            before = turn
        return found

    least, (start, end) = best_window(line, turns, due)
    assert cost(start) == pytest.approx(least)
    assert end - start == pytest.approx(length.high_s)
    tried = np.linspace(0.0, line.end - length.high_s, 200)
    assert least <= min(map(cost, tried)) * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 20).map(float), min_size=7, max_size=7),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 2),
    st.booleans(),
)
def test_pieces_are_the_best_of_all_in_whole_cells(table, least, more, pause, running):
    """Against every set of cells there is, each resume taking `pause` cells."""
    line = Timeline(0.0, np.arange(8.0), np.array(table))
    work = tuple((1.0, 1.0) for _ in range(least)) + tuple((1.0, 0.7**k) for k in range(1, more + 1))
    found = best_cells(line, work, float(pause), running=running, step=1.0)
    shares = [share for _, share in work]

    def cost(cells):
        """None where those cells are not one plan of the work."""
        done, total, lost = 0, 0.0, 0
        for k, cell in enumerate(cells):
            begins = k == 0 or cells[k - 1] != cell - 1
            if begins:
                lost = pause if (k > 0 or (running and cell > 0)) else 0
            if done == len(shares):
                return None
            total += table[cell] * shares[done]
            if lost:
                lost -= 1
            else:
                done += 1
        return total if done == len(shares) else None

    every = (cost(c) for n in range(1, 8) for c in itertools.combinations(range(7), n))
    known = [c for c in every if c is not None]
    if found is None:
        assert not known
        return
    cells = [round(start) + k for start, end in found for k in range(round(end - start))]
    assert cost(cells) == pytest.approx(min(known))


@settings(max_examples=25, deadline=None)
@given(TABLES, lengths(), st.sampled_from([0.0, 60.0, 1500.0]), st.booleans(), st.integers(0, 20))
def test_a_plan_holds_for_the_longest_case_and_is_no_worse_than_now(world, table, length, pause_s, pausable, busy_h):
    flexibility = world.pausable(pause_s) if pausable else None
    work = world.work(length=length, within_h=len(table), **({"flexibility": flexibility} if flexibility else {}))
    here = world.candidate(table)
    held = ((world.now + busy_h * HOUR, world.now + (busy_h + 2) * HOUR),)
    here = type(here)(here.site, here.carbon, here.price, here.power_w, held)
    plan = place(work, [here], now_s=world.now + 700)
    run_s = sum((slot.end - slot.start).total_seconds() for slot in plan.slots)
    assert run_s == pytest.approx(length.high_s + pause_s * (len(plan.slots) - 1), abs=1e-3)
    for slot in plan.slots:
        assert slot.end <= work.deadline
        assert slot.end.timestamp() <= held[0][0] + 1e-3 or slot.start.timestamp() >= held[0][1] - 1e-3
    assert plan.bound_g <= plan.expected.carbon_g * (1 + 1e-9)
    if pausable or busy_h * HOUR >= 700 + length.high_s:
        assert plan.expected.carbon_g <= plan.run_now.carbon_g * (1 + 1e-9)
    assert plan.expected.finish <= plan.slots[-1].end


def test_what_is_probably_short_takes_the_clean_hours_first(world):
    """Clean for two hours now, very clean for eight tomorrow: only what may take eight hours waits for them."""
    table = [100.0, 100.0] + [500.0] * 20 + [90.0] * 8
    short = world.work(length=Length(1.2 * HOUR, 0.5 * HOUR, 8 * HOUR), within_h=30, flexibility=world.pausable())
    plan = place(short, [world.candidate(table)], now_s=world.now)
    assert plan.expected.energy_j == pytest.approx(1000 * 1.2 * HOUR, rel=1e-3)
    assert plan.expected.carbon_g < plan.run_now.carbon_g
    assert plan.slots[-1].end.timestamp() <= world.now + 30 * HOUR


def test_what_has_run_for_long_is_known_to_be_long(world):
    """After the shortest case is over the plan is for what is left of the longer ones."""
    length = Length(3 * HOUR, HOUR, 9 * HOUR)
    work = world.work(length=length, within_h=40)
    ready = Progress(HOUR, "home", done_s=2 * HOUR)
    plan = place(work, [world.candidate([300.0] * 41)], now_s=world.now, ready=ready)
    assert sum((s.end - s.start).total_seconds() for s in plan.slots) == pytest.approx(7 * HOUR)
    left_s = plan.expected.energy_j / 1000
    assert HOUR < left_s < 7 * HOUR
