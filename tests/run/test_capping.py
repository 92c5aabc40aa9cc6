"""A slot's power cap is held while it runs and given back whatever is killed; where there is no knob, none is planned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from fakemachine import FakeMachine
from heliotrope.config import MeasureSettings, Settings
from heliotrope.fleet import Fleet
from heliotrope.measure.machine.system import System
from heliotrope.model import Flexibility, Length, PowerCap, Resources, RunState, Site, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.engines import capping, engine
from heliotrope.run.views import run_view
from heliotrope.units import from_epoch

LIMITS = [f"sys/class/powercap/intel-rapl:{number}/constraint_0_power_limit_uw" for number in (0, 1)]
STOOD_UW = 200_000_000


@pytest.fixture
def machine(tmp_path):
    made = FakeMachine(tmp_path / "machine", domains=("package-0", "package-1"))
    for number, limit in enumerate(LIMITS):
        folder = made.root / limit
        folder.with_name("constraint_0_name").write_text("long_term")
        folder.write_text(str(STOOD_UW))
        assert made.folders[f"package-{number}"] in limit
    return made


def stand(machine):
    return [int((machine.root / limit).read_text()) for limit in LIMITS]


def test_it_is_held_on_all_packages_and_given_back(machine, tmp_path):
    assert capping.capable(machine.system)
    held = capping.hold(machine.system, 240.0, 0, {}, journal=tmp_path / "power.jsonl")
    assert stand(machine) == [120_000_000, 120_000_000]
    assert held.told == "its power was capped at 240 W: package-0/limit, package-1/limit"
    second = capping.hold(machine.system, 200.0, 0, {}, journal=tmp_path / "power.jsonl")
    assert "was not held" in second.told
    second.give_back()
    held.give_back()
    assert stand(machine) == [STOOD_UW, STOOD_UW]


def test_a_cap_above_or_below_what_the_device_can_do_is_held_as_near_as_it_can(machine, tmp_path):
    held = capping.hold(machine.system, 1.0, 0, {}, journal=tmp_path / "power.jsonl")
    assert stand(machine) == [80_000_000, 80_000_000]
    assert "160 W" in held.told, "what stands is said, not what was wished"
    held.give_back()
    assert stand(machine) == [STOOD_UW, STOOD_UW]


def test_work_on_accelerators_leaves_the_packages_alone(machine, tmp_path):
    held = capping.hold(machine.system, 240.0, 1, {}, journal=tmp_path / "power.jsonl")
    assert held.told == "its power cap of 240 W was not held: no limit in watts can be set here"
    assert stand(machine) == [STOOD_UW, STOOD_UW]


HOLDER = """
import sys, time
from pathlib import Path
from heliotrope.measure.machine.system import System
from heliotrope.run.engines import capping
held = capping.hold(System(sys.argv[1]), 240.0, 0, {}, journal=Path(sys.argv[2]))
print(held.told, flush=True)
time.sleep(600)
"""


def test_a_killed_holder_leaves_nothing_capped(machine, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(machine.root), str(tmp_path / "power.jsonl")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "capped at 240 W" in holder.stdout.readline()
    assert stand(machine) == [120_000_000, 120_000_000]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 60
    while stand(machine) != [STOOD_UW, STOOD_UW]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def work(caps):
    """Little room before its deadline: it begins within seconds."""
    now_s = time.time()
    return Workload(
        id="w",
        kind=WorkloadKind.BATCH,
        command=("sh", "-c", "echo cap ${HELIO_POWER_CAP_W:-none}"),
        submitted_at=from_epoch(now_s),
        deadline=from_epoch(now_s + 70),
        length=Length.known(60),
        resources=Resources(power_w=200.0),
        flexibility=Flexibility(caps=caps),
        working_directory="/",
        environment={"PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("capable", [True, False])
def test_a_plan_counts_on_caps_only_where_they_are_held(home, monkeypatch, capable):
    """Told that it can, a machine that cannot says in the record that the cap was not held."""
    local = engine("local")
    real = local.capabilities
    monkeypatch.setitem(vars(local), "capabilities", msgspec.structs.replace(real, caps=capable))
    settings = Settings(home=str(home), measure=MeasureSettings(interval_s=0.1))
    controller = Controller(settings, Fleet((Site("here", "DE", country="DE"),), home="here"))
    plan, _ = controller.submit(work((PowerCap(80.0, 0.9),)))
    assert plan.slots[0].power_cap_w == (80.0 if capable else None)
    assert controller.follow("w", lambda *_: None).state is RunState.DONE
    view = run_view(controller.store, "w")
    out = (home / "runs" / "w-1" / "0" / "out.log").read_text()
    assert out == f"cap {'80' if capable else 'none'}\n"
    said = [flag for flag in view.footprint.flags if "cap" in flag and "W" in flag]
    if capable:
        assert len(said) == 1
        assert "was not held" in said[0] or capping.capable(System())
    else:
        assert said == []
    controller.close()
