"""What must always hold: the parts are the node, nobody's work is lost or counted twice, a neighbour costs us nothing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakemachine import FakeMachine, FakeNvml
from heliotrope.measure.meters.host.modelled import ModelledMeter
from heliotrope.measure.meters.host.rapl import RaplMeter, find
from heliotrope.measure.meters.nvml.device import NvmlMeter
from heliotrope.measure.protocol import Draw, Usage
from heliotrope.measure.sampling.follow import Tree
from heliotrope.measure.sampling.loop import NAP_S, Loop
from heliotrope.measure.sampling.session import Session
from heliotrope.measure.share.attribution import IDLE, part_of, split
from heliotrope.measure.share.straight import straight

seconds = st.floats(0, 4, allow_nan=False)
ticks = st.integers(0, 100).map(lambda n: n / 100)  # seconds, as the fake /proc tells them: nothing is rounded
joules = st.floats(0, 1e6, allow_nan=False)


@given(joules, joules, st.dictionaries(st.text(min_size=1, max_size=3), seconds, max_size=30))
def test_parts_sum_to_the_node(energy_j, idle_j, weights):
    weights.pop(IDLE, None)
    parts = split(energy_j, idle_j, weights)
    assert sum(parts.values()) == pytest.approx(energy_j, abs=1e-6)
    assert all(part >= -1e-9 for part in parts.values())


@given(joules, st.floats(0, 1), st.floats(1, 2), seconds, seconds, st.floats(0, 300))
def test_a_part_lies_between_its_bounds_and_all_of_it_is_named(energy_j, low, high, tree_s, more_s, idle_w):
    usage = Usage(2.0, tree_s, tree_s + more_s, 4)
    draw = Draw("package-0", energy_j, energy_j * low, energy_j * high, idle_w, idle_w * 1.5, idle_w * 0.5)
    part = part_of(draw, usage)
    assert part.low_j <= part.mine_j + 1e-9
    assert part.mine_j <= part.high_j + 1e-9
    assert part.mine_j + part.others_j + part.idle_j == pytest.approx(energy_j, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(ticks, min_size=5, max_size=5), ticks, st.floats(5, 200), st.floats(0, 40)),
        min_size=1,
        max_size=12,
    )
)
def test_any_number_of_processes_and_idle_make_the_node(steps):
    """Five measurements of five processes on one node, each on its own, over a fake RAPL: within 1 % of its counters."""
    with tempfile.TemporaryDirectory() as folder:
        machine = FakeMachine(Path(folder), domains=("package-0", "dram"), cpus=8)
        for pid in range(100, 105):
            machine.process(pid)
        meters = [RaplMeter(find(machine.system)) for _ in range(5)]
        trees = [Tree(machine.system, pid) for pid in range(100, 105)]
        for meter in meters:
            meter.read(Usage(0, 0, 0, 8))
        mine = [0.0] * 5
        named_idle = others = counted = 0.0
        busy_before = machine.system.busy_s()
        for work, stranger_s, package_w, dram_w in steps:
            machine.work(
                1.0, busy_s=stranger_s, watts={"package-0": package_w, "dram": dram_w},
                **{f"p{100 + i}": own for i, own in enumerate(work)},
            )  # fmt: skip
            counted += package_w + dram_w
            busy_s = machine.system.busy_s() - busy_before
            busy_before += busy_s
            grown = [tree.read(look=True) for tree in trees]
            for i in range(5):
                usage = Usage(1.0, grown[i], busy_s, 8)
                for draw in meters[i].read(usage):
                    part = part_of(draw, usage)
                    mine[i] += part.mine_j
                    if i == 0:
                        named_idle += part.idle_j
                        others += part.others_j
        assert mine[0] + others + named_idle == pytest.approx(counted, rel=0.01)
        assert sum(mine) + named_idle <= counted * 1.01


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(0, 3), st.randoms(use_true_random=False))
def test_every_process_measured_alone_on_a_node_with_gpus_sums_to_the_node(count, gpus, random):
    """Any number of processes, each followed by a measurement of its own; packages, DRAM and GPUs; idle is named once."""
    with tempfile.TemporaryDirectory() as folder:
        machine = FakeMachine(Path(folder), domains=("package-0", "package-1", "dram"), cpus=64)
        pids = range(100, 100 + count)
        for pid in pids:
            machine.process(pid)
        devices = [{"energy_mj": 0, "users": {}} for _ in range(gpus)]
        trees = [Tree(machine.system, pid) for pid in pids]
        meters = [(RaplMeter(find(machine.system)), NvmlMeter(FakeNvml(*devices))) for _ in pids]
        for own in meters:
            for meter in own:
                meter.read(Usage(0, 0, 0, 64))
        counted_j = mine_j = idle_j = 0.0
        for _ in range(3):
            watts = {domain: random.uniform(5, 250) for domain in ("package-0", "package-1", "dram")}
            work = [random.choice([0.0, random.random()]) for _ in pids]
            machine.work(1.0, watts=watts, **{f"p{pid}": own_s for pid, own_s in zip(pids, work, strict=True)})
            step_j = sum(watts.values())
            for device in devices:
                energy_mj = random.randrange(700_000)
                device["energy_mj"] += energy_mj
                step_j += energy_mj / 1e3
                device["users"] = {pid: random.randint(1, 99) for pid in random.sample(pids, min(count, 3))}
            counted_j += step_j
            grown = [tree.read(look=True) for tree in trees]
            for first, tree_s, tree, own in zip([True] + [False] * count, grown, trees, meters, strict=False):
                usage = Usage(1.0, tree_s, sum(grown), 64, pids=tree.pids)
                parts = [part_of(draw, usage) for meter in own for draw in meter.read(usage) if draw.counted]
                mine_j += sum(part.mine_j for part in parts)
                idle_j += sum(part.idle_j for part in parts) if first else 0.0
                assert sum(p.mine_j + p.others_j + p.idle_j for p in parts) == pytest.approx(step_j, rel=1e-6)
        assert mine_j + idle_j == pytest.approx(counted_j, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["work", "fork", "end", "end unseen", "orphan"]), min_size=1, max_size=25), st.randoms()
)
def test_no_process_time_is_lost_or_counted_twice(events, random):
    with tempfile.TemporaryDirectory() as folder:
        machine = FakeMachine(Path(folder))
        machine.process(100)
        tree = Tree(machine.system, 100)
        next_pid = 101
        done_s = 0.0
        for event in events:
            pids = list(machine.processes)
            pid = random.choice(pids)
            if event == "work":
                machine.work(**{f"p{pid}": 0.25})
                done_s += 0.25
            elif event == "fork":
                machine.process(next_pid, parent=pid, session=100)
                next_pid += 1
            elif event == "end unseen":
                machine.process(next_pid, parent=pid, session=100)
                machine.work(**{f"p{next_pid}": 0.5})
                machine.end(next_pid)
                done_s += 0.5
                next_pid += 1
            elif pid != 100 and machine.processes[pid].parent in machine.processes:
                machine.end(pid)
            tree.read(look=True)
        tree.read(look=True)
        assert tree.total_s == pytest.approx(done_s, abs=0.02)


def test_a_child_that_nobody_waited_for_is_counted_once(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.process(100)
    machine.process(101, parent=100)
    tree = Tree(machine.system, 100)
    tree.read(look=True)
    machine.work(p101=2.0)
    tree.read(look=True)
    machine.end(101, collected=False)
    tree.read(look=True)
    tree.read(look=True)
    machine.process(102, parent=100)
    machine.work(p102=1.0)
    machine.end(102)
    tree.read(look=True)
    tree.read(look=True)
    assert tree.total_s == pytest.approx(3.0)


def test_a_pid_that_came_back_is_another_process(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.process(100, own_s=5.0, started=1)
    tree = Tree(machine.system, 100)
    machine.process(100, own_s=90.0, started=2)
    assert tree.read(look=True) == 0.0


@given(st.floats(0.05, 4), st.floats(0, 4))
def test_a_neighbour_does_not_change_what_our_work_costs(work_s, neighbour_s):
    """The modelled meter is a line: equal work under any load costs the same."""
    with tempfile.TemporaryDirectory() as folder:
        machine = FakeMachine(Path(folder), domains=())
        meter = ModelledMeter(machine.system)
        meter.read(Usage(0, 0, 0, 4))

        def cost(elapsed_s, busy_s):
            usage = Usage(elapsed_s, work_s, busy_s, 4)
            return part_of(meter.read(usage)[0], usage).mine_j

        alone = cost(work_s, work_s)
        crowded = cost(2 * work_s, work_s + min(neighbour_s, 7 * work_s))
        assert crowded == pytest.approx(alone, rel=1e-6)


@given(st.floats(0.01, 10), seconds, seconds, st.integers(0, 10**12))
def test_a_straight_line_says_what_its_meter_says(elapsed_s, tree_s, others_s, tree_bytes):
    with tempfile.TemporaryDirectory() as folder:
        meter = ModelledMeter(FakeMachine(Path(folder), domains=()).system)
    meter.read(Usage(0, 0, 0, 4))
    tree_s, others_s = min(tree_s, 2 * elapsed_s), min(others_s, 2 * elapsed_s)
    usage = Usage(elapsed_s, tree_s, tree_s + others_s, 4, tree_bytes)
    asked = [part_of(draw, usage) for draw in meter.read(usage)]
    told = straight([meter], 4).samples(elapsed_s, (0.0, tree_s, tree_bytes), others_s)
    assert [sample.domain for sample in told] == ["cpu", "memory"]
    for sample, part in zip(told, asked, strict=True):
        assert sample.part == pytest.approx(part, rel=1e-9, abs=1e-9)


class Beater:
    def __init__(self, beat_s):
        self.beat_s = beat_s
        self.beats = 0

    def beat(self):
        self.beats += 1


def wait_until(true):
    end_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_one_thread_serves_all_and_goes_with_the_last():
    loop = Loop()
    slow, napper, fast = Beater(60.0), Beater(NAP_S), Beater(NAP_S / 20)
    for one in (slow, napper, fast):
        loop.add(one)
        if one is not slow:
            wait_until(lambda one=one: one.beats >= 3)
    before = napper.beats
    loop.remove(fast)
    wait_until(lambda: napper.beats > before)
    loop.remove(napper)
    loop.remove(slow)
    wait_until(lambda: loop._thread is None)
    assert slow.beats == 0
    loop.add(fast)
    before = fast.beats
    wait_until(lambda: fast.beats > before)
    loop.remove(fast)
    wait_until(lambda: loop._thread is None)


@given(
    st.dictionaries(st.integers(1, 60), st.integers(0, 100), max_size=20),
    st.sets(st.integers(1, 60)),
    st.integers(0, 10**6),
)
def test_an_accelerator_is_shared_whole(users, ours, energy_mj):
    gpu = {"energy_mj": 0, "users": users}
    meter = NvmlMeter(FakeNvml(gpu))
    meter.read(Usage(0, 0, 0, 4))
    gpu["energy_mj"] = energy_mj
    rest = frozenset(users) - ours
    (draw,) = meter.read(Usage(1000.0, 0, 0, 4))
    parts = [part_of(draw, Usage(1000.0, 0, 0, 4, pids=pids)) for pids in (frozenset(ours), rest)]
    for part in parts:
        assert part.mine_j + part.others_j + part.idle_j == pytest.approx(energy_mj / 1e3)
    if users:
        assert parts[0].mine_j + parts[1].mine_j == pytest.approx(energy_mj / 1e3)


def test_a_window_shorter_than_a_meters_look_says_so_in_its_bounds(tmp_path):
    """A GPU's counter moves ten times a second: a window between two moves reads 0, and its bounds hold the truth."""
    gpu = {"energy_mj": 0, "users": {100: 1}}
    meter = NvmlMeter(FakeNvml(gpu))
    machine = FakeMachine(tmp_path)
    machine.process(100)
    session = Session("load", root_pid=100, interval_s=60, system=machine.system, opened=[meter])
    for _ in range(3):
        time.sleep(0.12)
        gpu["energy_mj"] += 12_000  # 100 W
        session.sample()
    window = session.open_window("step")
    time.sleep(0.02)
    step = session.close_window(window)
    assert step.energy_j.value == 0
    assert step.energy_j.low == 0
    assert 2.0 <= step.energy_j.high <= 15.0
    session.stop()


