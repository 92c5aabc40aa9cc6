"""What only a real Slurm cluster can show: queues, holds, requeues, licences, accounts, node meters, dead daemons."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from heliotrope.errors import EngineError, InvalidInput
from heliotrope.model import Provenance
from heliotrope.run import accounting, engines
from heliotrope.run.engines.queued import name_of
from heliotrope.run.engines.slurm.asked import minutes
from heliotrope.run.engines.slurm.states import job_of
from heliotrope.run.engines.slurm.watch import judged
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Folder, folders_of, numbered

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
    first, second = folders_of(run.parent, run.name)
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


def test_its_kwh_are_written_to_the_job(engine, task, until, wait_for, slurm):
    one = task("t = __import__('time').time()\nwhile __import__('time').time() < t + 0.5: pass")
    engine.launch(one)
    until(engine, one, Seen.EXITED)
    wait_for(lambda: job(slurm, one) == "COMPLETED")
    told = slurm.ask("north", "scontrol", "show", "job", job(slurm, one, "%i"))
    energy = Folder(Path(one.handle)).measurement.energy_j
    comment = next(line.strip() for line in told.splitlines() if "Comment=" in line)
    assert comment.startswith(f"Comment=helio kwh={energy.value / 3.6e6:.9f} low=")
    assert comment.endswith(energy.provenance.value)


def test_the_nodes_meter_is_shared_with_whoever_was_there(slurm, task, until, wait_for):
    """South's two nodes draw 350 W each; two jobs on one node share it, and a job alone has it all."""
    engine = engines.engine("slurm", **slurm.options("south"), meter="sacct")
    pair = [task("import time; time.sleep(4)", cpus=4, options={"slurm.flags": "--nodelist=south1"}) for _ in "ab"]
    alone = task("import time; time.sleep(4)", options={"slurm.flags": "--nodelist=south2"})
    for one in (*pair, alone):
        engine.launch(one)
    for one in (*pair, alone):
        until(engine, one, Seen.EXITED, within_s=60)
    first, second, whole = (Folder(Path(one.handle)).measurement for one in (*pair, alone))
    assert whole.energy_j.provenance is Provenance.MEASURED
    assert first.energy_j.provenance is Provenance.MODELLED
    drawn = [m.meters[0].energy_j for m in (first, second, whole)]
    # Whole seconds, and a start that is not the same: south1's two jobs together draw about what south2's one does.
    assert 0.6 < (drawn[0] + drawn[1]) / drawn[2] < 1.7
    assert max(drawn[:2]) < 0.8 * drawn[2]
    for measurement in (first, second, whole):
        assert measurement.energy_j.low <= sum(r.energy_j for r in measurement.readings) <= measurement.energy_j.high


def test_a_crash_before_it_was_noted_sends_it_once(engine, task, until, slurm, out):
    one = task("print('ran')")
    engine.launch(one)
    (Path(one.handle) / "sent.json").unlink()
    engine.launch(one)
    assert until(engine, one, Seen.EXITED).code == 0
    assert job(slurm, one, "%i").count("\n") == 0, "one job"
    assert out(one) == "ran\n"


def test_two_jobs_of_one_attempt_run_it_once(engine, task, until, wait_for, slurm, out):
    """What no care can rule out: one attempt sent twice. The second finds the folder taken, and leaves."""
    one = task("import time; print('ran'); time.sleep(2)")
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    slurm.ask(
        "north", "sbatch", f"--job-name={name_of(one.handle)}", "--output=/dev/null", "--wrap",
        shlex.join([sys.executable, "-m", "heliotrope.run.engines.slurm.node", one.handle]),
    )  # fmt: skip
    assert until(engine, one, Seen.EXITED).code == 0
    wait_for(lambda: set(job(slurm, one).split()) <= {"COMPLETED", "FAILED"})
    assert out(one) == "ran\n"


def test_who_is_cancelled_at_the_cluster_fails_and_says_so(engine, task, until, slurm):
    one = task("import time; time.sleep(60)")
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    slurm.ask("north", "scancel", job(slurm, one, "%i"))
    assert "CANCELLED" in until(engine, one, Seen.EXITED).why


