"""Limits that are found, kept within their bound, and put back whoever is killed, and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakemachine import FakeMachine, FakeNvml
from heliotrope.errors import HelioError, InvalidInput, MeterError, UnknownName
from heliotrope.measure.power import frugal
from heliotrope.measure.power.desk import Desk
from heliotrope.measure.power.gpu import knobs_of
from heliotrope.measure.power.keeper import Keeper, read
from heliotrope.measure.power.knobs import find, probe, show
from heliotrope.measure.power.lease import borrow
from heliotrope.measure.power.search import Search, student
from heliotrope.measure.power.simulated import SimulatedGpu
from heliotrope.measure.training.steps import StepMeter

LIMIT = "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw"
CLOCK = "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"


def machine_with_knobs(root):
    machine = FakeMachine(root)
    for name, text in (
        ("sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term\n"),
        ("sys/class/powercap/intel-rapl:0/enabled", "0\n"),
        (LIMIT, "990000000\n"),
        (CLOCK, "3200000\n"),
        ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_min_freq", "800000\n"),
        ("sys/class/hwmon/hwmon0/name", "amdgpu\n"),
        ("sys/class/hwmon/hwmon0/power1_cap", "300000000\n"),
        ("sys/class/hwmon/hwmon0/power1_cap_min", "60000000\n"),
    ):
        machine._write(name, text)
    return machine


def number(machine, name):
    return int((machine.root / name).read_text())


# the search


def work(gpu, search, steps):
    """Does the work as the search wants it; how far it was ever behind what it may, in unlimited steps."""
    unlimited_s, _ = gpu.at(gpu.tdp_w)
    behind = 0.0
    for done in range(1, steps + 1):
        gpu.limit_w = search.level
        search.step(gpu.step(), lambda: gpu.energy_j)
        behind = max(behind, gpu.elapsed_s / unlimited_s - (1 + search.max_slowdown) * done)
    return behind


GPUS = st.builds(
    SimulatedGpu,
    step_s=st.floats(0.05, 0.8),
    bound=st.floats(0.0, 1.0),
    idle_w=st.floats(20, 150),
    draw_w=st.floats(200, 500),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gpu=GPUS, max_slowdown=st.floats(0.01, 0.5), steps=st.integers(4, 17), rest_w=st.sampled_from([0.0, 100.0]))
def test_the_work_is_never_later_than_its_bound_and_never_dearer_than_without(gpu, max_slowdown, steps, rest_w):
    levels = gpu.levels(steps)
    search = Search(levels, max_slowdown=max_slowdown, rest_w=rest_w)
    slowest_step = gpu.at(levels[0])[0] / gpu.at(gpu.tdp_w)[0]
    assert work(gpu, search, 1500) <= slowest_step + 1e-9
    seconds, joules = gpu.at(search.chosen.level)
    seconds_before, joules_before = gpu.at(gpu.tdp_w)
    assert seconds <= (1 + max_slowdown) * seconds_before * (1 + 1e-9)
    assert joules + rest_w * seconds <= (joules_before + rest_w * seconds_before) * (1 + 1e-9)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gpu=GPUS, max_slowdown=st.sampled_from([0.05, 0.1, 0.3]))
def test_what_is_found_is_the_best_there_is(gpu, max_slowdown):
    search = Search(gpu.levels(), max_slowdown=max_slowdown)
    work(gpu, search, 4000)
    limit_s = (1 + max_slowdown) * gpu.at(gpu.tdp_w)[0] * (1 + 1e-9)
    best = min(joules for level in gpu.levels() for seconds, joules in [gpu.at(level)] if seconds <= limit_s)
    assert gpu.at(search.chosen.level)[1] <= best * 1.01


def test_in_noise_the_bound_still_holds_and_most_of_the_saving_is_had():
    over, shares = 0, []
    for seed in range(12):
        gpu = SimulatedGpu(noise=0.03, seed=seed, bound=0.6)
        search = Search(gpu.levels(), max_slowdown=0.1)
        work(gpu, search, 2500)
        seconds, joules = gpu.at(search.chosen.level)
        over += seconds > 1.1 * gpu.at(gpu.tdp_w)[0]
        limit_s = 1.1 * gpu.at(gpu.tdp_w)[0]
        best = min(j for level in gpu.levels() for s, j in [gpu.at(level)] if s <= limit_s)
        before = gpu.at(gpu.tdp_w)[1]
        shares.append((before - joules) / (before - best))
        assert gpu.elapsed_s <= 1.1 * 2500 * gpu.at(gpu.tdp_w)[0]
    assert over <= 1
    assert sorted(shares)[2] >= 0.6


def test_a_limit_that_limits_nothing_is_left_alone():
    gpu = SimulatedGpu(draw_w=90.0)
    search = Search((100, 200, 300, 400), max_slowdown=0.05)
    work(gpu, search, 1000)
    assert search.chosen.level == 400
    assert search.chosen.saving == 0


def test_work_that_changes_is_learnt_anew_and_pauses_are_not_our_doing():
    gpu = SimulatedGpu(bound=0.9)
    search = Search(gpu.levels(), max_slowdown=0.1)
    work(gpu, search, 2000)
    assert search.chosen.level < 250
    search.step(100.0, lambda: gpu.energy_j)
    assert search.pauses == 1
    gpu.bound, gpu.step_s = 0.0, 0.3
    for _ in range(6000):
        gpu.limit_w = search.level
        search.step(gpu.step(), lambda: gpu.energy_j)
    assert search.restarts >= 1
    assert gpu.at(search.chosen.level)[0] <= 1.1 * gpu.at(gpu.tdp_w)[0]


def test_what_a_search_may_not_be_asked():
    for bound in (0, -0.1, 2, float("nan")):
        with pytest.raises(InvalidInput, match="slow-down"):
            Search((1, 2), max_slowdown=bound)
    with pytest.raises(InvalidInput, match="levels"):
        Search((5,), max_slowdown=0.1)


def test_student_is_what_tables_say():
    for freedom, told in ((1, 6.314), (2, 2.920), (3, 2.353), (5, 2.015), (10, 1.812), (30, 1.697), (1000, 1.646)):
        assert student(freedom) == pytest.approx(told, rel=0.03)


# knobs


def test_knobs_of_a_machine(tmp_path):
    machine = machine_with_knobs(tmp_path)
    knobs = find(machine.system)
    assert set(knobs) == {"package-0/limit", "cpu/clock", "gpu0/limit"}
    limit = knobs["package-0/limit"]
    assert (limit.levels[0], limit.levels[-1]) == (396.0, 990.0)
    before = limit.stands()
    limit.set(400.0)
    assert number(machine, LIMIT) == 400_000_000
    assert number(machine, "sys/class/powercap/intel-rapl:0/enabled") == 1
    limit.put_back(before)
    assert number(machine, LIMIT) == 990_000_000
    assert number(machine, "sys/class/powercap/intel-rapl:0/enabled") == 0
    knobs["cpu/clock"].set(1600.0)
    assert number(machine, CLOCK) == 1_600_000
    assert show(limit).allowed
    assert find(FakeMachine(tmp_path / "bare").system) == {}


def test_a_knob_that_may_not_be_turned_says_so(tmp_path, monkeypatch):
    machine = machine_with_knobs(tmp_path)
    knob = find(machine.system)["package-0/limit"]

    def refuse(path, *rest):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MeterError, match="cannot be set") as error:
        knob.set(500.0)
    assert "root" in error.value.hint


class TurnedNvml(FakeNvml):
    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle):  # noqa: N802
        return 200_000, 700_000

    def nvmlDeviceGetPowerManagementLimit(self, handle):  # noqa: N802
        return round(self._gpu(handle, "limit_w") * 1000)

    def nvmlDeviceSetPowerManagementLimit(self, handle, limit_mw):  # noqa: N802
        if self.gpus[handle].get("forbidden"):
            raise self.NVMLError(4)
        self.gpus[handle]["limit_w"] = limit_mw / 1000

    def nvmlDeviceGetSupportedMemoryClocks(self, handle):  # noqa: N802
        return [2619, 1593] if self._gpu(handle, "clocks") else []

    def nvmlDeviceGetSupportedGraphicsClocks(self, handle, memory):  # noqa: N802
        return list(range(345, 1981, 15))

    def nvmlDeviceSetGpuLockedClocks(self, handle, low, high):  # noqa: N802
        self.gpus[handle]["locked"] = high

    def nvmlDeviceResetGpuLockedClocks(self, handle):  # noqa: N802
        self.gpus[handle].pop("locked")


def test_limits_and_clocks_of_gpus():
    library = TurnedNvml({"limit_w": 700.0, "clocks": True}, {"limit_w": 350.0, "forbidden": True})
    knobs = {knob.name: knob for knob in knobs_of(library)}
    assert set(knobs) == {"gpu0/limit", "gpu0/clock", "gpu1/limit"}
    limit = knobs["gpu0/limit"]
    assert (limit.levels[0], limit.levels[-1]) == (200.0, 700.0)
    before = limit.stands()
    limit.set(400.0)
    assert library.gpus[0]["limit_w"] == 400.0
    limit.put_back(before)
    assert library.gpus[0]["limit_w"] == 700.0
    clock = knobs["gpu0/clock"]
    assert clock.levels[-1] == 1980
    before = clock.stands()
    clock.set(clock.levels[0])
    assert library.gpus[0]["locked"] == clock.levels[0]
    clock.put_back(before)
    assert "locked" not in library.gpus[0]
    with pytest.raises(MeterError, match="cannot be set"):
        knobs["gpu1/limit"].set(300.0)


# keeping and giving back


def test_a_knob_has_one_holder_and_only_its_own_levels(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    keeper = Keeper(find(machine.system), tmp_path / "power.jsonl")
    keeper.take("package-0/limit", "me")
    with pytest.raises(MeterError, match="in use"):
        keeper.take("package-0/limit", "you")
    with pytest.raises(UnknownName, match="no knob"):
        keeper.take("package-1/limit", "me")
    for level in (10.0, 1900.0):
        with pytest.raises(InvalidInput, match="not a level"):
            keeper.set("package-0/limit", level)
    assert keeper.set("package-0/limit", 500.0) == 500.0
    with pytest.raises(MeterError, match="another keeper"):
        Keeper(find(machine.system), tmp_path / "power.jsonl")
    keeper.close("the end")
    assert number(machine, LIMIT) == 990_000_000
    events = [line.event for line in read(tmp_path / "power.jsonl")]
    assert events == ["took", "set", "stands", "gave-back"]


def test_what_somebody_else_has_set_since_is_theirs(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    keeper = Keeper(find(machine.system), tmp_path / "power.jsonl")
    keeper.take("package-0/limit", "me")
    keeper.set("package-0/limit", 500.0)
    machine._write(LIMIT, "700000000")
    keeper.close("the end")
    assert number(machine, LIMIT) == 700_000_000
    assert read(tmp_path / "power.jsonl")[-1].event == "left"


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_the_next_keeper_puts_back_what_a_killed_one_left(tmp_path, lines):
    """Killed after any line of the journal: taken, about to be set, set."""
    machine = machine_with_knobs(tmp_path / "m")
    journal = tmp_path / "power.jsonl"
    keeper = Keeper(find(machine.system), journal)
    keeper.take("package-0/limit", "me")
    keeper.set("package-0/limit", 500.0)
    os.close(keeper._alone)
    whole = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole[:lines]) + (whole[lines][:-9] if lines < len(whole) else b'{"ev'))
    if lines == 1:
        machine._write(LIMIT, "990000000\n")
        machine._write("sys/class/powercap/intel-rapl:0/enabled", "0\n")
    after = Keeper(find(machine.system), journal)
    assert after.recovered == ("package-0/limit",)
    assert number(machine, LIMIT) == 990_000_000
    after.close("")
    again = Keeper(find(machine.system), journal)
    assert again.recovered == ()
    again.close("")


def wait_for(what, *, s=60.0):
    end = time.monotonic() + s
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.005)
    pytest.fail("it did not come to pass")


BORROWER = textwrap.dedent(
    """
    import os, sys, time
    from heliotrope.measure.power.lease import borrow
    from heliotrope.measure.machine.system import System
    from pathlib import Path
    root, journal, path = sys.argv[1:4]
    lease = borrow(System(root), journal=Path(journal), path=path)
    low, *_, high = lease.take("package-0/limit")
    if os.fork() == 0:  # a worker that outlives its parent keeps the socket open
        time.sleep(3)
        os._exit(0)
    print("taken", flush=True)
    while True:
        lease.set("package-0/limit", low)
        lease.set("package-0/limit", (low + high) / 2)
    """
)


def borrower(machine, journal, path=""):
    process = subprocess.Popen(
        [sys.executable, "-c", BORROWER, str(machine.root), str(journal), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"taken\n"
    wait_for(lambda: number(machine, LIMIT) != 990_000_000)
    return process


def guard_of(process):
    """The guard, by its parent."""
    children = (
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    )
    return next(pid for pid in children if b"power.guard" in Path(f"/proc/{pid}/cmdline").read_bytes())


@pytest.mark.slow
def test_a_borrower_killed_at_any_moment_leaves_no_trace(tmp_path):
    rng = random.Random(3)
    machine = machine_with_knobs(tmp_path / "m")
    journal = tmp_path / "power.jsonl"
    for _ in range(4):
        process = borrower(machine, journal)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        wait_for(lambda: read(journal)[-1].event == "gave-back")
        assert number(machine, LIMIT) == 990_000_000
        assert number(machine, "sys/class/powercap/intel-rapl:0/enabled") == 0


@pytest.mark.slow
def test_a_guard_killed_at_any_moment_is_made_good_by_the_next(tmp_path):
    rng = random.Random(4)
    machine = machine_with_knobs(tmp_path / "m")
    journal = tmp_path / "power.jsonl"
    for _ in range(4):
        process = borrower(machine, journal)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(guard_of(process), signal.SIGKILL)
        assert process.wait(20) != 0  # the borrower is told that the keeper is gone
        process.stdout.close()
        keeper = Keeper(find(machine.system), journal)
        assert number(machine, LIMIT) == 990_000_000
        keeper.close("")


def test_the_daemon_lends_and_takes_back(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    keeper = Keeper(find(machine.system), tmp_path / "power.jsonl")
    desk = Desk(tmp_path / "power.sock", keeper)
    try:
        assert (tmp_path / "power.sock").stat().st_mode & 0o777 == 0o660
        mine, yours = (borrow(machine.system, path=str(tmp_path / "power.sock")) for _ in range(2))
        assert {knob.name for knob in mine.knobs()} == {"package-0/limit", "cpu/clock", "gpu0/limit"}
        mine.take("package-0/limit")
        with pytest.raises(MeterError, match="in use") as refused:
            yours.take("package-0/limit")
        assert f"process {os.getpid()}" in refused.value.cause
        with pytest.raises(MeterError, match="not taken"):
            yours.set("package-0/limit", 500.0)
        mine.set("package-0/limit", 500.0)
        yours.take("cpu/clock")
        yours.set("cpu/clock", 2000.0)
        mine.close()
        assert number(machine, LIMIT) == 990_000_000
        process = borrower(machine, tmp_path / "unused", tmp_path / "power.sock")
        process.kill()
        process.wait()
        process.stdout.close()
        wait_for(lambda: number(machine, LIMIT) == 990_000_000)
        assert number(machine, CLOCK) == 2_000_000
    finally:
        desk.close()
    assert number(machine, CLOCK) == 3_200_000
    with pytest.raises(MeterError, match="keeper of the knobs is gone"):
        yours.set("cpu/clock", 1500.0)
    yours._link.close()
    with pytest.raises(MeterError, match="lends no knobs"):
        borrow(machine.system, path=str(tmp_path / "power.sock"))


# the whole


def test_a_training_loop_finds_its_limit_and_leaves_the_machine_as_it_was(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    gpu = SimulatedGpu(tdp_w=300.0, bound=0.7)
    cap = "sys/class/hwmon/hwmon0/power1_cap"
    with frugal(
        max_slowdown=0.1,
        lease=borrow(machine.system, journal=tmp_path / "power.jsonl"),
        joules=lambda: gpu.energy_j,
        clock=lambda: gpu.elapsed_s,
        system=machine.system,
    ) as power:
        assert power.knobs == ("gpu0/limit",)
        for _ in range(600):
            gpu.limit_w = number(machine, cap) / 1e6
            gpu.step()
            power.step()
        outcome = power.outcome
    assert number(machine, cap) == 300_000_000
    assert outcome.settled
    assert outcome.chosen.level < 300
    assert outcome.chosen.saving > 0.1
    assert outcome.chosen.slowdown <= 0.1
    assert gpu.elapsed_s <= 1.1 * 600 * gpu.at(300.0)[0]
    assert not outcome.flags


def test_a_meter_of_steps_searches_as_it_measures(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    gpu = SimulatedGpu(tdp_w=300.0, bound=0.7)
    cap = "sys/class/hwmon/hwmon0/power1_cap"
    power = frugal(
        max_slowdown=0.1,
        lease=borrow(machine.system, journal=tmp_path / "power.jsonl"),
        joules=lambda: gpu.energy_j,
        clock=lambda: gpu.elapsed_s,
        system=machine.system,
    )
    lowest = 300.0
    with StepMeter(power=power) as meter:
        for _ in meter.over(range(600)):
            gpu.limit_w = number(machine, cap) / 1e6
            lowest = min(lowest, gpu.limit_w)
            gpu.step()
    assert len(meter.steps) == 600
    assert meter.power.outcome.settled
    assert lowest < 300
    assert number(machine, cap) == 300_000_000


def test_work_goes_on_when_the_keeper_is_gone(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    gpu = SimulatedGpu(tdp_w=300.0, bound=0.7)
    lease = borrow(machine.system, journal=tmp_path / "power.jsonl")
    power = frugal(
        lease=lease, joules=lambda: gpu.energy_j, clock=lambda: gpu.elapsed_s, system=machine.system, max_slowdown=0.1
    )
    lease._guard.kill()
    for _ in range(300):
        gpu.step()
        power.step()
    power.close()
    assert any("keeper of the knobs is gone" in flag for flag in power.outcome.flags)
    # A guard of our own is followed by another, which puts back what it had set.
    assert number(machine, "sys/class/hwmon/hwmon0/power1_cap") == 300_000_000


def test_frugal_where_it_cannot_be(tmp_path):
    machine = machine_with_knobs(tmp_path / "m")
    bare = FakeMachine(tmp_path / "bare", domains=())
    with pytest.raises(MeterError, match="not measured here"):
        frugal(system=bare.system)
    with pytest.raises(MeterError, match="no power limit"):
        frugal(system=bare.system, joules=lambda: 0.0, lease=borrow(bare.system, journal=tmp_path / "p.jsonl"))
    with pytest.raises(HelioError, match="no knob is called gpu7/limit"):
        frugal(
            system=machine.system,
            joules=lambda: 0.0,
            knobs=("gpu7/limit",),
            lease=borrow(machine.system, journal=tmp_path / "q.jsonl"),
        )


def test_a_power_journal_that_is_not_one(tmp_path):
    (tmp_path / "power.jsonl").write_text(json.dumps({"event": "took"}) + "\n")
    with pytest.raises(InvalidInput, match=r"power\.jsonl:1"):
        read(tmp_path / "power.jsonl")


def test_of_the_ranks_of_a_node_one_decides(monkeypatch):
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "3")):
        monkeypatch.setenv(name, value)
    with frugal(max_slowdown=0.1) as power:
        power.step()
    assert power.outcome is None


def test_doctor_says_whether_power_can_be_limited(tmp_path):
    assert probe(machine_with_knobs(tmp_path / "m").system).available
    assert probe(FakeMachine(tmp_path / "bare").system).hint
