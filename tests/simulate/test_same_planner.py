"""The kernels are the planner, many jobs at a time: the same job gets the same grams and times from both."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.model import (
    CARBON,
    Flexibility,
    Length,
    Quality,
    QualityKind,
    Signal,
    Site,
    Workload,
    WorkloadKind,
)
from heliotrope.plan import Candidate, place
from heliotrope.plan.kernels import solve
from heliotrope.plan.kernels.shapes import Curves
from heliotrope.units import from_epoch
from simulate.helpers import batch, grid_csv, wave

NOW = 1_800_000_000 // 3600 * 3600
POWER_W = 700.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(50, 900).map(float), min_size=72, max_size=72), min_size=1, max_size=3),
    st.integers(1, 90),
    st.integers(0, 90),
    st.booleans(),
)
def test_the_kernels_agree_with_the_planner(rows, length, slack, pausable):
    length_s, slack_s = length * 900.0, slack * 900.0
    names = tuple(f"Z{i}" for i in range(len(rows)))
    quality = Quality(QualityKind.FORECAST, "test", "CC0", issued_at_s=NOW)
    candidates = [
        Candidate(
            Site(name=name, zone=name),
            Signal(CARBON, name, NOW, 3600, np.array(v), np.array(v), np.array(v), quality),
            None,
            POWER_W,
        )
        for name, v in zip(names, rows, strict=True)
    ]
    work = Workload(
        id="w",
        kind=WorkloadKind.BATCH,
        command=("true",),
        submitted_at=from_epoch(NOW),
        length=Length.known(length_s),
        flexibility=Flexibility(pausable=pausable),
        deadline=from_epoch(NOW + length_s + slack_s),
    )
    plan = place(work, candidates, now_s=NOW, home=names[0], horizon_s=72 * 3600.0)
    curves = Curves.of(names, np.array(rows))
    job = batch(0.0, length_s, slack_s, pausable=int(pausable), zones=tuple(range(len(rows))), power=POWER_W)
    slots = solve.cheapest_seconds(job, curves)
    assert math.isclose(plan.expected.carbon_g, solve.grams(slots, job, curves).sum(), rel_tol=1e-9)
    now = solve.run_now(job)
    assert math.isclose(plan.run_now.carbon_g, solve.grams(now, job, curves).sum(), rel_tol=1e-9)
    assert plan.bound_g <= solve.least_grams(job, curves)[0] * (1 + 1e-9)


REPLAYS = """
import sys
from pathlib import Path
if sys.argv[1] == "slow":
    sys.modules["numba"] = None
from heliotrope.plan.kernels import COMPILED
from heliotrope.simulate.scenario import Scenario, simulate
assert not (COMPILED and sys.argv[1] == "slow")
grid, folder = Path(sys.argv[2]), Path(sys.argv[3])
for name, policy, capacity in (("a", "helio", None), ("b", "gaia:carbon-time", None), ("c", "helio", "40")):
    out = folder / f"{sys.argv[1]}-{name}.csv"
    simulate(Scenario("synthetic:60", grid, zones="AA,BB", policy=policy, capacity=capacity, out=out))
"""


def test_without_numba_the_plan_is_the_same(tmp_path):
    """The extra `fast` makes it fast and nothing else: the slots agree line by line."""
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 20), "BB": wave(24 * 20, shift=5)})
    for speed in ("fast", "slow"):
        subprocess.run([sys.executable, "-c", REPLAYS, speed, grid, tmp_path], check=True, capture_output=True)
    for name in "abc":
        fast, slow = ((tmp_path / f"{speed}-{name}.csv").read_text() for speed in ("fast", "slow"))
        assert len(fast.splitlines()) > 60
        assert fast == slow
