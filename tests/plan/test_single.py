"""One workload: exact against brute force, agreeing with the footprint, and honest about why."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope import footprint
from heliotrope.errors import Infeasible, InvalidInput, SignalGap, SignalMismatch
from heliotrope.model import (
    PRICE,
    DataNeed,
    Estimate,
    LatencyBound,
    Length,
    Link,
    Measurement,
    Plan,
    Reading,
    SignalKind,
)
from heliotrope.plan import Candidate, Progress, place
from heliotrope.plan.shape.contiguous import best_window
from heliotrope.plan.shape.suspend import best_pieces, fill
from heliotrope.plan.timeline import Timeline
from heliotrope.units import from_epoch

CELL = 1800.0
rates = st.lists(st.integers(0, 50), min_size=2, max_size=5)


def line(values, start=0.0):
    """Hourly rates, the first hour cut at `start`."""
    edges = np.concatenate(([start], 3600.0 * np.arange(1, len(values) + 1)))
    return Timeline(0.0, edges, np.array(values, dtype=float) / 3600)


def brute_pieces(values, work, pause, first, running):
    """Every way to use half hours; exact because every length is a multiple of half an hour."""
    cells = np.repeat(values, 2) * CELL / 3600
    best = math.inf
    for used in itertools.product((False, True), repeat=len(cells)):
        starts = [i for i, on in enumerate(used) if on and (i == 0 or not used[i - 1])]
        extra = 0.0
        for k, i in enumerate(starts):
            free = running and i == 0
            extra += 0.0 if free else (first if k == 0 and not running else pause)
        if sum(used) * CELL == pytest.approx(work + extra):
            best = min(best, float(cells @ np.array(used)))
    return best


@given(rates, st.integers(1, 8), st.integers(0, 3), st.integers(0, 2), st.booleans())
@settings(max_examples=120)
def test_pieces_equal_brute_force(values, work, pause, first, running):
    first = 0 if running else first
    if work + first > 2 * len(values):
        work = 2 * len(values) - first
        if work < 1:
            return
    args = work * CELL, pause * CELL, first * CELL
    expected = brute_pieces(np.array(values, dtype=float), *args, running)
    found = best_pieces(line(values), args[0], args[1], first_cost=args[2], running=running)
    assert found is not None
    cost, pieces = found
    assert cost == pytest.approx(expected, abs=1e-9)
    assert cost == pytest.approx(line(values).over(pieces), abs=1e-9)
    resumed = len(pieces) - 1
    fresh = 0.0 if running and pieces[0][0] == 0 else (args[1] if running else args[2])
    assert sum(b - a for a, b in pieces) == pytest.approx(args[0] + resumed * args[1] + fresh)


@given(rates, st.floats(1, 3600 * 2), st.floats(0, 3599))
def test_window_beats_every_sampled_start(values, length, start):
    timeline = line(values, start)
    length = min(length, timeline.end - timeline.start)
    cost, (a, b) = best_window(timeline, [(length, 1.0)])
    assert b - a == pytest.approx(length)
    assert timeline.start <= a
    assert b <= timeline.end + 1e-6
    samples = np.linspace(timeline.start, timeline.end - length, 400)
    others = [timeline.integral(s, s + length) for s in samples]
    assert cost <= min(others) + 1e-9


@given(rates, st.floats(1, 3600 * 2))
def test_free_pauses_never_cost_more_than_any_pause_or_none(values, work):
    timeline = line(values)
    free, pieces = fill(timeline, work)
    assert sum(b - a for a, b in pieces) == pytest.approx(work)
    costly = best_pieces(timeline, work, 60.0)
    assert free <= costly[0] + 1e-9 <= best_window(timeline, [(work, 1.0)])[0] + 2e-9


def test_nothing_below_the_limit_is_none():
    assert best_pieces(line([5, 5, 5]), 3600, 60.0, below=4.9) is None


@given(st.lists(st.lists(st.integers(1, 900), min_size=30, max_size=30), min_size=1, max_size=4), st.integers(1, 20))
def test_never_worse_than_any_site_at_any_hour(world, tables, hours):
    candidates = [world.candidate(values, f"s{i}") for i, values in enumerate(tables)]
    plan = place(world.work(hours), candidates, now_s=world.now, home="s0")
    grid = np.array(tables, dtype=float)
    windows = [grid[i, h : h + hours].sum() for i in range(len(tables)) for h in range(30 - hours + 1)]
    assert plan.expected.carbon_g == pytest.approx(min(windows) * 1.2, rel=1e-9)
    assert plan.gap == pytest.approx(0, abs=1e-12)
    assert plan.run_now.carbon_g == pytest.approx(grid[0, :hours].sum() * 1.2)
    assert all(a.more_carbon_g >= -1e-9 for a in plan.alternatives if a.more_carbon_g is not None)


def carried_out(plan: Plan, watts: float) -> Measurement:
    readings = tuple(
        Reading("m", "host", s.start.timestamp(), s.end.timestamp(), watts * (s.end - s.start).total_seconds())
        for s in plan.slots
    )
    joules = Estimate.exact(sum(r.energy_j for r in readings))
    return Measurement("x", readings[0].start_s, readings[-1].end_s, joules.value / watts, joules, readings=readings)


@given(st.lists(st.floats(1, 900), min_size=40, max_size=40), st.floats(0.2, 20), st.floats(0, 3599), st.booleans())
def test_plan_run_now_and_footprint_are_one_number(world, values, hours, late, pausable):
    """A constant-power run that follows its plan has exactly the footprint that was expected."""
    now = world.now + late
    candidate = world.candidate(values)
    flexibility = world.pausable(90.0) if pausable else world.pausable().__class__()
    plan = place(world.work(hours, now=now, flexibility=flexibility), [candidate], now_s=now, home="home")
    ran = carried_out(plan, 1000.0)
    paid = footprint.compute(ran, candidate.site, candidate.carbon)
    assert paid.carbon_operational_g.value == pytest.approx(plan.expected.carbon_g, rel=1e-6)
    assert paid.energy_j.value == pytest.approx(plan.expected.energy_j, rel=1e-6)
    assert paid.carbon_operational_g.low == pytest.approx(plan.expected.carbon_low_g, rel=1e-6)
    assert paid.carbon_operational_g.high == pytest.approx(plan.expected.carbon_high_g, rel=1e-6)
    if len(plan.slots) == 1:
        at_once = footprint.compute(footprint.at_once(ran, now), candidate.site, candidate.carbon)
        assert at_once.carbon_operational_g.value == pytest.approx(plan.run_now.carbon_g, rel=1e-5)


def test_reasons_name_what_lost_and_by_how_much(world):
    home = world.candidate([400, 300, 200, 400, 400, 400])
    away = world.candidate([350, 100, 350, 350, 350, 350], "away")
    far = world.candidate([1] * 6, "far", jurisdiction="US")
    plan = place(
        world.work(1, data=(DataNeed("patients", jurisdictions=("EU",)),)),
        [home_in_eu(home), home_in_eu(away), far],
        now_s=world.now,
        home="home",
    )
    lost = {a.name: a for a in plan.alternatives}
    assert plan.slots[0].site == "away"
    assert plan.slots[0].start == from_epoch(world.now + 3600)
    assert lost["run-now"].more_carbon_g == pytest.approx(300 * 1.2)
    assert lost["now-elsewhere"].more_carbon_g == pytest.approx(250 * 1.2)
    assert lost["home-best"].more_carbon_g == pytest.approx(100 * 1.2)
    assert "may not leave EU" in lost["refused:far"].reason
    assert lost["refused:far"].outlook is None
    assert "would add 360 g, done 1 h 0 min earlier" in lost["run-now"].reason.replace("60 min", "1 h 0 min")


def home_in_eu(candidate):
    import msgspec

    return Candidate(
        msgspec.structs.replace(candidate.site, jurisdiction="EU"), candidate.carbon, candidate.price, candidate.power_w
    )


@given(
    st.lists(st.floats(1, 900), min_size=30, max_size=30),
    st.floats(0.01, 20),
    st.floats(0, 7200),
    st.floats(0, 1000),
    st.floats(0, 4000),
    st.booleans(),
)
def test_work_that_fits_unbroken_always_has_a_plan_and_none_worse(world, values, hours, late, pause, spare, running):
    """Whatever the clock's fractions: pausing is a freedom, never a loss."""
    now = world.now + late
    ready = Progress(hours * 3600, "home", running) if running else None
    work = world.work(hours, within_h=hours + (spare + 1) / 3600, now=now, flexibility=world.pausable(pause))
    plan = place(work, [world.candidate(values)], now_s=now + 0.0137, home="home", ready=ready)
    whole = place(
        world.work(hours, within_h=hours + (spare + 1) / 3600, now=now),
        [world.candidate(values)],
        now_s=now + 0.0137,
        ready=ready,
    )
    assert plan.expected.carbon_g <= whole.expected.carbon_g * (1 + 1e-9)
    assert all(s.start < s.end for s in plan.slots)


