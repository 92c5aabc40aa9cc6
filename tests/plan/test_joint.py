"""Many workloads under one capacity: plans hold at every instant, the bound is a bound, and strangers can check both."""

import itertools
import json

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.cli.root import helio
from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.plan.joint import solve
from heliotrope.plan.joint.exact.clash import Clash
from heliotrope.plan.joint.problem import problem
from heliotrope.plan.joint.solve import bound
from heliotrope.plan.joint.verify import Certificate, Held, verify
from heliotrope.plan.kernels.shapes import Batch, Curves


def batch(rows, n_zones, step=900.0):
    """Rows of (submitted, length, slack, devices, watts, zones), times in quarter hours."""
    sets = list(dict.fromkeys(tuple(r[5]) for r in rows))
    columns = np.array([r[:5] for r in rows], dtype=float)
    ones = np.ones(len(rows), np.int8)
    return Batch(
        first=0,
        submitted_s=columns[:, 0] * step,
        length_s=columns[:, 1] * step,
        devices=columns[:, 3].copy(),
        power_w=columns[:, 4].copy(),
        slack_s=columns[:, 2] * step,
        pausable=ones * 0,
        movable=ones * 0,
        places=np.array([sets.index(tuple(r[5])) for r in rows], dtype=np.int32),
        sets=np.array([z for s in sets for z in s], dtype=np.int32),
        sets_ptr=np.cumsum([0, *(len(s) for s in sets)]).astype(np.int32),
        flexible=True,
    )


def curves(values):
    values = np.asarray(values, dtype=float)
    return Curves.of(tuple(f"Z{i}" for i in range(len(values))), values)


def held(jobs, found):
    return Held(np.arange(len(jobs)), found.zone, found.start_s, found.start_s + jobs.length_s, jobs.devices)


def certificate(grid, found):
    step = grid.end_s / found.price.shape[1]
    return Certificate(grid.zones, step, tuple(map(tuple, found.price.tolist())), found.carbon_g, found.bound_g)


def random_jobs(rng, count, hours, n_zones, unit=900.0):
    per_hour = int(3600 / unit)
    rows = []
    for _ in range(count):
        length = rng.integers(1, 6 * per_hour)
        slack = rng.integers(0, 12 * per_hour)
        release = rng.integers(0, hours * per_hour - length - slack + 1)
        zones = tuple(range(n_zones)) if rng.random() < 0.6 else (int(rng.integers(n_zones)),)
        width = int(rng.choice([1, 2, 4]))
        rows.append((release, length, slack, width, width * rng.uniform(100, 400), zones))
    return batch(rows, n_zones, unit)


@pytest.mark.parametrize(("count", "unit"), [(40, 900.0), (400, 900.0), (300, 137.0)])
def test_plans_hold_and_their_bound_is_checked_by_other_code(count, unit):
    rng = np.random.default_rng(count)
    grid = curves(rng.uniform(20, 600, (4, 60)))
    jobs = random_jobs(rng, count, 48, 4, unit)
    room = (max(8.0, count * 0.06),) * 4
    found = solve(problem(jobs, grid, room))
    verdict = verify(jobs, grid, room, held(jobs, found), certificate(grid, found))
    assert verdict.faults == ()
    assert verdict.carbon_g == pytest.approx(found.carbon_g, rel=1e-9)
    assert verdict.bound_g == pytest.approx(found.bound_g, rel=1e-9)
    assert verdict.gap >= 0


def best_of_all(jobs, grid, room):
    """Every job at every quarter hour in every zone: the optimum by trying all."""
    places = []
    for j in range(len(jobs)):
        zones = jobs.sets[jobs.sets_ptr[jobs.places[j]] : jobs.sets_ptr[jobs.places[j] + 1]]
        starts = jobs.submitted_s[j] + 900.0 * np.arange(int(jobs.slack_s[j] / 900) + 1)
        places.append([(int(z), float(s)) for z in zones for s in starts])
    edges = np.arange(grid.area.shape[1]) * grid.step_s
    best = np.inf
    for choice in itertools.product(*places):
        used = np.zeros((len(room), int(grid.end_s / 900)))
        total = 0.0
        for j, (z, s) in enumerate(choice):
            k = int(s / 900)
            used[z, k : k + int(jobs.length_s[j] / 900)] += jobs.devices[j]
            ends = np.interp([s, s + jobs.length_s[j]], edges, grid.area[z])
            total += jobs.power_w[j] / 3.6e6 * (ends[1] - ends[0])
        if (used <= np.array(room)[:, None] + 1e-9).all():
            best = min(best, total)
    return best