def test_slurm_itself_can_suspend(slurm, task, until, wait_for, out):
    engine = engines.engine("slurm", **slurm.options("north"), suspend="slurm")
    one = task("import time\nwhile True:\n    print('.', end='', flush=True); time.sleep(0.02)")
    engine.launch(one)
    wait_for(lambda: len(out(one)) > 3)
    engine.pause(one.handle)
    wait_for(lambda: job(slurm, one) == "SUSPENDED")
    engine.pause(one.handle)
    engine.kill(one.handle)
    assert until(engine, one, Seen.EXITED).code == -signal.SIGKILL


@pytest.mark.parametrize(
    ("text", "wanted"), [("60", 60), ("1:30", 2), ("1:30:00", 90), ("2-12", 3600), ("1-0:30", 1470), ("0-0:0:1", 1)]
)
def test_slurms_lengths(text, wanted):
    assert minutes(text) == wanted


def test_what_is_no_length_says_what_is():
    with pytest.raises(InvalidInput, match="not a length of time"):
        minutes("soon")


def test_a_controller_of_slurm_that_dies_loses_nothing(engine, task, until, wait_for, slurm, out):
    one = task(GO_ON + "\nprint('done')")
    engine.launch(one)
    until(engine, one, Seen.ALIVE)
    slurm.write_down("north", job(slurm, one, "%i"))
    slurm.kill("slurmctld-north")
    with pytest.raises(EngineError, match="squeue"):
        wait_for(lambda: engine.observe(one.handle).seen is not Seen.ALIVE)
    slurm.start_controller("north")
    (Path(one.working_directory) / "enough").touch()
    assert until(engine, one, Seen.EXITED, within_s=60).code == 0
    assert out(one) == "done\n"


@pytest.mark.parametrize(
    ("drained", "by_hand"),
    [
        ([], True),
        ([("south2", 1003.0, "Duplicate jobid")], False),
        ([("south2", 1003.0, "fan broken")], True),
        ([("south1", 1003.0, "Duplicate jobid")], True),
        ([("south2", 400.0, "Duplicate jobid"), ("south2", 1000.0, "Duplicate jobid [slurm]")], False),
        ([("south2", 400.0, "Duplicate jobid")], True),
    ],
)
def test_who_cancelled_it_is_told_by_why_its_node_was_drained(drained, by_hand):
    cancelled = job_of("7", "CANCELLED by 0", "None", "south2", "1000")
    assert judged(cancelled, drained).by_hand is by_hand


def test_what_slurm_forgets_is_lost_and_never_called_cancelled(slurm, task, until, wait_for, out):
    """Killed before it wrote them down, slurmctld forgets two jobs, and hands the running one's number out again.

    The node still has that number: Slurm cancels one of the two in root's name. Nobody here meant that.
    """
    engine = engines.engine("slurm", **slurm.options("south"))
    there = {"slurm.flags": "--nodelist=south2"}
    ran = task("print('began', flush=True); import time; time.sleep(30)", options=there)
    waits = task("print('ran')", options=there | {"slurm.hold": "true"})
    with slurm.amnesia("south"):
        engine.launch(ran)
        engine.launch(waits)
        wait_for(lambda: "began" in out(ran))
        number = job(slurm, ran, "%i", site="south")
    after = task("print('ran')", options=there)
    engine.launch(after)
    assert job(slurm, after, "%i", site="south") == number
    ends = {}

    def over():
        ends.update({one.handle: engine.observe(one.handle) for one in (ran, waits, after)})
        return all(sight.seen in {Seen.EXITED, Seen.GONE} for sight in ends.values())

    wait_for(over, within_s=90)
    assert all("CANCELLED" not in sight.why for sight in ends.values()), ends
    assert ends[waits.handle].seen is Seen.GONE
    assert ends[ran.handle].code != 0
    assert (ends[after.handle].code == 0) == (out(after) == "ran\n")
    slurm.let_work("south")