def test_pausing_costs_and_pays(world):
    values = [100, 900, 100, 900, 100, 900]
    free = place(world.work(3, flexibility=world.pausable()), [world.candidate(values)], now_s=world.now)
    assert [round(s.start.timestamp() - world.now) for s in free.slots] == [0, 7200, 14400]
    assert free.expected.carbon_g == pytest.approx(360)
    dear = place(world.work(3, flexibility=world.pausable(3500)), [world.candidate(values)], now_s=world.now)
    assert len(dear.slots) == 1
    assert {a.name for a in free.alternatives} >= {"run-now", "unbroken"}


def test_ties_go_to_the_earliest_then_home_then_name(world):
    same = [300] * 12
    names = ["zeta", "home", "alpha"]
    plan = place(world.work(2), [world.candidate(same, n) for n in names], now_s=world.now, home="home")
    assert (plan.slots[0].site, plan.slots[0].start) == ("home", from_epoch(world.now))
    plan = place(world.work(2), [world.candidate(same, n) for n in names], now_s=world.now, home="gone")
    assert plan.slots[0].site == "alpha"


def test_deadline_not_before_and_lateness(world):
    values = [100, 500, 50, 500, 1, 1]
    work = world.work(1, within_h=4, not_before=from_epoch(world.now + 1800))
    plan = place(work, [world.candidate(values)], now_s=world.now)
    assert plan.slots[0].start == from_epoch(world.now + 7200)
    assert plan.run_now.carbon_g == pytest.approx(1.2 * 300)