small = st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(0, 4), st.integers(1, 3), st.integers(100, 300))


@given(
    st.lists(small, min_size=1, max_size=4),
    st.lists(st.lists(st.integers(1, 600), min_size=4, max_size=4), min_size=1, max_size=2),
    st.integers(3, 5),
)
@settings(max_examples=25)
def test_between_its_bound_and_the_best_of_all(rows, values, capacity):
    grid = curves(values)
    jobs = batch([(*row, tuple(range(len(values)))) for row in rows], len(values))
    room = (float(capacity),) * len(values)
    best = best_of_all(jobs, grid, room)
    try:
        found = solve(problem(jobs, grid, room))
    except Infeasible:
        assert best == np.inf
        return
    assert found.bound_g <= best * (1 + 1e-9)
    assert best <= found.carbon_g * (1 + 1e-9)
    if len(rows) == 1:
        assert found.carbon_g == pytest.approx(best)


def least_by_program(jobs, grid, room):
    """The optimum by a program of its own: a column for every quarter hour of every job; None if no plan exists."""
    import highspy

    edges = np.arange(grid.area.shape[1]) * grid.step_s
    program, rows = highspy.Highs(), {}
    program.setOptionValue("output_flag", False)
    n = 0
    for j in range(len(jobs)):
        cells = int(jobs.length_s[j] / 900)
        for z in jobs.sets[jobs.sets_ptr[jobs.places[j]] : jobs.sets_ptr[jobs.places[j] + 1]]:
            for i in range(int(jobs.slack_s[j] / 900) + 1):
                begin = jobs.submitted_s[j] + 900.0 * i
                burnt = np.interp([begin, begin + jobs.length_s[j]], edges, grid.area[z])
                program.addVar(0.0, 1.0)
                program.changeColCost(n, jobs.power_w[j] / 3.6e6 * (burnt[1] - burnt[0]))
                program.changeColIntegrality(n, highspy.HighsVarType.kInteger)
                rows.setdefault((-1, j), []).append((n, 1.0))
                for c in range(int(begin / 900), int(begin / 900) + cells):
                    rows.setdefault((int(z), c), []).append((n, float(jobs.devices[j])))
                n += 1
    for (z, _), entries in rows.items():
        low, high = (1.0, 1.0) if z < 0 else (0.0, room[z])
        columns, values = zip(*entries, strict=True)
        program.addRow(low, high, len(entries), np.array(columns, dtype=np.int32), np.array(values))
    program.run()
    if program.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return None
    assert program.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return program.getInfo().objective_function_value


@given(st.integers(0, 10**6), st.integers(3, 14), st.integers(4, 9))
@settings(max_examples=20, deadline=None)
def test_no_bound_is_above_the_best_and_no_plan_below_it(seed, count, devices):
    """Against an integer program that knows nothing of prices: bound <= optimum <= plan; so small a plan is the best."""
    rng = np.random.default_rng(seed)
    grid, room = curves(rng.uniform(20, 600, (2, 24))), (float(devices),) * 2
    jobs = random_jobs(rng, count, 24, 2, unit=3600.0)
    best = least_by_program(jobs, grid, room)
    if best is None:
        with pytest.raises(Clash):
            solve(problem(jobs, grid, room))
        return
    found = solve(problem(jobs, grid, room))
    assert found.bound_g <= best * (1 + 1e-9)
    assert best <= found.carbon_g * (1 + 1e-9)
    assert found.carbon_g <= best * 1.001
    assert verify(jobs, grid, room, held(jobs, found), certificate(grid, found)).faults == ()


def test_any_prices_give_a_bound():
    rng = np.random.default_rng(3)
    grid = curves(rng.uniform(20, 600, (2, 30)))
    jobs = random_jobs(rng, 30, 24, 2)
    question = problem(jobs, grid, (12.0, 12.0))
    best = solve(question)
    for scale in (0.0, 1e-6, 1e-4, 1e-2):
        assert bound(question, rng.random((2, 30)) * scale) <= best.carbon_g


