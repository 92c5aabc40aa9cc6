"""Machines of many makes, as files in a folder: AMD cards, Grace, Jetson, batteries, Apple, MIG and sensors half blind."""

from __future__ import annotations

import plistlib
import random
import shutil
import stat
import struct
import subprocess
import time

import pytest

from fakemachine import FakeMachine, FakeNvml
from heliotrope.measure import registry
from heliotrope.measure.meters.host import apple, battery, board
from heliotrope.measure.meters.nvml.device import NvmlMeter
from heliotrope.measure.meters.nvml.sensor import integrate, sensor_of
from heliotrope.measure.protocol import NOBODY, Opening, Usage
from heliotrope.measure.share.attribution import part_of
from heliotrope.measure.share.node import Node

START = Usage(0.0, 0.0, 0.0, 4)
BUSY = Usage(1.0, 2.0, 4.0, 4, pids=frozenset({101}))


def meter_of(name, system, **opening):
    meter = registry.module(name).open_meter(Opening(system, **opening))
    assert meter.read(START) == ()
    return meter


def flags(draws):
    return " ".join(flag for draw in draws for flag in draw.flags)


# AMD


class Card:
    """A card of AMD's: /sys/class/drm, and who is on it in /sys/class/kfd."""

    def __init__(self, machine, *, revision=(1, 4), counter=True):
        self.machine, self.revision, self.counter = machine, revision, counter
        self.joules, self.watts, self.told_scale = 1000.0, 100.0, 1.0
        machine._write("sys/class/drm/card0/device/hwmon/hwmon3/name", "amdgpu\n")
        machine._write("sys/class/drm/card0/device/drm/renderD128/dev", "226:128\n")
        machine._write("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "51110\n")
        machine._write("sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 440\ndrm_render_minor 128\n")
        self.flush()

    def flush(self):
        units = round(self.joules * self.told_scale * 2**16) if self.counter else 2**64 - 1
        head = struct.pack("<HBB", 120, *self.revision)
        body = {
            (1, 3): struct.pack("<6H3HHQ", *[40] * 6, *[50] * 3, round(self.watts), units),
            (1, 4): struct.pack("<3HH2H4HQ", 40, 40, 40, round(self.watts), 50, 50, 0, 0, 0, 0, units),
            (1, 5): struct.pack("<3HH2H4H32HQ", 40, 40, 40, round(self.watts), 50, 50, *[0] * 36, units),
            (2, 1): b"\0" * 100,
        }[self.revision]
        path = self.machine.root / "sys/class/drm/card0/device/gpu_metrics"
        path.write_bytes(head + body)
        self.machine._write("sys/class/drm/card0/device/hwmon/hwmon3/power1_average", str(round(self.watts * 1e6)))

    def work(self, watts, seconds=1.0):
        self.watts = watts
        self.joules += watts * seconds
        self.flush()

    def user(self, pid, occupied):
        self.machine._write(f"sys/class/kfd/kfd/proc/{pid}/vram_51110", "4096\n")
        self.machine._write(f"sys/class/kfd/kfd/proc/{pid}/stats_51110/cu_occupancy", f"{occupied}\n")


@pytest.mark.parametrize("revision", [(1, 3), (1, 4), (1, 5)])
def test_a_card_of_amd_is_counted_once_its_counter_agreed_with_its_power(tmp_path, revision):
    machine = FakeMachine(tmp_path)
    card = Card(machine, revision=revision)
    card.user(101, 30)
    card.user(102, 10)
    meter = meter_of("amd", machine.system)
    total = 0.0
    for _ in range(20):
        card.work(200.0)
        (draw,) = meter.read(BUSY)
        total += draw.energy_j
    assert total == pytest.approx(4000.0, rel=0.02)
    assert draw.flags == ()
    assert part_of(draw, BUSY).mine_j == pytest.approx(0.75 * draw.energy_j)


def test_a_counter_in_other_units_is_not_believed(tmp_path):
    machine = FakeMachine(tmp_path)
    card = Card(machine)
    card.told_scale = 15.3
    meter = meter_of("amd", machine.system)
    total = 0.0
    for _ in range(20):
        card.work(200.0)
        draws = meter.read(BUSY)
        total += draws[0].energy_j
    assert total == pytest.approx(4000.0, rel=0.05)
    assert "not believed" in flags(draws)


@pytest.mark.parametrize("card", [{"counter": False}, {"revision": (2, 1)}])
def test_a_card_without_a_counter_is_integrated(tmp_path, card):
    machine = FakeMachine(tmp_path)
    card = Card(machine, **card)
    meter = meter_of("amd", machine.system)
    card.work(300.0)
    draws = meter.read(BUSY)
    assert draws[0].energy_j == pytest.approx(200.0)
    assert draws[0].low_j <= 100.0
    assert draws[0].high_j >= 300.0
    assert "no energy counter" in flags(draws)
    assert draws[0].users == {NOBODY: 1.0}


LIBRARY = """
#include <stdint.h>
#include <stdio.h>
static int one = 1;
int amdsmi_init(uint64_t flags) { return flags == 2 ? 0 : 1; }
int amdsmi_shut_down(void) { return 0; }
int amdsmi_get_socket_handles(uint32_t *n, void **room) { *n = 1; if (room) room[0] = &one; return 0; }
int amdsmi_get_processor_handles(void *s, uint32_t *n, void **room) {
    if (s != &one) return 1;
    *n = 1; if (room) room[0] = &one; return 0;
}
int amdsmi_get_gpu_bdf_id(void *c, uint64_t *bdf) { *bdf = 0x300; return c == &one ? 0 : 1; }
int amdsmi_get_energy_count(void *c, uint64_t *units, float *unit_uj, uint64_t *at) {
    unsigned long long n;
    FILE *f = fopen("COUNTER", "r");
    if (!f || fscanf(f, "%llu", &n) != 1) return 1;
    fclose(f); *units = n; *unit_uj = 15.3f; *at = 0; return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler to build a library with")
@pytest.mark.parametrize(("scale", "says"), [(1.0, ""), (1000.0, "not believed"), (None, "no energy counter")])
def test_amds_library_counts_where_the_drivers_table_is_unknown(tmp_path, scale, says):
    """A table of a revision that nobody here knows: libamd_smi's counter, if it agrees with the power."""
    machine = FakeMachine(tmp_path)
    card = Card(machine, revision=(2, 1))
    machine._write("sys/class/drm/card0/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n")
    counter = tmp_path / "counter"
    machine._write("smi.c", LIBRARY.replace("COUNTER", str(counter)))
    (tmp_path / "opt/rocm/lib").mkdir(parents=True)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(tmp_path / "opt/rocm/lib/libamd_smi.so"), str(tmp_path / "smi.c")],
        check=True,
    )

    def work(watts):
        card.work(watts)
        if scale is not None:
            counter.write_text(str(round(card.joules * scale / 15.3e-6)))

    work(200.0)
    meter = meter_of("amd", machine.system)
    draws = []
    for i in range(10):
        work(100.0 + 200.0 * (i % 2))
        (draw,) = meter.read(BUSY)
        draws.append(draw)
    believed = not says
    assert [draw.energy_j for draw in draws[6:]] == pytest.approx(
        [100.0, 300.0] * 2 if believed else [200.0] * 4, rel=1e-3
    )
    assert says in flags(draws[6:])
    assert bool(flags(draws[6:])) is not believed
    meter.close()