def test_room_is_kept_for_work_that_may_take_longer(world):
    length = Length(3600, 1800, 3 * 3600)
    plan = place(world.work(length=length, within_h=4), [world.candidate([500, 400, 300, 1])], now_s=world.now)
    assert plan.slots[0].start <= from_epoch(world.now + 3600)
    tight = place(world.work(length=length, within_h=2), [world.candidate([500, 400, 300, 1])], now_s=world.now)
    assert any("longer than expected" in flag for flag in tight.flags)


def test_data_that_must_come_first_delays_and_costs(world):
    link = (Link("home", 30.0, bandwidth_bps=1e9),)
    away = world.candidate([10] * 24, "away", links=link)
    data = (DataNeed("corpus", size_bytes=450_000_000_000, held_at="home"),)  # an hour at 1 Gb/s
    plan = place(world.work(1, data=data), [world.candidate([500] * 24), away], now_s=world.now, home="home")
    assert plan.slots[0].site == "away"
    assert plan.slots[0].start == from_epoch(world.now + 3600)
    network_kwh = 450e9 * 8 * 3e-8 / 3.6e6
    assert plan.expected.carbon_g == pytest.approx(10 * 1.2 + 10 * network_kwh)


def test_work_under_way_goes_on_or_moves_only_if_it_may(world):
    here, there = world.candidate([900] * 12), world.candidate([1] * 12, "there")
    stays = place(
        world.work(6), [here, there], now_s=world.now, ready=Progress(3600.0, site="home", running=True), home="home"
    )
    assert stays.slots[0].site == "home"
    assert stays.expected.carbon_g == pytest.approx(900 * 1.2)
    work = world.work(6, flexibility=world.pausable(600, movable=True, move_bytes=1_250_000_000))
    moves = place(work, [here, there], now_s=world.now, ready=Progress(3600.0, site="home", running=True), home="home")
    assert moves.slots[0].site == "there"
    assert moves.slots[0].start == from_epoch(world.now + 10)
    assert (moves.slots[-1].end - moves.slots[0].start).total_seconds() == pytest.approx(4200)
    assert any("link assumed" in flag for flag in moves.flags)


@pytest.mark.parametrize(
    ("change", "clash", "hint"),
    [
        ({"within_h": 2.0}, "before the deadline", "a deadline 60 min later"),
        ({"sites": ("mars",)}, "not among the allowed sites", "allow home"),
        ({"latency": LatencyBound("nearby", 5)}, "9 ms from nearby", "allow 9 ms to nearby"),
        ({"data": (DataNeed("d", jurisdictions=("CH",)),)}, "may not leave CH", "let d go to"),
    ],
)
def test_infeasible_says_what_clashes_and_what_would_do(world, change, clash, hint):
    within = change.pop("within_h", None)
    candidate = world.candidate([5] * 12, links=(Link("nearby", 9),))
    with pytest.raises(Infeasible) as caught:
        place(world.work(3, within_h=within, **change), [candidate], now_s=world.now)
    assert clash in caught.value.cause
    assert hint in caught.value.hint


