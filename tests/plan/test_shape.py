"""Width, power and moves: equal to linear programmes and to every walk tried one by one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from heliotrope.plan.shape.elastic import fill, hull
from heliotrope.plan.shape.modes import Mode
from heliotrope.plan.shape.walk import Ground, best_walk
from heliotrope.plan.timeline import Timeline

rates = st.lists(st.integers(0, 50), min_size=2, max_size=6)
curves = st.lists(st.floats(0.3, 5.0), min_size=1, max_size=6)
HOUR = 3600.0


def line(values):
    return Timeline(0.0, HOUR * np.arange(len(values) + 1.0), np.array(values, dtype=float) / HOUR)


def elastic(speeds):
    return tuple(Mode(k, speed, 100.0 * k) for k, speed in enumerate(speeds, 1))


def best_by_lp(values, work, ways):
    """Shares of each step spent in each way, by HiGHS."""
    cost = [rate / HOUR * way.watts / ways[0].watts for rate in values for way in ways]
    speed = [way.speed for _ in values for way in ways]
    whole = np.kron(np.eye(len(values)), np.ones(len(ways)))
    found = linprog(cost, A_ub=whole, b_ub=np.full(len(values), HOUR), A_eq=[speed], b_eq=[work])
    return found.fun if found.status == 0 else math.inf


def work_of(legs, ways):
    return sum(ways[mode].speed * (end - start) for mode, start, end in legs)


def grams_of(legs, timeline, ways):
    return sum(timeline.integral(start, end) * ways[mode].watts / ways[0].watts for mode, start, end in legs)


@given(rates, curves, st.floats(0.05, 1.2))
@settings(max_examples=150)
def test_any_speedup_curve_equals_the_linear_programme(values, speeds, share):
    ways = elastic(speeds)
    work = share * max(speeds) * HOUR * len(values)
    found = fill(line(values), work, ways, 100.0)
    expected = best_by_lp(values, work, ways)
    if found is None:
        assert expected == math.inf
        return
    cost, legs = found
    assert cost == pytest.approx(expected, rel=1e-7, abs=1e-7)
    assert work_of(legs, ways) == pytest.approx(work)
    assert grams_of(legs, line(values), ways) == pytest.approx(cost, rel=1e-7, abs=1e-7)
    ends = [leg[1:] for leg in legs]
    assert all(a[1] <= b[0] + 1e-6 for a, b in itertools.pairwise(ends))


def carbonscaler(values, gains, work):
    """The peer's rule, written down anew: the (hour, next server) that does most work a gram, whole hours at a time."""
    width, done, cost = [0] * len(values), 0.0, 0.0
    while done < work - 1e-6:
        free = [i for i in range(len(values)) if width[i] < len(gains)]
        best = max(free, key=lambda i: (gains[width[i]] / max(values[i], 1e-12), -i))
        share = min(1.0, (work - done) / (gains[width[best]] * HOUR))
        cost += values[best] * share
        done += gains[width[best]] * HOUR * share
        width[best] += 1
    return cost


@given(rates, st.lists(st.floats(0.1, 1.0), min_size=1, max_size=6), st.floats(0.05, 1.0))
@settings(max_examples=120)
def test_on_concave_curves_carbonscalers_greedy_is_the_optimum(values, gains, share):
    gains = sorted((gain / max(gains) for gain in gains), reverse=True)
    ways = elastic(np.cumsum(gains))
    work = share * sum(gains) * HOUR * len(values)
    cost, _ = fill(line(values), work, ways, 100.0)
    assert carbonscaler(values, gains, work) == pytest.approx(cost, rel=1e-6, abs=1e-6)
    # Ways that cost almost the same are the same to a solver of linear programs.
    assert best_by_lp(values, work, ways) == pytest.approx(cost, rel=2e-5, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(1, 500)), min_size=1, max_size=9))
def test_the_hull_lies_below_every_point_and_is_convex(points):
    chain = [(0.0, 0.0), *(points[k] for k in hull(points)[1:])]
    slopes = [(d - b) / (c - a) for (a, b), (c, d) in itertools.pairwise(chain)]
    assert slopes == sorted(slopes)
    xs, ys = zip(*chain, strict=True)
    assert all(np.interp(x, xs, ys) <= y + 1e-6 for x, y in points)