def test_a_card_that_is_pulled_out(tmp_path):
    machine = FakeMachine(tmp_path)
    card = Card(machine)
    meter = meter_of("amd", machine.system)
    machine.remove("sys/class/drm/card0/device/gpu_metrics")
    machine.remove("sys/class/drm/card0/device/hwmon/hwmon3/power1_average")
    assert "cannot be read" in flags(meter.read(BUSY))
    card.work(200.0)
    assert "gap" in flags(meter.read(BUSY))
    bare = FakeMachine(tmp_path / "bare")
    assert not registry.module("amd").probe(bare.system).available
    assert registry.module("amd").open_meter(Opening(bare.system)) is None


# Grace, Jetson


def grace_machine(root, **watts):
    machine = FakeMachine(root, domains=())
    for number, (name, power_w) in enumerate(watts.items()):
        machine._write(f"sys/class/hwmon/hwmon{number}/name", "power_meter\n")
        machine._write(f"sys/class/hwmon/hwmon{number}/device/power1_oem_info", f"{name} Power Socket 0\n")
        machine._write(f"sys/class/hwmon/hwmon{number}/device/power1_average", str(round(power_w * 1e6)))
    return machine


def test_a_grace_is_counted_without_what_it_holds_and_without_what_holds_it(tmp_path):
    machine = grace_machine(tmp_path, Module=650.0, Grace=150.0, CPU=90.0, SysIO=20.0)
    meter = meter_of("board", machine.system, covered=frozenset({"gpu"}))
    draws = {draw.domain: draw for draw in meter.read(BUSY)}
    assert sum(draw.energy_j for draw in draws.values() if draw.counted) == pytest.approx(150.0)
    assert draws["module-0"].energy_j == pytest.approx(650.0)
    assert meter.covers == {"cpu", "dram"}
    names = [one.name for one in registry.open_all(machine.system, ())]
    assert names == ["board"] or "modelled" in names