def test_two_jobs_that_clash_are_named_among_two_thousand():
    """Both must run at home, where neither leaves room for the other; all others go anywhere."""
    rng = np.random.default_rng(4)
    grid = curves(rng.uniform(20, 600, (3, 48)))
    others = [
        (int(r), int(n), int(s), 1, 100.0, (0, 1, 2))
        for r, n, s in zip(
            rng.integers(0, 100, 2000), rng.integers(1, 12, 2000), rng.integers(0, 48, 2000), strict=True
        )
    ]
    jobs = batch([*others, (40, 40, 2, 30, 9e3, (0,)), (50, 20, 9, 20, 6e3, (0,))], 3)
    with pytest.raises(Clash) as caught:
        solve(problem(jobs, grid, (40.0, 90.0, 90.0)))
    assert caught.value.core.jobs.tolist() == [2000, 2001]
    assert "a capacity of 50 in Z0 (now 40)" in caught.value.hint


def test_one_seed_one_plan():
    rng = np.random.default_rng(5)
    grid, jobs = curves(rng.uniform(20, 600, (3, 40))), random_jobs(rng, 120, 30, 3)
    first, second = (solve(problem(jobs, grid, (14.0,) * 3)) for _ in range(2))
    assert (first.zone == second.zone).all()
    assert (first.start_s == second.start_s).all()


def test_where_pushing_is_not_enough_an_exact_program_seats_the_last():
    rng = np.random.default_rng(5)
    grid, jobs = curves(rng.uniform(20, 600, (3, 40))), random_jobs(rng, 120, 30, 3)
    found = solve(problem(jobs, grid, (12.0,) * 3))
    assert verify(jobs, grid, (12.0,) * 3, held(jobs, found), certificate(grid, found)).faults == ()


def test_identical_jobs_fill_the_clean_hour_and_no_more():
    """Ties: eighty alike jobs of an hour, ten devices, eight hours each as good as any of its price."""
    grid = curves([[500, 100, 100, 100, 100, 100, 100, 100, 100, 500, 500, 500]])
    jobs = batch([(0, 4, 40, 1, 100, (0,))] * 80, 1)
    found = solve(problem(jobs, grid, (10.0,)))
    assert found.carbon_g == pytest.approx(80 * 0.1 * 100)
    assert found.gap < 0.01
    assert verify(jobs, grid, (10.0,), held(jobs, found)).holds


def test_stuck_jobs_make_others_give_way():
    """A gang needs every device for an hour; the small ones must all move out of its only hour."""
    rows = [(8, 4, 0, 4, 400, (0,))] + [(4, 4, 12, 1, 100, (0,)) for _ in range(12)]
    grid = curves([[300, 300, 10, 300, 300, 300]])
    jobs = batch(rows, 1)
    found = solve(problem(jobs, grid, (4.0,)))
    assert found.start_s[0] == 7200.0
    assert verify(jobs, grid, (4.0,), held(jobs, found)).holds


def test_infeasible_says_what_and_what_would_do():
    grid = curves([[300.0] * 6])
    with pytest.raises(Clash, match="Z0 lacks") as caught:
        solve(problem(batch([(0, 8, 8, 2, 100, (0,))] * 10, 1), grid, (2.0,)))
    assert "a capacity of 10 in Z0 (now 2)" in caught.value.hint
    with pytest.raises(Clash, match="Z0 lacks 1 devices between hours 0 and 2, 2 device-hours") as caught:
        solve(problem(batch([(0, 8, 0, 3, 100, (0,))], 1), grid, (2.0,)))
    assert caught.value.hint == "each of these would do: a capacity of 3 in Z0 (now 2)"
    with pytest.raises(Clash) as caught:
        solve(problem(batch([(0, 8, 0, 2, 100, (0,))] * 2, 1), grid, (2.0,)))
    assert "deadlines up to 2 h later for 1 job (row " in caught.value.hint
    with pytest.raises(InvalidInput, match="one capacity a zone"):
        problem(batch([(0, 8, 8, 3, 100, (0,))], 1), grid, (2.0, 2.0))


def test_a_gang_may_be_let_into_another_zone():
    grid = curves([[300.0] * 4, [200.0] * 4])
    jobs = batch([(0, 8, 0, 2, 100, (0,)), (0, 8, 0, 2, 100, (0,)), (0, 8, 8, 1, 100, (0, 1))], 2)
    with pytest.raises(Clash) as caught:
        solve(problem(jobs, grid, (2.0, 2.0)))
    assert "letting 1 job run in any zone" in caught.value.hint


