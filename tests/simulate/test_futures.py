"""Forecasts, unknown lengths, sweeps, Slurm's past: what is known when, and nothing earlier."""

from __future__ import annotations

import itertools
import json
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import HelioError, InvalidInput, UsageError
from heliotrope.plan.kernels import rolling, solve
from heliotrope.plan.kernels.shapes import Curves
from heliotrope.plan.kernels.world import Belief, World
from heliotrope.simulate import beliefs
from heliotrope.simulate.picture import Bar, stacked
from heliotrope.simulate.scenario import Scenario, simulate
from heliotrope.simulate.sweep import parsed, sweep
from simulate.helpers import SHARED, Stranger, batch, grid_csv, helio, simulated, wave

HOURS = 24 * 60
SVG = "{http://www.w3.org/2000/svg}"


def noisy(hours: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 8, hours))
    walk -= np.linspace(0, walk[-1], hours)
    return [round(max(20.0, float(a + b)), 2) for a, b in zip(wave(hours), walk, strict=True)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 99).map(float), min_size=30, max_size=30), st.integers(1, 9), st.integers(0, 9))
def test_believing_the_truth_is_knowing_it(values, length, slack):
    """A forecast that is always right, re-planned hourly, ends where foresight does."""
    curves = Curves.of(("Z",), np.array([values]))
    truth = np.stack([np.roll(values, -i) for i in range(30)])[None].astype(np.float32)
    world = World(
        curves, 0, lambda: (1.0, 1.0), lambda: np.ones(1), lambda _: None, Belief(truth, np.zeros(1, dtype=np.int32))
    )
    job = batch(0.0, length * 3600.0, slack * 3600.0)
    slots = rolling.replanned(job, world)
    best = solve.cheapest_seconds(job, curves)
    assert math.isclose(solve.grams(slots, job, curves).sum(), solve.grams(best, job, curves).sum(), rel_tol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(100, 40_000), st.floats(0, 90_000), st.floats(0, 7000), st.booleans())
def test_any_belief_ends_whole_and_on_time(seed, length, slack, submitted, pausable):
    rng = np.random.default_rng(seed)
    curves = Curves.of(("Z",), rng.uniform(1, 99, (1, 60)))
    table = rng.uniform(1, 99, (1, 60, 30)).astype(np.float32)
    world = World(
        curves, 0, lambda: (1.0, 1.0), lambda: np.ones(1), lambda _: None, Belief(table, np.zeros(1, dtype=np.int32))
    )
    job = batch(submitted, length, slack, pausable=int(pausable))
    slots = rolling.replanned(job, world)
    assert abs((slots.end_s - slots.start_s).sum() - length) < 1e-3
    assert slots.start_s[0] >= submitted
    assert slots.end_s.max() <= submitted + length + slack + 1e-3
    assert pausable or len(slots) == 1


def test_nothing_leaks_from_the_future():
    """Change what comes after an hour: no forecast issued up to it changes."""
    values = np.array(noisy(HOURS, 1))
    changed = values.copy()
    cut = 24 * 45
    changed[cut:] *= 3.0
    given_ = np.array(noisy(HOURS, 2))
    for make in (
        beliefs.naive,
        lambda v: beliefs.own(v, 0, 0),
        lambda v: beliefs.overlaid(beliefs.naive(v), v, given_, 0),
    ):
        before, after = make(values)[: cut + 1], make(changed)[: cut + 1]
        assert np.allclose(before, after, rtol=1e-9), "a forecast knew what had not happened"


def test_a_good_forecast_file_keeps_more_than_none(tmp_path):
    values = noisy(HOURS, 3)
    grid = grid_csv(tmp_path / "g.csv", {"AA": values})
    good = grid_csv(tmp_path / "f.csv", {"AA": [round(v * 1.02, 2) for v in values]})
    ask = {"slack_s": 12 * 3600.0}
    kept = {
        f: simulate(Scenario("synthetic:3000", grid, forecast=f, **ask)).kept_share
        for f in (str(good), "none", "perfect")
    }
    assert kept["none"] < kept[str(good)] < 1.0 + 1e-9 == pytest.approx(kept["perfect"])
    bad = grid_csv(tmp_path / "b.csv", {"XX": values})
    with pytest.raises(InvalidInput, match="no such zone"):
        simulate(Scenario("synthetic:10", grid, forecast=str(bad), **ask))