def test_resources_refuse_and_horizon_limits(world):
    small = world.candidate([5] * 12, capacity=2, power_cap_w=500.0)
    with pytest.raises(Infeasible, match="needs 8 of 2") as caught:
        place(world.work(1, resources=world.resources(devices=8, device_kind="gpu")), [small], now_s=world.now)
    assert "has no gpu" in caught.value.cause
    assert "under a cap of 500 W" in caught.value.cause
    with pytest.raises(Infeasible, match="horizon"):
        place(world.work(9), [world.candidate([5] * 12)], now_s=world.now, horizon_s=3600 * 8)
    with pytest.raises(Infeasible, match="signal"):
        place(world.work(20), [world.candidate([5] * 12)], now_s=world.now)


def test_the_smallest_relaxation_is_offered(world):
    near = world.candidate([5] * 12, "near")
    slow = world.candidate([5] * 12, "slow", jurisdiction="US")
    work = world.work(3, within_h=2, data=(DataNeed("d", jurisdictions=("DE", "EU")),))
    with pytest.raises(Infeasible) as caught:
        place(work, [slow, home_in_eu(near)], now_s=world.now)
    assert "60 min later" in caught.value.hint
    assert "near" in caught.value.hint


def test_bad_input(world):
    good = world.candidate([5] * 12)
    with pytest.raises(InvalidInput, match="no site to choose"):
        place(world.work(1), [], now_s=world.now)
    with pytest.raises(InvalidInput, match="two candidates are one site"):
        place(world.work(1), [good, good], now_s=world.now)
    with pytest.raises(InvalidInput, match="negative"):
        place(world.work(1), [world.candidate([5, -1])], now_s=world.now)
    with pytest.raises(InvalidInput, match="no work left"):
        place(world.work(1), [good], now_s=world.now, ready=Progress(0.0))
    marginal = Candidate(world.site("m"), world.signal([5] * 12, kind=SignalKind.parse("carbon/marginal/direct")))
    with pytest.raises(SignalMismatch):
        place(world.work(1), [good, marginal], now_s=world.now)
    with pytest.raises(SignalMismatch):
        place(world.work(1), [Candidate(world.site(), world.signal([5] * 12, kind=PRICE))], now_s=world.now)
    with pytest.raises(SignalGap):
        place(world.work(1), [world.candidate([5] * 12, start=world.now + 3600)], now_s=world.now)


def test_price_and_power_come_from_where_they_are_stated(world):
    priced = world.candidate([100] * 12, price=world.signal([80] * 12, kind=PRICE))
    plan = place(world.work(2), [priced], now_s=world.now)
    assert plan.expected.cost == pytest.approx(2 * 1.2 * 0.08)
    assert not any("power" in flag for flag in plan.flags)
    unknown = place(world.work(2), [world.candidate([100] * 12, power_w=0.0)], now_s=world.now)
    assert any("power assumed" in flag for flag in unknown.flags)
    declared = world.work(2, resources=world.resources(power_w=250.0))
    assert place(declared, [world.candidate([100] * 12, power_w=0.0)], now_s=world.now).expected.energy_j == 250 * 7200


def test_five_minute_signals_are_not_cut_finer_than_asked(world):
    rng = np.random.default_rng(1)
    candidate = world.candidate(rng.uniform(10, 500, 600), step=60)
    work = world.work(2, flexibility=world.pausable(20))
    plan = place(work, [candidate], now_s=world.now, step_s=600)
    assert plan.bound_g <= plan.expected.carbon_g
    assert plan.gap > 0
    assert all((s.end - s.start).total_seconds() >= 599 for s in plan.slots[:-1])
    assert any("merged" in flag for flag in plan.flags)


def test_the_room_is_a_function(world):
    import heliotrope

    plan = heliotrope.plan("2h", [world.signal([300, 200, 100, 100, 300])], within="5h", now=from_epoch(world.now))
    assert plan.slots[0].start == from_epoch(world.now + 7200)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.sampled_from([0.0, 60.0, 1800.0]), st.integers(0, 3599))
def test_where_nothing_is_gained_nobody_waits(world, hours, pause_s, past_s):
    work = world.work(hours, within_h=20, flexibility=world.pausable(pause_s))
    plan = place(work, [world.candidate([481.3] * 24)], now_s=world.now + past_s)
    assert plan.slots[0].start == from_epoch(world.now + past_s)
    assert plan.expected.finish == plan.run_now.finish
