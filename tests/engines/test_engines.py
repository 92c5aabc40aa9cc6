"""What every engine must do, asked of each: start once, tell how it ended, pause, save, kill, leave nobody behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from heliotrope.errors import UnknownName
from heliotrope.run import engines
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working import segments
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.processes import MARK, alive, identity, members
from heliotrope.store import Store
from shepherds import shepherd_of


def test_nothing_is_absent(engine, task):
    assert engine.observe(task("").handle).seen is Seen.ABSENT


def test_the_exit_code_is_the_commands_own(engine, task, until):
    codes = (0, 75, 255)
    sent = [task(f"raise SystemExit({code})") for code in codes]
    for one in sent:
        engine.launch(one)
    sights = [until(engine, one, Seen.EXITED, within_s=60) for one in sent]
    assert tuple(sight.code for sight in sights) == codes, sights


@pytest.mark.keeper
def test_a_signal_is_told_as_such(engine, task, until):
    one = task("import os; os.kill(os.getpid(), 9)")
    engine.launch(one)
    assert until(engine, one, Seen.EXITED).code == -signal.SIGKILL


def test_launching_again_and_again_starts_once(engine, task, until, out):
    one = task("print('began'); import time; time.sleep(0.5)")
    for _ in range(5):
        engine.launch(one)
    until(engine, one, Seen.EXITED)
    engine.launch(one)
    assert out(one) == "began\n"


@pytest.mark.keeper
def test_output_of_both_streams_is_kept(engine, task, until, out):
    one = task("import sys; print('to out'); print('to err', file=sys.stderr)")
    engine.launch(one)
    until(engine, one, Seen.EXITED)
    assert sorted(out(one).split("\n")) == ["", "to err", "to out"]


@pytest.mark.keeper
def test_it_is_measured(engine, task, until):
    one = task("import time; t = time.time()\nwhile time.time() - t < 0.5: pass")
    engine.launch(one)
    until(engine, one, Seen.EXITED)
    (piece,) = segments.of(Store.at(Path(one.handle).parents[2]), Path(one.handle).parent.name)
    measured = piece.measurement
    assert measured is not None
    assert measured.energy_j.value > 0
    assert 0.4 < measured.duration_s < 20


@pytest.mark.keeper
def test_a_command_that_is_not_there(engine, task, until, out):
    one = task("", command=("/no/such/command",))
    engine.launch(one)
    assert until(engine, one, Seen.EXITED).code == 127
    assert "no such" in out(one).lower()


@pytest.mark.keeper
def test_a_meter_that_is_not_there_says_why_and_runs_nothing(engine, task, until, out):
    one = task("print('ran')", meters=("crystal-ball",))
    engine.launch(one)
    sight = until(engine, one, Seen.EXITED)
    assert sight.code != 0
    assert "crystal-ball" in sight.why
    assert out(one) == ""


@pytest.mark.keeper
def test_a_command_gets_its_signals_as_everywhere(engine, task, until, out):
    """SIGPIPE ends a writer that nobody reads any more; Python would have passed on that it is ignored."""
    one = task("", command=("bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}"))
    engine.launch(one)
    until(engine, one, Seen.EXITED)
    assert out(one) == "y\n141\n"


COUNT = "import time\nwhile True:\n    print('.', end='', flush=True); time.sleep(0.02)"


def still(task, out):
    before = len(out(task))
    time.sleep(0.3)
    return len(out(task)) == before


def test_pause_stops_it_and_resume_goes_on(engine, task, until, wait_for, out):
    one = task(COUNT)
    engine.launch(one)
    wait_for(lambda: len(out(one)) > 3)
    engine.pause(one.handle)
    engine.pause(one.handle)
    wait_for(lambda: still(one, out))
    before = len(out(one))
    assert engine.observe(one.handle).seen is Seen.ALIVE
    engine.resume(one.handle)
    wait_for(lambda: len(out(one)) > before + 3)
    engine.kill(one.handle)
    assert until(engine, one, Seen.EXITED).code == -signal.SIGKILL


SAVES = """
import os, signal, time
asked = 0
def save(*_):
    global asked
    asked += 1
    open(os.environ["HELIO_CHECKPOINT"] + "/state", "w").write(str(asked))
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
end = None
while end is None or time.time() < end:
    time.sleep(0.05)
    end = end or (asked and time.time() + 0.5) or None
raise SystemExit(75)
"""


def test_asked_to_save_it_is_asked_once(engine, task, wait_for, out, there):
    one = task(SAVES)
    engine.launch(one)
    wait_for(lambda: "ready" in out(one))
    # Its output may be here before the word that it runs.
    while engine.observe(one.handle).seen in {Seen.QUEUED, Seen.ALIVE}:
        engine.save(one.handle)
        time.sleep(0.05)
    assert engine.observe(one.handle).code == 75
    assert Path(there(one.checkpoint), "state").read_text() == "1"


@pytest.mark.keeper
def test_a_paused_one_hears_that_it_should_save(engine, task, until, wait_for, out):
    one = task("print('ready', flush=True); import time; time.sleep(60)")
    engine.launch(one)
    wait_for(lambda: "ready" in out(one))
    engine.pause(one.handle)
    engine.save(one.handle)
    assert until(engine, one, Seen.EXITED).code == -signal.SIGTERM


BREEDS = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("bred", flush=True)
"""


@pytest.mark.keeper
def test_nobody_of_it_outlives_its_end(engine, task, until, there):
    one = task(BREEDS)
    engine.launch(one)
    until(engine, one, Seen.EXITED)
    assert marked(there(one.handle)) == []


def test_kill_reaches_a_child_that_made_a_session_of_its_own(engine, task, until, wait_for, out, there):
    one = task(BREEDS + "time.sleep(600)")
    engine.launch(one)
    wait_for(lambda: "bred" in out(one))
    engine.kill(one.handle)
    until(engine, one, Seen.EXITED)
    assert marked(there(one.handle)) == []


def marked(handle):
    folder = Folder(Path(handle))
    return members(folder.path, folder.began.child)


def test_a_dead_shepherd_is_seen_and_its_flock_is_reaped(engine, task, until, wait_for, out, there):
    one = task(BREEDS + "time.sleep(600)")
    engine.launch(one)
    wait_for(lambda: "bred" in out(one))
    os.kill(shepherd_of(there(one.handle)), signal.SIGKILL)
    until(engine, one, Seen.GONE)
    # An agent reaps before it tells.
    assert len(marked(there(one.handle))) == (0 if engine.name == "agent" else 3)
    engine.reap(one.handle)
    assert marked(there(one.handle)) == []
    assert engine.observe(one.handle).seen is Seen.GONE
    engine.launch(one)
    assert engine.observe(one.handle).seen is Seen.GONE, "what may have run is never run again in the same attempt"


def test_a_recycled_number_is_nobody_we_know(tmp_path):
    import msgspec

    me = identity(os.getpid())
    assert alive(me)
    assert not alive(msgspec.structs.replace(me, ticks=me.ticks - 1))
    assert not alive(msgspec.structs.replace(me, boot="another"))
    assert MARK not in os.environ


def test_an_unknown_engine_lists_the_known():
    with pytest.raises(UnknownName, match="no engine is called lokal") as caught:
        engines.engine("lokal")
    assert "local" in caught.value.hint