def test_unknown_lengths_at_no_longer_wait():
    """At Carbon-Time's mean wait and cost, most of what knowing everything would bring."""
    jobs, grid = SHARED / "jobs/pai_1k_seconds.csv", SHARED / "grid/intensity_2022_hourly.csv"
    if not jobs.exists():
        pytest.skip("the shared data (pai_1k, intensities of 2022) is not here")
    for zone in ("AU-SA", "US-CAL-CISO", "DE"):
        theirs, ours, best = (
            simulate(Scenario(str(jobs), grid, policy=p, zones=zone, start_hour=7000, wait_short_s=6 * 3600.0))
            for p in ("gaia:carbon-time", "helio:online", "gaia:wait-awhile")
        )
        assert ours.mean_wait_s <= theirs.mean_wait_s
        assert ours.deadline_misses == ours.violations == 0
        assert (ours.saving - theirs.saving) / (best.saving - theirs.saving) >= 0.6


def test_unknown_lengths_are_not_looked_at(tmp_path):
    """Two jobs alike but for their end run alike until the shorter ends."""
    grid = grid_csv(tmp_path / "g.csv", {"AA": noisy(24 * 20, 5)})
    lengths = [9000, 20_000, 40_000, 70_000] * 10
    (tmp_path / "j.csv").write_text(
        "submitted,length_s,devices\n" + "".join(f"5000,{length},1\n" for length in lengths)
    )
    out = tmp_path / "s.csv"
    simulate(Scenario(str(tmp_path / "j.csv"), grid, policy="helio:online", out=out))
    slots = Stranger(tmp_path / "j.csv", grid, out).slots
    longest = slots["3"]
    for shorter in ("0", "1", "2"):
        for (a, b, *_), (c, d, *_) in zip(slots[shorter], longest, strict=False):
            assert a == pytest.approx(c)
            assert b <= d + 1e-6


def test_a_sweep_is_a_row_a_setting(tmp_path):
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 20)})
    out = tmp_path / "r.parquet"
    done = helio(
        "--jobs", "synthetic:200", "--grid", grid, "--sweep", "slack=0h,6h,24h", "--sweep", "policy=run-now,helio",
        "--results", out, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["settings"]["slack"] for r in rows] == ["0h", "0h", "6h", "6h", "24h", "24h"]
    savings = [r["result"]["saving"] for r in rows if r["settings"]["policy"] == "helio"]
    assert savings == sorted(savings)
    assert savings[0] == pytest.approx(0.0)
    pq = pytest.importorskip("pyarrow.parquet", reason="the parquet extra is not installed")
    table = pq.read_table(out).to_pylist()
    assert len(table) == 6
    assert table[-1]["saving"] == pytest.approx(rows[-1]["result"]["saving"])
    with pytest.raises(UsageError, match="slack"):
        parsed(["slak=1h"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["slack="], "no values"),
        (["slack=6h,"], "no values"),
        (["slack=6h", "slack=7h"], "twice"),
        (["start-hour=x"], "not a number"),
        (["slack=x"], "not a duration"),
        (["policy=helio,nope"], "no such policy"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_anything_is_tried(tmp_path, asked, said):
    with pytest.raises(HelioError, match=said):
        next(sweep(Scenario("nowhere.csv", tmp_path / "nowhere.csv"), parsed(asked)))


def test_a_sweep_overwrites_no_slots(tmp_path):
    with pytest.raises(UsageError, match="--results"):
        next(sweep(Scenario("j.csv", tmp_path / "g.csv", out=tmp_path / "s.csv"), parsed(["slack=6h,7h"])))


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("default")
def test_a_sweep_on_ray_is_the_same_sweep(tmp_path):
    pytest.importorskip("ray", reason="the ray extra is not installed")
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 20)})
    base = Scenario("synthetic:200", grid)
    axes = parsed(["slack=1h,24h"])
    here = [r.result.carbon_g for r in sweep(base, axes)]
    there = [r.result.carbon_g for r in sweep(base, axes, on_ray=True)]
    assert here == there


SACCT = """JobID|Submit|ElapsedRaw|AllocCPUS|AllocTRES|ConsumedEnergyRaw|State
100|2024-03-01T05:00:00|7200|8|billing=8,cpu=8,mem=1G,node=1|1440000|COMPLETED
100.batch|2024-03-01T05:00:00|7200|8|cpu=8||COMPLETED
101|2024-03-01T04:00:00|3600|4|billing=4,cpu=4,gres/gpu=2,node=1||COMPLETED
102|2024-03-01T06:00:00|0|4|||CANCELLED
"""


