"""Many workloads of which some may pause: never worse than in one piece, every limit kept, the bound a bound."""

import json

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.cli.root import helio
from heliotrope.errors import Infeasible
from heliotrope.plan.joint import solve
from heliotrope.plan.joint.problem import problem
from heliotrope.plan.joint.solve import bound
from heliotrope.plan.joint.verify import Certificate, Held, verify
from heliotrope.plan.kernels.shapes import Batch, Curves


def curves(values):
    values = np.asarray(values, dtype=float)
    return Curves.of(tuple(f"Z{i}" for i in range(len(values))), values)


def jobs_of(rows, n_zones, step_s=900.0):
    """Rows of (submitted, length, slack, devices, watts, may pause), times in steps; any zone will do."""
    columns = np.array(rows, dtype=float)
    return Batch(
        first=0,
        submitted_s=columns[:, 0] * step_s,
        length_s=columns[:, 1] * step_s,
        devices=columns[:, 3].copy(),
        power_w=columns[:, 4].copy(),
        slack_s=columns[:, 2] * step_s,
        pausable=columns[:, 5].astype(np.int8),
        movable=np.zeros(len(rows), np.int8),
        places=np.zeros(len(rows), np.int32),
        sets=np.arange(n_zones, dtype=np.int32),
        sets_ptr=np.array([0, n_zones], dtype=np.int32),
        flexible=True,
    )


def verdict_of(jobs, grid, room, found):
    slots = found.slots
    held = Held(slots.job, slots.zone, slots.start_s, slots.end_s, jobs.devices[slots.job])
    price = tuple(map(tuple, found.price.tolist()))
    proof = Certificate(grid.zones, grid.end_s / found.price.shape[1], price, found.carbon_g, found.bound_g)
    return verify(jobs, grid, room, held, proof)


def in_one_piece(jobs):
    return msgspec.structs.replace(jobs, pausable=np.zeros_like(jobs.pausable))


def random_jobs(rng, count, hours, n_zones, step_s=900.0):
    per_hour = int(3600 / step_s)
    rows = []
    for _ in range(count):
        length, slack = rng.integers(1, 5 * per_hour), rng.integers(0, 12 * per_hour)
        release = rng.integers(0, hours * per_hour - length - slack + 1)
        width = int(rng.choice([1, 2, 4]))
        rows.append((release, length, slack, width, width * rng.uniform(100, 400), rng.random() < 0.5))
    return jobs_of(rows, n_zones, step_s)


@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([900.0, 137.0]), st.floats(0.15, 1.0))
@settings(max_examples=8, deadline=None)
def test_no_limit_is_broken_and_nothing_is_worse_than_in_one_piece(seed, count, step_s, room):
    rng = np.random.default_rng(seed)
    grid = curves(rng.uniform(20, 600, (2, 36)))
    jobs = random_jobs(rng, count, 30, 2, step_s)
    capacity = (max(4.0, round(count * room)),) * 2
    try:
        whole = solve(problem(in_one_piece(jobs), grid, capacity)).carbon_g
    except Infeasible:
        whole = np.inf
    try:
        found = solve(problem(jobs, grid, capacity))
    except Infeasible:
        assert whole == np.inf
        return
    verdict = verdict_of(jobs, grid, capacity, found)
    assert verdict.faults == ()
    assert verdict.carbon_g == pytest.approx(found.carbon_g, rel=1e-9)
    assert verdict.bound_g == pytest.approx(found.bound_g, rel=1e-9)
    assert found.carbon_g <= whole * (1 + 1e-9)
    assert found.bound_g <= found.carbon_g * (1 + 1e-9)