def test_a_module_alone_counts_only_where_nobody_counts_its_gpu(tmp_path):
    machine = grace_machine(tmp_path, Module=650.0)
    assert registry.module("board").open_meter(Opening(machine.system, covered=frozenset({"gpu"}))) is None
    meter = meter_of("board", machine.system)
    assert [draw.energy_j for draw in meter.read(BUSY) if draw.counted] == [pytest.approx(650.0)]


def test_a_jetson_is_what_comes_in(tmp_path):
    machine = FakeMachine(tmp_path, domains=())
    machine._write("sys/class/hwmon/hwmon1/name", "ina3221\n")
    for channel, (label, volts, amps) in enumerate(
        [("VDD_IN", 5.0, 3.0), ("VDD_CPU_GPU_CV", 5.0, 1.2), ("VDD_SOC", 5.0, 0.6)], start=1
    ):
        machine._write(f"sys/class/hwmon/hwmon1/in{channel}_label", label)
        machine._write(f"sys/class/hwmon/hwmon1/in{channel}_input", str(round(volts * 1000)))
        machine._write(f"sys/class/hwmon/hwmon1/curr{channel}_input", str(round(amps * 1000)))
    meter = meter_of("board", machine.system)
    draws = meter.read(BUSY)
    assert sum(draw.energy_j for draw in draws if draw.counted) == pytest.approx(15.0)
    assert len(draws) == 3
    assert board.find(FakeMachine(tmp_path / "bare").system) == []


# batteries


def test_a_laptop_on_its_battery_and_off_it(tmp_path):
    machine = FakeMachine(tmp_path, domains=())
    for name, text in (("type", "Battery"), ("status", "Discharging"), ("power_now", "15000000")):
        machine._write(f"sys/class/power_supply/BAT0/{name}", text)
    machine._write("sys/class/power_supply/mouse/type", "Battery")
    machine._write("sys/class/power_supply/mouse/scope", "Device")
    meter = meter_of("battery", machine.system)
    assert [draw.energy_j for draw in meter.read(BUSY)] == [pytest.approx(15.0)]
    machine._write("sys/class/power_supply/BAT0/status", "Charging")
    assert "not on its battery" in flags(meter.read(BUSY))
    assert "pull the plug" in battery.probe(machine.system).hint
    machine._write("sys/class/power_supply/BAT0/status", "Discharging")
    machine.remove("sys/class/power_supply/BAT0/power_now")
    machine._write("sys/class/power_supply/BAT0/current_now", "-1500000")
    machine._write("sys/class/power_supply/BAT0/voltage_now", "12000000")
    assert battery.look(machine.system, ["BAT0"])[0].watts == pytest.approx(18.0)
    assert not battery.probe(FakeMachine(tmp_path / "bare").system).available


# Apple


