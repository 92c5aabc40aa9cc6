"""Thirty-one things that go wrong with meters: each ends right, or flagged."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fakemachine import RANGE_UJ, FakeMachine, FakeNvml
from heliotrope.errors import HelioError, InvalidInput, UnknownName
from heliotrope.measure import recover, registry
from heliotrope.measure.meters.host.modelled import ModelledMeter
from heliotrope.measure.meters.host.rapl import RaplMeter, find, probe
from heliotrope.measure.meters.nvml.device import NvmlMeter
from heliotrope.measure.protocol import Opening, Usage
from heliotrope.measure.records.journal import Journal
from heliotrope.measure.records.recovery import laps
from heliotrope.measure.sampling.recorder import Recorder, Sample
from heliotrope.measure.sampling.session import Session
from heliotrope.measure.share.attribution import part_of
from heliotrope.measure.share.straight import straight
from heliotrope.model import Provenance

BUSY = Usage(1.0, 4.0, 4.0, 4)
START = Usage(0.0, 0.0, 0.0, 4)


def rapl(machine):
    meter = RaplMeter(find(machine.system))
    meter.read(START)
    return meter


def counted(draws):
    return sum(draw.energy_j for draw in draws if draw.counted)


def flags(draws):
    return " ".join(flag for draw in draws for flag in draw.flags)


def step(machine, meter, watts=50.0, domain="package-0"):
    machine.work(1.0, watts={domain: watts})
    return meter.read(BUSY)


# RAPL


def test_01_wrap(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.counters_uj["package-0"] = RANGE_UJ - 10_000_000
    machine.flush()
    assert counted(step(machine, rapl(machine))) == pytest.approx(50.0, rel=1e-6)


def test_02_reset(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.counters_uj["package-0"] = 90_000_000_000
    machine.flush()
    meter = rapl(machine)
    machine.counters_uj["package-0"] = 3_000_000
    machine.flush()
    draws = meter.read(BUSY)
    assert counted(draws) == pytest.approx(3.0)
    assert "reset" in flags(draws)


def test_03_stuck(tmp_path):
    meter = rapl(FakeMachine(tmp_path))
    seen = [flags(meter.read(BUSY)) for _ in range(12)]
    assert "stuck" in seen[-1]


def test_04_impossible_jump(tmp_path):
    machine = FakeMachine(tmp_path)
    meter = rapl(machine)
    machine.counters_uj["package-0"] += 200_000_000_000
    machine.flush()
    draws = meter.read(BUSY)
    assert counted(draws) == 0
    assert "impossible" in flags(draws)


def test_05_permission_lost_in_flight(tmp_path, monkeypatch):
    machine = FakeMachine(tmp_path)
    meter = rapl(machine)

    def refuse(fd, size, offset):
        raise PermissionError(fd)

    monkeypatch.setattr(os, "pread", refuse)
    draws = meter.read(BUSY)
    assert "cannot be read" in flags(draws)
    monkeypatch.undo()
    assert "gap" in flags(meter.read(BUSY))
    assert counted(step(machine, meter)) == pytest.approx(50.0)


def test_06_no_permission_at_all(tmp_path, monkeypatch):
    machine = FakeMachine(tmp_path)
    real = os.open

    def refuse(path, *rest):
        if str(path).endswith("energy_uj"):
            raise PermissionError(path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    found = probe(machine.system)
    assert not found.available
    assert "chmod" in found.hint


def test_07_psys_holds_the_package(tmp_path):
    machine = FakeMachine(tmp_path, domains=("package-0", "psys"))
    meter = rapl(machine)
    machine.work(1.0, watts={"package-0": 50.0, "psys": 80.0})
    assert counted(meter.read(BUSY)) == pytest.approx(50.0)


def test_08_core_lies_within_the_package(tmp_path):
    machine = FakeMachine(tmp_path, domains=("package-0", "core", "uncore", "dram"))
    meter = rapl(machine)
    machine.work(1.0, watts={"package-0": 50.0, "core": 30.0, "uncore": 5.0, "dram": 4.0})
    assert counted(meter.read(BUSY)) == pytest.approx(54.0)


def test_09_only_psys(tmp_path):
    machine = FakeMachine(tmp_path, domains=("psys",))
    meter = rapl(machine)
    machine.work(1.0, watts={"psys": 80.0})
    assert counted(meter.read(BUSY)) == pytest.approx(80.0)


def test_10_dram_is_missing_and_modelled_instead(tmp_path):
    machine = FakeMachine(tmp_path)
    meters = registry.open_all(machine.system, ())
    assert [meter.name for meter in meters] == ["rapl", "modelled"]
    meters[1].read(START)
    assert [draw.domain for draw in meters[1].read(BUSY)] == ["memory"]


def test_11_the_same_zone_shown_twice(tmp_path):
    machine = FakeMachine(tmp_path)
    machine._write("sys/class/powercap/intel-rapl-mmio:0/name", "package-0")
    machine._write("sys/class/powercap/intel-rapl-mmio:0/max_energy_range_uj", "1")
    machine._write("sys/class/powercap/intel-rapl-mmio:0/energy_uj", "1")
    assert [zone.domain for zone in find(machine.system)] == ["package-0"]


def test_12_the_counter_is_unplugged(tmp_path):
    machine = FakeMachine(tmp_path)
    meter = rapl(machine)
    machine.remove("sys/class/powercap/intel-rapl:0/energy_uj")
    assert "cannot be read" in flags(meter.read(BUSY))


def test_13_a_counter_that_is_not_a_number(tmp_path):
    machine = FakeMachine(tmp_path)
    meter = rapl(machine)
    machine._write("sys/class/powercap/intel-rapl:0/energy_uj", "")
    assert "cannot be read" in flags(meter.read(BUSY))


def test_28_nobody_looked_for_so_long_that_it_went_round_unseen(tmp_path):
    machine = FakeMachine(tmp_path)
    meter = rapl(machine)
    machine.work(1.0, watts={"package-0": 50.0})
    (draw,) = meter.read(Usage(900.0, 4.0, 4.0, 4))
    assert "wrapped unseen" in flags([draw])
    assert draw.high_j > 900 * 400


# NVML


def gpu_meter(**gpu):
    library = FakeNvml({"users": {1: 50}, "limit_w": 400.0, **gpu})
    meter = NvmlMeter(library)
    meter.read(START)
    return meter, library.gpus[0]


def test_14_gpu_counter_reset():
    meter, gpu = gpu_meter(energy_mj=10_000_000)
    gpu["energy_mj"] = 40_000
    draws = meter.read(BUSY)
    assert counted(draws) == pytest.approx(40.0)
    assert "reset" in flags(draws)


def test_15_gpu_lost_and_back():
    meter, gpu = gpu_meter(energy_mj=10_000)
    gpu["error"] = 15
    assert "cannot be read" in flags(meter.read(BUSY))
    gpu["error"] = None
    gpu["energy_mj"] = 90_000
    assert "gap" in flags(meter.read(BUSY))
    gpu["energy_mj"] = 190_000
    assert counted(meter.read(BUSY)) == pytest.approx(100.0)


def test_16_no_energy_counter():
    meter, gpu = gpu_meter(energy_mj=None, power_w=100.0)
    gpu["power_w"] = 200.0
    draws = meter.read(BUSY)
    assert counted(draws) == pytest.approx(150.0)
    assert "integrated" in flags(draws)


def test_17_a_sensor_that_looks_a_quarter_of_the_time():
    """Bursts of 400 W that the sensor misses lie within the bounds."""
    meter, _ = gpu_meter(energy_mj=None, power_w=80.0, name="NVIDIA A100-SXM4-80GB")
    (draw,) = meter.read(BUSY)
    assert "25%" in flags([draw])
    assert draw.low_j <= 0.25 * 80.0 + 0.75 * 60.0 <= draw.high_j
    assert draw.low_j <= 0.25 * 80.0 + 0.75 * 400.0 <= draw.high_j


def test_18_a_stuck_gpu_counter():
    meter, _ = gpu_meter(energy_mj=10_000)
    assert "stuck" in [flags(meter.read(BUSY)) for _ in range(12)][-1]


def test_19_a_gpu_that_hides_its_users():
    meter, gpu = gpu_meter(energy_mj=0, users=None)
    gpu["energy_mj"] = 10_000
    (draw,) = meter.read(BUSY)
    assert draw.mine
    assert "not shown" in flags([draw])


def test_20_a_gpu_of_other_people():
    meter, gpu = gpu_meter(energy_mj=0, users={999: 90})
    gpu["energy_mj"] = 10_000
    (draw,) = meter.read(BUSY)
    part = part_of(draw, Usage(1.0, 1.0, 1.0, 4, pids=frozenset({1})))
    assert part.mine_j == 0
    assert part.others_j == pytest.approx(10.0)


# Clocks, processes, journals, names


def test_21_the_clock_is_set_meanwhile(monkeypatch, tmp_path):
    import heliotrope.measure.sampling.session as module

    session = Session("clock", interval_s=60.0, journal=tmp_path / "j.jsonl")
    real = module.time.time
    monkeypatch.setattr(module.time, "time", lambda: real() - 3600)
    result = session.stop()
    assert any("clock was set by -3600 s" in flag for flag in result.flags)
    assert 0 < result.duration_s < 30
    assert result.end_s > result.start_s


def test_22_the_process_is_gone():
    session = Session("gone", root_pid=2**22 - 1, interval_s=60.0)
    assert session.stop().energy_j.value == 0


def test_23_a_torn_journal(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path, "torn", 1000.0, 1.0)
    recorder = Recorder("torn", 1000.0, bin_s=1.0)
    draws = ModelledMeter(FakeMachine(tmp_path / "m").system)
    draws.read(START)
    for i in range(3):
        samples = tuple(
            Sample("modelled", d.domain, Provenance.MODELLED, d.counted, part_of(d, BUSY), d.flags)
            for d in draws.read(BUSY)
        )
        journal.lap(1000.0 + i, 1001.0 + i, samples, ())
        recorder.add(1000.0 + i, 1001.0 + i, samples)
    whole = path.read_bytes()
    doubled = whole + whole.splitlines(keepends=True)[-1]
    for data, count in ((whole, 3), (whole[:-7], 2), (doubled, 3)):
        path.write_bytes(data)
        back = recover(path)
        assert back.energy_j.value == pytest.approx(recorder.measurement().energy_j.value * count / 3)
        assert any("cut off" in flag for flag in back.flags)


def noted_journal(path):
    """Two beats that were reckoned, two that were not yet, as a kill leaves them; and what the samples are."""
    lines = straight([ModelledMeter(FakeMachine(path.parent / "m", domains=()).system)], 4)
    journal = Journal(path, "noted", 1000.0, 0.1, lines)
    beats = [(1000.0 + 0.1 * (i + 1), 0.02 * i, 10**9) for i in range(4)]
    for beat in beats[:2]:
        journal.note(beat)
    journal.others(0.3, ())
    for beat in beats[2:]:
        journal.note(beat)
    return [*lines.laps(1000.0, beats[:2], 0.3), *lines.laps(beats[1][0], beats[2:], None)]


def test_29_cut_off_between_notes_and_their_reckoning(tmp_path):
    path = tmp_path / "j.jsonl"
    made = noted_journal(path)
    samples = [sample for lap in made for sample in lap[2]]
    ours_j = [sum(sample.part[i] for sample in samples) for i in range(3)]
    whole = path.read_bytes()
    last_line = whole.splitlines(keepends=True)[-1]
    for data in (whole, whole + last_line, whole + b'{"line":"no'):
        path.write_bytes(data)
        back = recover(path)
        assert [back.energy_j.value, back.energy_j.low, back.energy_j.high] == pytest.approx(ours_j)
        assert back.end_s == pytest.approx(1000.4)
        assert any("cut off" in flag for flag in back.flags)
    node_j = [sum(sample.part.node_j for sample in told.samples) for told in laps(path)]
    assert node_j == pytest.approx([sum(sample.part.node_j for sample in lap[2]) for lap in made[:2]])


HEAD = b'{"line":"head","version":1,"name":"x","start_s":1000.0,"interval_s":1.0}\n'
LAP = b'{"line":"lap","n":1,"start_s":1000.0,"end_s":1001.0,"samples":[]}\n'
NO_JOURNALS = {
    "empty": (b"", r"empty"),
    "torn within its head": (HEAD[:-20], r"within its first line"),
    "prose": (b"time,watts\n2026-01-01T00:00:00Z,40\n", r"j\.jsonl:1: not a line"),
    "bytes": (bytes(range(256)) * 4, r"j\.jsonl:1: not a line"),
    "other JSON": (b'{"energy_j": 1}\n', r"j\.jsonl:1: not a line"),
    "no head": (LAP, r"j\.jsonl:1: .*without its first line"),
    "a head that is torn in the middle": (HEAD[:30] + b"\n" + LAP, r"j\.jsonl:1: not a line"),
    "a wrong line in the middle": (HEAD + b"{}\n" + LAP, r"j\.jsonl:2: not a line"),
    "a provenance that is none": (
        HEAD
        + b'{"line":"lap","n":1,"start_s":1000.0,"end_s":1001.0,"samples":[["m","d","guessed",true,1,1,1,0,0,[]]]}\n'
        + LAP,
        r"j\.jsonl:2: not a line",
    ),
    "two in one file": (HEAD + LAP + HEAD + LAP, r"j\.jsonl:3: a second journal"),
    "of another version": (HEAD.replace(b'"version":1', b'"version":9'), r"version 9"),
    "time that goes back": (
        HEAD + LAP.replace(b'"end_s":1001.0', b'"end_s":900.0') + LAP,
        r"j\.jsonl:2: .*time goes back",
    ),
}


@pytest.mark.parametrize("name", NO_JOURNALS)
def test_30_what_is_no_journal_is_told_with_its_line(tmp_path, name):
    data, says = NO_JOURNALS[name]
    path = tmp_path / "j.jsonl"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=says):
        recover(path)


def test_24_a_meter_nobody_knows():
    with pytest.raises(UnknownName, match="rapl"):
        Session("x", meters=("rapll",))


def test_25_a_meter_that_is_asked_for_and_does_not_work(tmp_path):
    machine = FakeMachine(tmp_path, domains=())
    with pytest.raises(HelioError, match="does not work here"):
        Session("x", meters=("rapl",), system=machine.system)
    assert registry.module("rapl").open_meter(Opening(machine.system)) is None


def test_26_a_child_process_does_not_go_on_measuring(tmp_path):
    session = Session("fork", interval_s=0.05, journal=tmp_path / "j.jsonl")
    pid = os.fork()
    if pid == 0:
        session.sample()
        os._exit(0)
    os.waitpid(pid, 0)
    before = session.stop()
    assert recover(tmp_path / "j.jsonl").energy_j.value == pytest.approx(before.energy_j.value)


FULL = """
import resource, sys, time
from heliotrope import measure
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
session = measure.start("full", interval_s=0.01, journal=sys.argv[1], meters=("modelled",))
end_s = time.monotonic() + 30
while not any("missing in the journal" in flag for flag in session.totals().flags) and time.monotonic() < end_s:
    time.sleep(0.02)
print(*session.stop().flags, sep="\\n")
"""


def test_31_a_disk_that_is_full(tmp_path):
    """The measurement goes on and says so; what fitted is whole."""
    path = tmp_path / "j.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert "samples are missing in the journal" in done.stdout
    assert path.read_bytes().endswith(b"}\n")
    back = recover(path)
    assert back.energy_j.value > 0
    assert any("cut off" in flag for flag in back.flags)


def test_31_a_disk_that_was_full_for_a_while(tmp_path):
    """Notes that found no room are told of by the next line that finds some, and what others did stays theirs."""
    path = tmp_path / "j.jsonl"
    made = noted_journal(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        b"".join(lines[:4]) + b'{"line":"others","others_s":0.2,"flags":["samples are missing in the journal"]}\n'
    )
    back = recover(path)
    assert back.energy_j.value == pytest.approx(sum(s.part.mine_j for lap in made[:2] for s in lap[2]))
    assert "samples are missing in the journal" in back.flags


@pytest.mark.parametrize("interval_s", [0, -1.0, float("nan"), float("inf")])
def test_27_an_interval_of_nothing(interval_s):
    with pytest.raises(InvalidInput, match="positive and finite"):
        Session("x", interval_s=interval_s)