def test_a_slower_leaner_way_is_taken_where_time_allows_and_left_where_it_does_not():
    ways = (Mode(1, 1.0, 400.0), Mode(1, 0.8, 240.0, 240.0))
    cost, legs = fill(line([10.0, 10.0, 10.0, 10.0]), 2 * HOUR, ways, 400.0)
    assert {leg[0] for leg in legs} == {1}
    assert cost == pytest.approx(2 / 0.8 * 10 * 0.6)
    assert {leg[0] for leg in fill(line([10.0, 10.0]), 2 * HOUR, ways, 400.0)[1]} == {0}


CELL = HOUR / 2


def ground(values, speeds, powers, lost_s, fee):
    """States: fresh, paused, then ways to run. Each change costs `lost_s` of running."""
    ways = len(speeds)
    states = ways + 2
    cost = np.zeros((states, len(values)))
    cost[2:] = np.outer(powers, values)
    lost, toll = np.full((states, states), lost_s, dtype=float), np.full((states, states), fee, dtype=float)
    for j in range(states):
        lost[j, j] = toll[j, j] = 0.0
    lost[:, :2] = 0.0
    toll[:, :2] = 0.0
    toll[1:, 0] = np.inf
    edges = HOUR * np.arange(len(values) + 1.0)
    return Ground(edges, cost, np.array([0.0, 0.0, *speeds]), lost, toll, np.zeros(len(values)))


def tried_one_by_one(values, speeds, powers, lost_s, fee, work):
    """Every way to use half hours; work is a multiple of what one can do, so some optimum is among them or below."""
    cells = np.repeat(values, 2) / 2
    ways = len(speeds)
    best = math.inf
    for used in itertools.product(range(-1, ways), repeat=len(cells)):
        net, cost, last = 0.0, 0.0, -1
        for cell, way in zip(cells, used, strict=True):
            if way >= 0:
                net += speeds[way] * CELL
                cost += powers[way] * cell
                if way != last:
                    net -= speeds[way] * lost_s
                    cost += fee
            last = way
        if abs(net - work) < 1e-6:
            best = min(best, cost)
    return best


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=3),
    st.integers(1, 6),
    st.sampled_from([0.0, CELL]),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([((1.0,), (1.0,)), ((1.0, 2.0), (1.0, 2.5)), ((1.0, 2.0), (1.0, 1.5)), ((2.0, 3.0), (2.0, 2.5))]),
)
@settings(max_examples=80)
def test_no_walk_tried_one_by_one_is_better(values, units, lost_s, fee, ways):
    speeds, powers = ways
    work = units * CELL
    found = best_walk(ground(values, speeds, powers, lost_s, fee), work, 0)
    expected = tried_one_by_one(values, speeds, powers, lost_s, fee, work)
    if found is None:
        assert expected == math.inf
        return
    assert found.cost <= expected + 1e-6
    assert found.bound == found.cost
    # What the walk says it does, it does: net of what each change takes.
    net, cost, last, end = 0.0, 0.0, 0, -1.0
    timeline = line(values)
    for state, start, stop in found.stays:
        changed = state != last or start > end + 1e-6
        net += speeds[state - 2] * (stop - start - (lost_s if changed else 0.0))
        cost += powers[state - 2] * timeline.integral(start, stop) + (fee if changed else 0.0)
        last, end = state, stop
    assert net == pytest.approx(work, abs=1e-3)
    assert cost == pytest.approx(found.cost, abs=1e-6)


@given(rates, st.floats(0.3, 3.0), st.floats(1.0, 1000.0))
@settings(max_examples=40)
def test_one_way_to_run_equals_the_kernel_for_pauses(values, hours, pause_s):
    from heliotrope.plan.shape.suspend import best_pieces

    work = min(hours, len(values) - 0.3) * HOUR
    known = best_pieces(line(values), work, pause_s)
    around = ground(values, (1.0,), (1.0,), pause_s, 0.0)
    around.lost_s[0, 2] = 0.0
    found = best_walk(around, work, 0)
    assert found.cost == pytest.approx(known[0], rel=1e-6, abs=1e-6)


def test_waiting_has_a_price_where_the_due_time_has_passed():
    values = [30.0, 20.0, 10.0, 5.0]
    late = ground(values, (1.0,), (1.0,), 0.0, 0.0)
    assert best_walk(late, HOUR, 0).stays == [(2, 3 * HOUR, 4 * HOUR)]
    late.hold[2:] = 8.0
    assert best_walk(late, HOUR, 0).stays == [(2, 2 * HOUR, 3 * HOUR)]
    late.hold[2:] = 50.0
    assert best_walk(late, HOUR, 0).stays == [(2, HOUR, 2 * HOUR)]