def least_by_program(jobs, grid, room):
    """The optimum by a program of its own: a column for each quarter hour that each job may hold in each zone."""
    import highspy

    program, rows, n = highspy.Highs(), {}, 0
    program.setOptionValue("output_flag", False)
    for j in range(len(jobs)):
        first, cells = int(jobs.submitted_s[j] / 900), int(jobs.length_s[j] / 900)
        until = first + cells + int(jobs.slack_s[j] / 900)
        for z in range(len(grid.zones)):
            program.addVar(0.0, 1.0)
            program.changeColIntegrality(n, highspy.HighsVarType.kInteger)
            rows.setdefault(("one zone", j), []).append((n, 1.0))
            rows.setdefault(("all its work", j, z), []).append((n, -float(cells)))
            n += 1
            starts = range(first, until if jobs.pausable[j] else until - cells + 1)
            for c in starts:
                held = [c] if jobs.pausable[j] else range(c, c + cells)
                grams = sum(jobs.power_w[j] / 3.6e6 * grid.values[z, h // 4] * 900 for h in held)
                program.addVar(0.0, 1.0)
                program.changeColCost(n, float(grams))
                program.changeColIntegrality(n, highspy.HighsVarType.kInteger)
                rows[("all its work", j, z)].append((n, float(len(held) if not jobs.pausable[j] else 1)))
                for h in held:
                    rows.setdefault(("room", z, h), []).append((n, float(jobs.devices[j])))
                n += 1
    for name, entries in rows.items():
        low, high = (0.0, room[name[1]]) if name[0] == "room" else (1.0, 1.0) if name[0] == "one zone" else (0.0, 0.0)
        columns, values = zip(*entries, strict=True)
        program.addRow(low, high, len(entries), np.array(columns, dtype=np.int32), np.array(values))
    program.run()
    if program.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return None
    assert program.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return program.getInfo().objective_function_value


def test_the_best_of_all_lies_between_bound_and_plan():
    """Against a program that knows nothing of prices: bound <= optimum <= plan, and exactly it for one job."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        count = 1 if seed < 3 else int(rng.integers(2, 9))
        grid, room = curves(rng.uniform(20, 600, (2, 20))), (4.0, 5.0)
        jobs = random_jobs(rng, count, 18, 2)
        best = least_by_program(jobs, grid, room)
        if best is None:
            with pytest.raises(Infeasible):
                solve(problem(jobs, grid, room))
            continue
        found = solve(problem(jobs, grid, room))
        assert found.bound_g <= best * (1 + 1e-9)
        assert best <= found.carbon_g * (1 + 1e-9)
        assert count > 1 or found.carbon_g == pytest.approx(best)


def test_any_prices_give_a_bound():
    rng = np.random.default_rng(3)
    grid, jobs = curves(rng.uniform(20, 600, (2, 30))), random_jobs(rng, 30, 24, 2)
    question = problem(jobs, grid, (12.0, 12.0))
    best = solve(question)
    for scale in (0.0, 1e-6, 1e-4, 1e-2):
        assert bound(question, rng.random((2, 30)) * scale) <= best.carbon_g


def test_pausing_makes_room_where_one_piece_has_none():
    """One device: a short job has the middle hour and no other, so a long one is done on either side of it."""
    grid = curves([[300.0] * 3])
    jobs = jobs_of([(0, 8, 4, 1, 100, 1), (4, 4, 0, 1, 100, 0)], 1)
    with pytest.raises(Infeasible):
        solve(problem(in_one_piece(jobs), grid, (1.0,)))
    found = solve(problem(jobs, grid, (1.0,)))
    assert found.slots.job.tolist() == [0, 0, 1]
    assert found.slots.start_s.tolist() == [0.0, 7200.0, 3600.0]
    assert found.slots.end_s.tolist() == [3600.0, 10800.0, 7200.0]
    assert verdict_of(jobs, grid, (1.0,), found).faults == ()


def test_a_strangers_pieces_are_checked():
    grid = curves([[100.0, 300.0, 100.0, 300.0], [200.0] * 4])
    jobs = jobs_of([(0, 8, 8, 1, 100, 1)], 2)
    found = solve(problem(jobs, grid, (1.0, 1.0)))
    assert found.slots.start_s.tolist() == [0.0, 7200.0]
    good = Held(found.slots.job, found.slots.zone, found.slots.start_s, found.slots.end_s, np.ones(2))
    assert verify(jobs, grid, (1.0, 1.0), good).faults == ()
    for words, bad in (
        ("has ended", msgspec.structs.replace(good, start_s=np.array([0.0, 1800.0]), end_s=np.array([3600.0, 5400.0]))),
        ("may not move", msgspec.structs.replace(good, zone=np.array([0, 1]))),
        ("as long as", msgspec.structs.replace(good, end_s=good.end_s - 60.0)),
    ):
        faults = verify(jobs, grid, (1.0, 1.0), bad).faults
        assert any(words in fault for fault in faults), (words, faults)
    assert any("may not pause" in fault for fault in verify(in_one_piece(jobs), grid, (1.0, 1.0), good).faults)


def test_helio_plan_pauses_who_says_so(tmp_path):
    """The jobs file decides: `pausable` yes, no, or no such column, which is no."""
    hours = [f"2026-01-01T{h:02d}:00Z,{100 if h % 2 else 400}" for h in range(12)]
    (tmp_path / "grid.csv").write_text("\n".join(["time,DE", *hours]) + "\n")
    args = ["--grid", str(tmp_path / "grid.csv"), "--capacity", "4", "--home", str(tmp_path), "--json"]
    carbon = {}
    for told, lines in (("yes", ",pausable 1"), ("no", ",pausable 0"), ("unsaid", "")):
        name, _, value = lines.partition(" ")
        rows = [f"j{i},0,7200,1,1000,36000{',' + value if value else ''}" for i in range(4)]
        (tmp_path / "jobs.csv").write_text("\n".join([f"id,submitted,length_s,devices,power_w,deadline{name}", *rows]))
        asked = ["--jobs", str(tmp_path / "jobs.csv"), *args]
        made = CliRunner().invoke(helio, ["plan", *asked, "--out", str(tmp_path / "slots.csv")])
        assert made.exit_code == 0, made.output
        carbon[told] = json.loads(made.stdout)["carbon_g"]
        checked = CliRunner().invoke(helio, ["plan", "verify", str(tmp_path / "slots.csv"), *asked])
        verdict = json.loads(checked.stdout)
        assert verdict["holds"] is True, verdict
        assert verdict["slots"] == (8 if told == "yes" else 4)
        assert verdict["carbon_g"] == pytest.approx(carbon[told], rel=1e-6)
    assert carbon == pytest.approx({"yes": 800.0, "no": 2000.0, "unsaid": 2000.0})
