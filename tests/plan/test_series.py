"""Work in many parts: every order kept, every turn in its window, and nothing better among all tries."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.plan.series import Graph, Rhythm, Step, lay, recurring

HOUR = 3600.0
LAST = 7


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 4))
    steps = []
    for j in range(count):
        before = tuple(f"s{i}" for i in range(j) if draw(st.booleans()))
        steps.append(
            Step(
                f"s{j}",
                draw(st.integers(1, 2)) * HOUR,
                draw(st.integers(1, 5)) * 1000.0,
                draw(st.integers(1, 2)),
                before,
            )
        )
    return Graph(tuple(steps), draw(st.sampled_from([None, 2, 3])))


def every_way(graph, values):
    best = math.inf
    lengths = [int(step.length_s / HOUR) for step in graph.steps]
    for starts in itertools.product(*(range(LAST - n + 1) for n in lengths)):
        begins = dict(zip((s.name for s in graph.steps), starts, strict=True))
        ends = {s.name: begins[s.name] + n for s, n in zip(graph.steps, lengths, strict=True)}
        if any(ends[b] > begins[s.name] for s in graph.steps for b in s.after):
            continue
        held = np.zeros(LAST)
        for s in graph.steps:
            held[begins[s.name] : ends[s.name]] += s.devices
        if graph.devices is not None and held.max() > graph.devices:
            continue
        best = min(best, sum(s.power_w / 1000 * values[begins[s.name] : ends[s.name]].sum() for s in graph.steps))
    return best


@given(graphs(), st.lists(st.integers(1, 900), min_size=LAST, max_size=LAST))
@settings(max_examples=60)
def test_no_order_of_starts_is_better(world, graph, values):
    values = np.array(values, dtype=float)
    expected = every_way(graph, values)
    told = {"now_s": world.now, "deadline_s": world.now + LAST * HOUR, "grain_s": HOUR}
    if expected == math.inf:
        with pytest.raises(Infeasible):
            lay(graph, world.signal(values), **told)
        return
    laid = lay(graph, world.signal(values), **told)
    assert laid.carbon_g == pytest.approx(expected, rel=1e-6)
    assert laid.bound_g == pytest.approx(expected, rel=1e-4)
    ends = {s.name: laid.starts_s[s.name] + s.length_s for s in graph.steps}
    assert all(ends[b] <= laid.starts_s[s.name] + 1e-6 for s in graph.steps for b in s.after)
    assert max(ends.values()) <= world.now + LAST * HOUR + 1e-6


def test_graphs_that_cannot_be_say_why(world):
    signal = world.signal([100.0] * 24)
    chain = (Step("a", 3 * HOUR, 1.0), Step("b", 4 * HOUR, 1.0, after=("a",)))
    told = {"now_s": world.now, "deadline_s": world.now + 6 * HOUR}
    with pytest.raises(Infeasible) as refused:
        lay(Graph(chain), signal, **told)
    assert "60 min later would do" in refused.value.hint
    for steps, words in (
        ((Step("a", 1.0, 1.0, after=("b",)), Step("b", 1.0, 1.0, after=("a",))), "circle"),
        ((Step("a", 1.0, 1.0), Step("a", 1.0, 1.0)), "one name"),
        ((Step("a", 1.0, 1.0, after=("z",)),), "not there"),
    ):
        with pytest.raises(InvalidInput, match=words):
            lay(Graph(steps), signal, **told)
    with pytest.raises(Infeasible, match="more devices"):
        lay(Graph((Step("a", 1.0, 1.0, devices=4),), devices=2), signal, **told)


def test_every_turn_has_its_own_best_window(world):
    values = ([400.0] * 3 + [100.0] * 3) * 8
    plans = recurring(world.work(2), Rhythm(6 * HOUR, 8, 6 * HOUR), [world.candidate(values)], now_s=world.now)
    assert len(plans) == 8
    for turn, plan in enumerate(plans):
        assert plan.workload == f"w/{turn + 1}"
        assert plan.slots[0].start.timestamp() == world.now + (6 * turn + 3) * HOUR
    assert (
        len(recurring(world.work(2), Rhythm(6 * HOUR, 99, 6 * HOUR), [world.candidate(values)], now_s=world.now)) == 8
    )


def test_rhythms_that_overlap_or_never_come_are_refused(world):
    with pytest.raises(ValueError, match="within_s"):
        Rhythm(HOUR, 3, 2 * HOUR)
    with pytest.raises(ValueError, match="1 time"):
        Rhythm(HOUR, 0, HOUR)
    with pytest.raises(InvalidInput, match="rhythm"):
        recurring(world.work(1, within_h=3), Rhythm(HOUR, 1, HOUR), [world.candidate([1.0] * 9)], now_s=world.now)
