"""Routing: equal to the whole linear programme, never beyond a limit, and cheap to ask again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.model import Site, Tier
from heliotrope.plan.routing import Answer, Requests, Router, Target, route
from heliotrope.plan.routing.transport import Transport


@st.composite
def problems(draw):
    classes, sites = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    cost = rng.uniform(0, 1, (classes, sites))
    cost[rng.random((classes, sites)) < 0.3] = np.inf
    return cost, rng.uniform(0.5, 2, (classes, sites)), rng.uniform(1, 5, classes), rng.uniform(0, 12, sites)


def whole_programme(cost, load, demand, capacity):
    """Everything at once: least unserved first, then least cost."""
    classes, sites = cost.shape
    pairs = [(r, s) for r in range(classes) for s in range(sites) if np.isfinite(cost[r, s])]
    dear = 1e3 * max([1.0, *(cost[p] for p in pairs)])
    columns = classes + len(pairs)
    equal, most = np.zeros((classes, columns)), np.zeros((sites, columns))
    equal[:, :classes] = np.eye(classes)
    for k, (r, s) in enumerate(pairs):
        equal[r, classes + k] = 1.0
        most[s, classes + k] = load[r, s]
    found = linprog([dear] * classes + [cost[p] for p in pairs], A_ub=most, b_ub=capacity, A_eq=equal, b_eq=demand)
    return found.x[:classes].sum(), sum(cost[p] * x for p, x in zip(pairs, found.x[classes:], strict=True))


@given(problems(), st.integers(0, 5))
@settings(max_examples=80)
def test_few_columns_equal_the_whole_programme_also_when_asked_again(problem, seed):
    cost, load, demand, capacity = problem
    transport = Transport()
    rng = np.random.default_rng(seed)
    for _ in range(3):
        flow = transport.solve(cost, load, demand, capacity)
        unserved, grams = whole_programme(cost, load, demand, capacity)
        assert flow.unserved.sum() == pytest.approx(unserved, abs=1e-6)
        assert flow.cost == pytest.approx(grams, rel=1e-5, abs=1e-5)
        sent = np.zeros_like(cost)
        sent[flow.rows, flow.columns] = flow.amount
        assert np.allclose(sent.sum(axis=1) + flow.unserved, demand)
        assert ((sent * load).sum(axis=0) <= capacity + 1e-6).all()
        assert not sent[~np.isfinite(cost)].any()
        cost = np.where(rng.random(cost.shape) < 0.2, np.inf, rng.uniform(0, 1, cost.shape))
        demand, capacity = demand * rng.uniform(0.5, 1.5), capacity * rng.uniform(0.5, 1.5)


BOTH = {Tier.EDGE: Answer(2.0, 0.1), Tier.CENTRAL: Answer(20.0, 0.05)}
SITES = (
    Site("field", "SE", tier=Tier.EDGE, jurisdiction="EU"),
    Site("hall", "DE", tier=Tier.CENTRAL, jurisdiction="EU"),
    Site("far", "US", tier=Tier.CENTRAL, jurisdiction="US"),
)
MS = {("field", "hall"): 30.0, ("field", "far"): 120.0}


def latency(a, b):
    return MS.get((a, b), MS.get((b, a)))


def targets(edge=1.0, hall=10.0, far=10.0):
    return [Target(site, 400.0, devices) for site, devices in zip(SITES, (edge, hall, far), strict=True)]


def test_the_edge_answers_until_it_is_full_and_the_rest_says_why():
    made = route([Requests("chat", "field", 20.0, BOTH, limit_ms=50.0)], targets(), latency)
    shares = {r.site: r.share for r in made.routes}
    assert shares == pytest.approx({"field": 0.5, "hall": 0.5})
    assert "field is full" in next(r.reason for r in made.routes if r.site == "hall")
    # One more device at the edge takes ten requests a second from the hall: 18 J each at 400 g/kWh.
    assert made.scarcity == pytest.approx({"field": 10 * 18 * 400 / 3.6e6})
    assert made.g_per_s == pytest.approx((10 * 2 + 10 * 20) * 400 / 3.6e6)
    assert made.nearest_g_per_s <= made.g_per_s


def test_latency_law_and_tier_are_never_broken():
    law = Requests("mail", "field", 1.0, {Tier.CENTRAL: Answer(20.0, 0.05)}, jurisdictions=("US",), limit_ms=200.0)
    assert {r.site for r in route([law], targets(), latency).routes} == {"far"}
    near = Requests("voice", "field", 1.0, {Tier.CENTRAL: Answer(20.0, 0.05)}, limit_ms=20.0)
    with pytest.raises(Infeasible, match="voice") as refused:
        route([near], targets(), latency)
    assert "allow 30 ms to hall" in refused.value.hint
    lawless = Requests("x", "field", 1.0, BOTH, jurisdictions=("CH",))
    with pytest.raises(Infeasible, match="no site may answer"):
        route([lawless], targets(), latency)


def test_too_many_requests_say_how_many_devices_are_missing():
    with pytest.raises(Infeasible, match="every request") as refused:
        route([Requests("chat", "field", 100.0, BOTH, limit_ms=50.0)], targets(0.0, 4.0, 0.0), latency)
    assert "chat 20/s" in refused.value.cause
    assert "1 more devices" in refused.value.hint


def test_as_the_grid_turns_a_router_follows():
    router = Router(latency)
    asks = [Requests("chat", "field", 20.0, {Tier.CENTRAL: Answer(20.0, 0.05)})]
    for clean, name in ((0, "hall"), (1, "far"), (0, "hall")):
        there = [Target(site, 50.0 if i == clean else 500.0, 10.0) for i, site in enumerate(SITES[1:])]
        assert [r.site for r in router.routes(asks, there).routes] == [name]


@pytest.mark.parametrize(
    ("asks", "there"),
    [
        (Requests("a", "field", 0.0, BOTH), targets()),
        (Requests("a", "field", 1.0, {Tier.EDGE: Answer(-1.0, 0.1)}), targets()),
        (Requests("a", "field", 1.0, BOTH), []),
        (Requests("a", "field", 1.0, BOTH), [Target(SITES[0], float("nan"), 1.0)]),
    ],
)
def test_bad_input_is_named(asks, there):
    with pytest.raises(InvalidInput):
        route([asks], there, latency)