def test_what_powermetrics_tells(tmp_path, monkeypatch):
    """A program of that name, which writes what its manual describes: plists with a NUL between them."""
    one = {"elapsed_ns": 500_000_000, "processor": {"cpu_energy": 1500, "gpu_energy": 250, "ane_power": 100.0}}
    (tmp_path / "one.plist").write_bytes(plistlib.dumps(one))
    program = tmp_path / "powermetrics"
    program.write_text(
        f"#!/bin/sh\nfor i in 1 2 3; do cat {tmp_path}/one.plist; printf '\\0'; done\nprintf '<plist>torn</plist>'\nsleep 60\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "root" in apple.probe(None).why
    monkeypatch.setattr("os.geteuid", lambda: 0)
    meter = registry.module("apple").open_meter(Opening(None))
    try:
        sums = {}
        assert meter.read(START) == ()
        end = time.monotonic() + 60
        while sums.get("ane", 0) < 0.1 and time.monotonic() < end:
            time.sleep(0.02)
            for draw in meter.read(Usage(0.02, 0, 0, 4)):
                sums[draw.domain] = sums.get(draw.domain, 0.0) + draw.energy_j
        # What came before the first read belongs to nobody's interval.
        assert sums["cpu"] == pytest.approx(30 * sums["ane"])
        assert sums["gpu"] == pytest.approx(5 * sums["ane"])
        assert "silent" in flags(meter.read(Usage(60.0, 0, 0, 4)))
    finally:
        meter.close()


# NVIDIA: what its sensor sees


def bursts(rng, sensor, *, seconds, period_s, share, low_w=80.0, high_w=400.0):
    """A load in bursts, and what a sensor that looks for its window of every period tells of it."""
    phase_s = rng.uniform(0, period_s)
    step_s = 0.001

    def watts(at_s):
        return high_w if (at_s + phase_s) % period_s < share * period_s else low_w

    looks = []
    for n in range(1, round(seconds / sensor.period_s) + 1):
        end_s = n * sensor.period_s
        window = round(sensor.window_s / step_s)
        looks.append((end_s, sum(watts(end_s - k * step_s) for k in range(window)) / window))
    truth_j = sum(watts(k * step_s) for k in range(round(seconds / step_s))) * step_s
    return looks, truth_j


def test_bursts_shorter_than_the_window_have_the_right_mean_and_bounds_that_hold():
    rng = random.Random(1)
    sensor = sensor_of("NVIDIA A100-SXM4-80GB")
    assert sensor.seen == 0.25
    held, errors = 0, []
    for _ in range(120):
        looks, truth_j = bursts(rng, sensor, seconds=4.0, period_s=rng.uniform(0.007, 0.9), share=rng.uniform(0.2, 0.8))
        told = integrate(looks, 4.0, sensor, limit_w=400.0)
        held += told.low_j * 0.99 <= truth_j <= told.high_j * 1.01
        errors.append(abs(told.energy_j / truth_j - 1))
    assert held >= 108
    assert sorted(errors)[60] <= 0.05


def test_a_load_in_step_with_the_sensor_is_not_believed():
    """Bursts of 25 ms every 100 ms: the sensor sees all of them or none."""
    sensor = sensor_of("NVIDIA H100 80GB HBM3")
    for seed in range(10):
        looks, truth_j = bursts(random.Random(seed), sensor, seconds=4.0, period_s=0.1, share=0.25)
        told = integrate(looks, 4.0, sensor, limit_w=400.0, busy=0.25)
        assert told.low_j <= truth_j <= told.high_j
    assert integrate([(i / 10, 300.0) for i in range(40)], 4.0, sensor, limit_w=400.0, busy=1.0).why == ""


def test_other_sensors_see_all_and_steady_loads_are_sure():
    for model, seen in (("Tesla V100-SXM2-16GB", 1.0), ("NVIDIA L4", 1.0), ("NVIDIA GH200 480GB", 0.25)):
        assert sensor_of(model).seen == seen
    told = integrate([(i / 10, 250.0) for i in range(10)], 1.0, sensor_of("NVIDIA L4"), limit_w=300.0)
    assert (told.low_j, told.energy_j, told.high_j) == (pytest.approx(250.0),) * 3


class SampledNvml(FakeNvml):
    """Remembers what its sensor saw, as the driver does."""

    def nvmlDeviceGetSamples(self, handle, kind, since_us):  # noqa: N802
        from types import SimpleNamespace as Bag

        looks = self._gpu(handle, "looks")
        return 1, [Bag(timeStamp=t, sampleValue=Bag(uiVal=round(w * 1000))) for t, w in looks if t > since_us]


def test_what_the_driver_remembers_is_used():
    library = SampledNvml(
        {"energy_mj": None, "power_w": 400.0, "users": {101: 1}, "limit_w": 400.0, "looks": [(1, 80.0)]}
    )
    library.gpus[0]["name"] = "NVIDIA A100-PCIE-40GB"
    meter = NvmlMeter(library)
    meter.read(START)
    library.gpus[0]["looks"] = [(1_000_000 + 100_000 * i, 400.0 if i % 2 else 80.0) for i in range(20)]
    meter.read(BUSY)
    library.gpus[0]["looks"] = [(3_000_000 + 100_000 * i, 400.0 if i % 2 else 80.0) for i in range(10)]
    (draw,) = meter.read(BUSY)
    assert draw.energy_j == pytest.approx(240.0, rel=0.05)
    assert 100 < draw.low_j < 235
    assert 245 < draw.high_j < 380


def test_a_counter_that_disagrees_with_the_power_is_flagged_and_held():
    library = FakeNvml({"energy_mj": 0, "power_w": 300.0, "users": {101: 1}, "limit_w": 400.0})
    meter = NvmlMeter(library)
    meter.read(START)
    for _ in range(15):
        library.gpus[0]["energy_mj"] += 100_000
        draws = meter.read(BUSY)
    assert "disagree" in flags(draws)
    assert draws[0].high_j >= 300.0
    honest = FakeNvml({"energy_mj": 0, "power_w": 300.0, "users": {101: 1}, "limit_w": 400.0})
    meter = NvmlMeter(honest)
    meter.read(START)
    for _ in range(15):
        honest.gpus[0]["energy_mj"] += 290_000
        draws = meter.read(BUSY)
    assert flags(draws) == ""


def test_a_library_that_lacks_what_newer_ones_have_still_measures():
    library = FakeNvml({"energy_mj": 0, "users": {101: 1}})
    meter = NvmlMeter(library)
    meter.read(START)
    library.gpus[0]["energy_mj"] = 50_000
    assert meter.read(BUSY)[0].energy_j == pytest.approx(50.0)


class SlicedNvml(FakeNvml):
    """GPU 0 cut into slices: (multiprocessors, pids)."""

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):  # noqa: N802
        if index >= len(self.gpus[0]["slices"]):
            raise self.NVMLError(6)
        return ("slice", index)

    def nvmlDeviceGetAttributes(self, part):  # noqa: N802
        from types import SimpleNamespace as Bag

        return Bag(multiprocessorCount=self.gpus[0]["slices"][part[1]][0], gpuInstanceSliceCount=1)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        from types import SimpleNamespace as Bag

        if isinstance(handle, tuple):
            return [Bag(pid=pid) for pid in self.gpus[0]["slices"][handle[1]][1]]
        return super().nvmlDeviceGetComputeRunningProcesses(handle)


