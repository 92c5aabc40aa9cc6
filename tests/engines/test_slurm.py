"""What only a real Slurm cluster can show: queues, holds, requeues, licences, accounts, node meters, dead daemons."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from heliotrope.errors import InvalidInput
from heliotrope.run import accounting, engines
from heliotrope.run.engines.queued import name_of
from heliotrope.run.folder import Folder, numbered
from heliotrope.run.lifecycle import Seen

pytestmark = pytest.mark.xdist_group("slurm")


ENGINES = ("slurm",)


def job(slurm, task, form="%T", *, site="north"):
    return slurm.ask(site, "squeue", "-h", "--states=all", f"--name={name_of(task.handle)}", f"--format={form}").strip()


def test_what_is_held_waits_and_can_be_let_go(engine, task, until, slurm):
    one = task("print('ran')", options={"slurm.hold": "true"})
    engine.launch(one)
    assert "Held" in until(engine, one, Seen.QUEUED).why
    engine.resume(one.handle)
    assert until(engine, one, Seen.EXITED).code == 0


def test_a_pause_holds_what_has_not_begun(engine, task, until, wait_for, slurm):
    one = task("print('ran')", options={"slurm.begin": "now+1hour"})
    engine.launch(one)
    until(engine, one, Seen.QUEUED)
    engine.pause(one.handle)
    wait_for(lambda: "JobHeld" in engine.observe(one.handle).why)
    engine.save(one.handle)
    assert until(engine, one, Seen.EXITED).code == -signal.SIGTERM
    assert job(slurm, one) == "CANCELLED"
    assert Folder(Path(one.handle)).began is None


def test_what_slurm_will_not_have_says_so_and_is_not_tried_again(engine, task):
    one = task("", options={"slurm.account": "nobody"})
    engine.launch(one)
    sight = engine.observe(one.handle)
    assert sight.seen is Seen.EXITED
    assert "Invalid account" in sight.why


def test_a_work_may_choose_for_itself(engine, task, until, slurm):
    one = task(
        "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(2)",
        cpus=2,
        devices=1,
        device_kind="h100",
        width=2,
        memory_bytes=1 << 30,
        options={
            "slurm.partition": "urgent",
            "slurm.account": "climate",
            "slurm.time": "10",
            "slurm.flags": "--nice=5",
        },
    )
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    told = slurm.ask("north", "scontrol", "show", "job", job(slurm, one, "%i"))
    for word in ("Partition=urgent", "Account=climate", "CPUs/Task=4", "TimeLimit=00:10:00", "MinMemoryNode=1G"):
        assert word in told
    until(engine, one, Seen.EXITED)
    assert Folder(Path(one.handle)).out.read_text() == "0,1\n"


def test_a_misspelt_option_names_its_place():
    with pytest.raises(InvalidInput, match=r"engine_options.partitoin: unknown option partitoin") as caught:
        engines.engine("slurm", partitoin="flex")
    assert caught.value.hint == "did you mean partition?"


GO_ON = "import os, time\nwhile not os.path.exists('enough'): time.sleep(0.1)"


def test_watts_are_a_pool_that_jobs_share(slurm, task, until, wait_for):
    engine = engines.engine("slurm", **slurm.options("north"), power_licence="watts")
    assert engine.capabilities.power_pool
    one = task(GO_ON, power_w=1400.0, width=2)
    two = task("", power_w=1300.0)
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    engine.launch(two)
    wait_for(lambda: engine.observe(two.handle).why == "Licenses")
    (Path(one.working_directory) / "enough").touch()
    until(engine, one, Seen.EXITED)
    assert until(engine, two, Seen.EXITED).code == 0


STEPS = """
CK=$HELIO_CHECKPOINT/step
STEP=$(cat $CK 2>/dev/null || echo 0)
echo "began at $STEP, restart ${SLURM_RESTART_COUNT:-0}"
trap 'echo $STEP > $CK; scontrol requeue $SLURM_JOB_ID; sleep 60' USR1
trap 'echo $STEP > $CK; exit 143' TERM
while [ $STEP -lt 40 ]; do sleep 0.1 & wait $!; STEP=$((STEP+1)); done
echo "done at $STEP"
"""


def test_a_script_that_saves_and_requeues_itself_goes_on_within_its_attempt(engine, task, until, wait_for, out, slurm):
    one = task("", command=("bash", "-c", STEPS), options={"slurm.requeue": "true"})
    engine.launch(one)
    wait_for(lambda: "began at 0" in out(one))
    time.sleep(1)
    slurm.ask("north", "scancel", "--batch", "--signal=USR1", f"--name={name_of(one.handle)}")
    assert until(engine, one, Seen.EXITED, within_s=60).code == 0
    lines = out(one).splitlines()
    assert lines[0] == "began at 0, restart 0"
    assert lines[-2].endswith("restart 1")
    assert int(lines[-2].split()[2].rstrip(",")) > 0
    assert lines[-1] == "done at 40"
    run = Path(one.handle).parent
    first, second = accounting.folders_of(run.parent, run.name)
    assert first.path == Path(one.handle) / "before" / "1"
    whole, part = accounting.measured([first, second]), accounting.measured([second])
    assert whole.energy_j.value > part.energy_j.value > 0


def test_what_was_asked_to_leave_stays_away_even_if_slurm_requeues_it(engine, task, until, wait_for, out, slurm):
    one = task("", command=("bash", "-c", STEPS), options={"slurm.requeue": "true"})
    engine.launch(one)
    wait_for(lambda: "began at 0" in out(one))
    Folder(Path(one.handle)).asked.touch()
    slurm.ask("north", "scontrol", "requeue", job(slurm, one, "%i"))
    assert until(engine, one, Seen.EXITED).code == 143
    wait_for(lambda: job(slurm, one) == "FAILED")
    assert out(one).count("began") == 1
    assert numbered(Folder(Path(one.handle)).before) == []