def test_a_calibration_of_other_meters_is_not_used_and_says_so(tmp_path):
    from heliotrope.measure.reference.calibration import Calibration

    machine = FakeMachine(tmp_path)
    machine.process(100)

    def measured(*names):
        fitted = Calibration(2.0, 0.0, 0.01, 20, "plug.csv", meters=names)
        meter = RaplMeter(find(machine.system))
        session = Session("x", root_pid=100, interval_s=60, system=machine.system, opened=[meter], calibration=fitted)
        time.sleep(0.02)
        machine.work(0.02, watts={"package-0": 50.0}, p100=0.02)
        return session.stop()

    assert any("other meters (nvml)" in flag for flag in measured("nvml").flags)
    assert any("calibrated by plug.csv" in flag for flag in measured("rapl").flags)
    assert measured("rapl").energy_j.value == pytest.approx(2 * measured("nvml").energy_j.value, rel=0.01)


def test_noted_beats_are_reckoned_as_if_each_had_been():
    """A patient session notes beats and reckons when it is asked: same readings, no clock that was never set."""
    import heliotrope

    with heliotrope.measure("patient", interval_s=0.02, meters=("modelled",)) as handle:
        wait_until(lambda: len(handle.totals().readings) > 22)
    cpu = [reading for reading in handle.stop().readings if reading.domain == "cpu"]
    assert len(cpu) > 10
    assert sum(reading.energy_j for reading in cpu) == pytest.approx(
        next(meter.energy_j for meter in handle.meters if meter.domain == "cpu")
    )
    assert not any("clock" in flag for flag in handle.stop().flags)