def test_a_proof_on_coarser_starts_says_so():
    grid = curves([[300.0] * 6])
    with pytest.raises(Clash) as caught:
        solve(problem(batch([(0, 8, 1, 2, 100, (0,))] * 2, 1, 137.0), grid, (2.0,)))
    assert "starts were tried every 5 min only" in caught.value.cause
    with pytest.raises(Clash) as caught:
        solve(problem(batch([(0, 8, 1, 2, 100, (0,))] * 2, 1), grid, (2.0,)))
    assert "starts were tried" not in caught.value.cause


def test_many_alike_jobs_are_counted_together():
    """Twenty thousand at once where half as many fit: one column an hour, however many jobs."""
    grid = curves([[300.0] * 6])
    with pytest.raises(Clash, match="lacks 10000 devices") as caught:
        solve(problem(batch([(0, 4, 0, 1, 100, (0,))] * 20_000, 1), grid, (10_000.0,)))
    assert "a capacity of 20000 in Z0 (now 10000)" in caught.value.hint
    assert "deadlines up to 60 min later for 10000 jobs" in caught.value.hint


homes = st.sampled_from([(0,), (1,), (0, 1)])
bound_to = st.tuples(
    st.integers(0, 3), st.integers(1, 6), st.integers(0, 2), st.integers(1, 3), st.integers(100, 300), homes
)