def test_a_teams_own_past_from_slurm(tmp_path):
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(96)})
    (tmp_path / "sacct.txt").write_text(SACCT)
    out = tmp_path / "s.csv"
    found = simulated("--from-slurm", tmp_path / "sacct.txt", "--grid", grid, "--policy", "run-now", "--out", out)
    assert found["jobs"] == 2
    assert any("never ran" in flag for flag in found["flags"])
    assert out.read_text().splitlines()[1:] == [
        "101,AA,2024-03-01T04:00:00Z,2024-03-01T05:00:00Z,2,2",
        "100,AA,2024-03-01T05:00:00Z,2024-03-01T07:00:00Z,8,200",
    ]
    (tmp_path / "sacct.txt").write_text(SACCT.replace("ElapsedRaw", "Elapsed"))
    with pytest.raises(InvalidInput, match="ElapsedRaw"):
        simulate(Scenario(str(tmp_path / "sacct.txt"), grid, from_slurm=True))


HEAD = "JobID|Submit|ElapsedRaw|AllocCPUS|AllocTRES|ConsumedEnergyRaw|State\n"


def test_what_slurm_writes_where_it_does_not_know(tmp_path):
    """Typed GPUs only, an energy of 2^64 - 2 J, a job that still runs."""
    path, out = tmp_path / "sacct.txt", tmp_path / "s.csv"
    path.write_text(
        HEAD + "7_1|2024-03-01T05:00:00|3600|16|cpu=16,gres/gpu:a100=3|18446744073709551614|COMPLETED\n"
        "8|2024-03-01T06:00:00|60|4|cpu=4||RUNNING\n"
    )
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(96)})
    found = simulate(Scenario(str(path), grid, policy="run-now", from_slurm=True, out=out))
    assert out.read_text().splitlines()[1:] == ["7_1,AA,2024-03-01T05:00:00Z,2024-03-01T06:00:00Z,3,3"]
    assert any("1 jobs left out: nobody knows" in flag for flag in found.flags)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("9|2024-03-01T05:00:00", ":3: a line with another number"),
        ("9|Unknown|60|1|||COMPLETED", ":3: Submit"),
        ("9|2024-03-01T05:00:00|nan|1|||COMPLETED", ":3: ElapsedRaw"),
        ("9|2021-03-01T05:00:00|60|1|||COMPLETED", ":3: submitted: not possible.*2021-03-01 05:00"),
    ],
)
def test_a_past_that_cannot_be_read_is_refused_by_line(tmp_path, line, said):
    """Also where jobs came in another order than that of the file."""
    path = tmp_path / "sacct.txt"
    path.write_text(f"{HEAD}100|2024-03-01T05:00:00|7200|1|||COMPLETED\n{line}\n")
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(96)})
    with pytest.raises(InvalidInput) as refused:
        simulate(Scenario(str(path), grid, from_slurm=True))
    assert re.search(said, str(refused.value), re.DOTALL)


BARS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(1, 8)), min_size=1, max_size=25)


@given(BARS)
def test_no_two_jobs_of_the_picture_stand_on_the_same_devices(drawn):
    bars = [Bar(i, str(i), float(a), float(a + n), float(d)) for i, (a, n, d) in enumerate(drawn)]
    found = stacked(bars)
    assert sorted(bar.job for bar in found) == list(range(len(bars)))
    for one, other in itertools.combinations(found, 2):
        apart = one.end <= other.start or other.end <= one.start
        above = one.foot >= other.foot + other.devices or other.foot >= one.foot + one.devices
        assert apart or above


def test_the_picture_of_a_week_has_a_block_a_job(tmp_path):
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 10), "BB": wave(24 * 10, shift=11)})
    (tmp_path / "j.csv").write_text("id,submitted,length_s,devices\n<a>,0,7200,2\nb,90000,3600,4\n")
    asked = {"zones": "any", "out": tmp_path / "s.csv", "picture": tmp_path / "week.svg"}
    simulate(Scenario(str(tmp_path / "j.csv"), grid, **asked))
    root = ET.fromstring((tmp_path / "week.svg").read_text())
    blocks = [rect for rect in root.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    told = [block.find(f"{SVG}title").text for block in blocks]
    slots = (tmp_path / "s.csv").read_text().splitlines()[1:]
    assert len(blocks) == len(slots)
    assert sorted({title.split(": ")[0] for title in told}) == ["<a>", "b"]
    area = {
        title[0]: float(block.get("width")) * float(block.get("height"))
        for title, block in zip(told, blocks, strict=True)
    }
    assert area["<"] == pytest.approx(area["b"], rel=0.02)  # both are four device-hours


def test_the_picture_is_drawn(tmp_path):
    grid = grid_csv(tmp_path / "g.csv", {"AA": wave(24 * 20), "BB": wave(24 * 20, shift=11)})
    out = tmp_path / "week.svg"
    simulate(Scenario("synthetic:500", grid, zones="any", picture=out))
    root = ET.fromstring(out.read_text())
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert {"AA", "BB"} <= set(texts)