def test_slices_of_a_gpu_are_their_processes_and_an_empty_one_is_idle(tmp_path):
    library = SlicedNvml({"energy_mj": 0, "users": {}, "slices": [(42, {101}), (28, {102, 103}), (28, set())]})
    meter = NvmlMeter(library)
    meter.read(START)
    library.gpus[0]["energy_mj"] = 300_000
    draws = meter.read(BUSY)
    whole = draws[0]
    part = part_of(whole, BUSY)
    assert part.mine_j == pytest.approx(300 * 42 / (42 + 28 + 0.3 * 28))
    assert part.idle_j == pytest.approx(300 * 0.3 * 28 / (42 + 28 + 0.3 * 28))
    assert part.mine_j + part.others_j + part.idle_j == pytest.approx(300.0)
    shown = {draw.domain: draw for draw in draws[1:]}
    assert sum(draw.energy_j for draw in shown.values()) == pytest.approx(300.0)
    assert not any(draw.counted for draw in shown.values())
    machine = FakeMachine(tmp_path, domains=())
    node = Node("process", system=machine.system, meters=("modelled",))
    node.meters = [meter]
    library.gpus[0]["energy_mj"] = 600_000
    shares = {share.name: share.last_j for share in node.read(1.0)}
    assert sum(shares.values()) == pytest.approx(300.0)
    assert shares["idle"] == pytest.approx(part.idle_j)