def has_a_plan(jobs, room):
    """Every start of every job, one after the other, taken back where the next finds no room."""
    used = np.zeros((len(room), 24))

    def seat(j):
        if j == len(jobs):
            return True
        first, n, slack = (int(c[j] // 900) for c in (jobs.submitted_s, jobs.length_s, jobs.slack_s))
        for z in jobs.sets[jobs.sets_ptr[jobs.places[j]] : jobs.sets_ptr[jobs.places[j] + 1]]:
            for k in range(first, first + slack + 1):
                if (used[z, k : k + n] + jobs.devices[j] <= room[z] + 1e-9).all():
                    used[z, k : k + n] += jobs.devices[j]
                    if seat(j + 1):
                        return True
                    used[z, k : k + n] -= jobs.devices[j]
        return False

    return seat(0)


@given(st.lists(bound_to, min_size=2, max_size=6), st.integers(2, 5))
@settings(max_examples=40)
def test_no_plan_is_claimed_only_where_there_is_none_and_what_is_named_would_do(rows, capacity):
    grid = curves([[300, 200, 100, 200, 100, 50]] * 2)
    jobs, room = batch(rows, 2), (float(capacity),) * 2
    if has_a_plan(jobs, room):
        found = solve(problem(jobs, grid, room))
        assert verify(jobs, grid, room, held(jobs, found), certificate(grid, found)).faults == ()
        return
    with pytest.raises(Clash) as caught:
        solve(problem(jobs, grid, room))
    for way in caught.value.ways:
        solve(way.problem)
    raised = caught.value.ways[0].problem.capacity
    added = round(raised.sum() - 2 * capacity)
    assert has_a_plan(jobs, raised)
    assert not any(has_a_plan(jobs, (capacity + a, capacity + added - 1 - a)) for a in range(added))


def tampered(slots, **change):
    return msgspec.structs.replace(slots, **change)


def test_the_verifier_finds_every_kind_of_fault():
    rng = np.random.default_rng(9)
    grid, jobs = curves(rng.uniform(20, 600, (2, 40))), random_jobs(rng, 60, 30, 2)
    room = (14.0, 14.0)
    found = solve(problem(jobs, grid, room))
    good, proof = held(jobs, found), certificate(grid, found)
    assert verify(jobs, grid, room, good, proof).holds
    other = np.flatnonzero([len(set(jobs.sets[jobs.sets_ptr[p] : jobs.sets_ptr[p + 1]])) == 1 for p in jobs.places])
    moved = good.zone.copy()
    moved[other[0]] = 1 - moved[other[0]]
    early, late = good.start_s.copy(), good.start_s + 86400.0
    early[0] = jobs.submitted_s[0] - 60
    cases = {
        "no slot": tampered(good, **{f: getattr(good, f)[1:] for f in ("job", "zone", "start_s", "end_s", "width")}),
        "more than one slot": tampered(good, job=np.where(np.arange(60) == 1, 0, good.job)),
        "not as long as": tampered(good, end_s=good.end_s - 10),
        "before their job was submitted": tampered(good, start_s=early, end_s=early + jobs.length_s),
        "after their deadline": tampered(good, start_s=late, end_s=late + jobs.length_s),
        "fewer devices": tampered(good, width=good.width * 0.5),
        "may not use": tampered(good, zone=moved),
    }
    for words, slots in cases.items():
        faults = verify(jobs, grid, room, slots, proof).faults
        assert any(words in fault for fault in faults), (words, faults)
    assert any("devices in use" in fault for fault in verify(jobs, grid, (3.0, 3.0), good).faults)
    greedy = msgspec.structs.replace(proof, bound_g=proof.bound_g * 1.01)
    assert any("its prices give" in fault for fault in verify(jobs, grid, room, good, greedy).faults)
    flattered = msgspec.structs.replace(proof, carbon_g=proof.carbon_g * 0.9)
    assert any("its slots come to" in fault for fault in verify(jobs, grid, room, good, flattered).faults)
    negative = msgspec.structs.replace(proof, price=tuple(tuple(-1.0 for _ in row) for row in proof.price))
    with pytest.raises(InvalidInput, match="below 0"):
        verify(jobs, grid, room, good, negative)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(2)
    grid = ["time,DE,FR"] + [
        f"2026-01-0{1 + h // 24}T{h % 24:02d}:00Z,{a:.1f},{b:.1f}"
        for h, (a, b) in enumerate(rng.uniform(30, 500, (48, 2)))
    ]
    jobs = ["id,submitted,length_s,devices,power_w,zones"] + [
        f"j{i},{rng.integers(0, 20) * 900},{rng.integers(1, 12) * 900},{rng.integers(1, 4)},{rng.integers(100, 900)},{'DE|FR' if i % 3 else 'DE'}"
        for i in range(80)
    ]
    (tmp_path / "grid.csv").write_text("\n".join(grid) + "\n")
    (tmp_path / "jobs.csv").write_text("\n".join(jobs) + "\n")
    return tmp_path


def helio_plan(folder, *args):
    common = ["--jobs", str(folder / "jobs.csv"), "--grid", str(folder / "grid.csv"), "--home", str(folder), "--json"]
    return CliRunner().invoke(helio, ["plan", *args, *common, "--capacity", "DE=8,FR=20"])


def test_helio_plan_and_verify(files):
    made = helio_plan(files, "--out", str(files / "slots.csv"))
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert {"carbon_g", "bound_g", "gap", "wall_s", "peak_mb"} <= set(found)
    assert found["gap"] >= 0
    checked = helio_plan(files, "verify", str(files / "slots.csv"))
    assert checked.exit_code == 0, checked.output
    verdict = json.loads(checked.stdout)
    assert verdict["holds"] is True
    assert verdict["carbon_g"] == pytest.approx(found["carbon_g"], rel=1e-6)
    assert verdict["bound_g"] == pytest.approx(found["bound_g"], rel=1e-6)
    lines = (files / "slots.csv").read_text().splitlines()
    lines[1] = lines[1].replace(",DE,", ",FR,") if ",DE," in lines[1] else lines[1].replace(",FR,", ",DE,")
    (files / "slots.csv").write_text("\n".join(lines) + "\n")
    wrong = helio_plan(files, "verify", str(files / "slots.csv"))
    assert wrong.exit_code != 0
    assert json.loads(wrong.stdout)["holds"] is False


def test_a_strangers_slots_are_read_with_care(files):
    helio_plan(files, "--out", str(files / "slots.csv"))
    head, first, *rest = (files / "slots.csv").read_text().splitlines()
    for bad, words in (
        (first.replace("j0,", "jx,"), "not in the jobs file"),
        (first.rsplit(",", 1)[0], "not six fields"),
        ("j0,XX,0,900,1,100", "no such zone"),
        ("j0,DE,zero,900,1,100", "not a number"),
    ):
        (files / "slots.csv").write_text("\n".join([head, bad, *rest]) + "\n")
        result = helio_plan(files, "verify", str(files / "slots.csv"))
        assert words in str(result.exception), (bad, result.exception)


def test_helio_plan_for_one_workload(tmp_path):
    args = ["plan", "--length", "2h", "--within", "24h", "--fleet", "example", "--explain", "--json"]
    result = CliRunner().invoke(helio, [*args, "--home", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["plan"]["slots"]
    assert {p["limit"] for p in found["prices"]} >= {"deadline", "unbroken"}
    human = CliRunner().invoke(helio, [*args[:-1], "--home", str(tmp_path)])
    assert "run now" in human.stdout
    assert isinstance(CliRunner().invoke(helio, ["plan", "--home", str(tmp_path)]).exception, Exception)
