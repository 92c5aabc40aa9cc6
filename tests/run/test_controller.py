"""The controller's stories: whose turn it is, what is stored when, and what goes on after anything that can happen."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from heliotrope import fleet
from heliotrope.config import MeasureSettings, Settings
from heliotrope.errors import Infeasible, InvalidInput, RunError, UnknownName, UnknownZone
from heliotrope.model import Flexibility, PauseBy, RunState
from heliotrope.run import Controller
from heliotrope.run.engines import engine
from heliotrope.run.views import jobs, run_view
from heliotrope.run.working.folder import Folder
from heliotrope.store import runs
from heliotrope.units import from_epoch
from shepherds import shepherd_of
from work_stories import work


@pytest.fixture
def settings(home):
    return Settings(home=str(home), zone="DE", measure=MeasureSettings(interval_s=0.1))


@pytest.fixture
def controller(settings):
    made = Controller(settings)
    yield made
    for run in jobs(made.store):
        if run.state not in {"done", "failed", "cancelled", "lost"}:
            made.cancel(run.workload)
            made.follow(run.workload, lambda *_: None)
    made.close()


def kinds(controller):
    with controller.store.read() as tx:
        return [(row["kind"], row["subject"]) for row in tx.all("SELECT kind, subject FROM log_record ORDER BY idx")]


def folder(controller, run, segment=0):
    return Folder(controller.home / "runs" / run.id / str(segment))


def step_until(controller, name, state, *, within_s=30.0):
    deadline = time.monotonic() + within_s
    assert controller.lead()
    while (run := run_view(controller.store, name).run).state is not state:
        assert time.monotonic() < deadline, run
        controller.step()
        time.sleep(0.02)
    return run


def written(path, *, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def quiet(*_):
    """Nobody watches."""


def test_the_plan_is_in_the_log_before_anything_runs(controller):
    controller.submit(work(), at_once=True)
    assert kinds(controller) == [("plan", "w")]
    assert not (controller.home / "runs").exists()
    done = controller.follow("w", quiet)
    assert done.state is RunState.DONE
    assert kinds(controller) == [("plan", "w"), ("run", "w-1")]
    assert Path(done.receipt).exists()


def test_what_cannot_run_is_not_acknowledged(controller):
    for refused, error in (
        (work(command=("no-such-thing",)), InvalidInput),
        (work(command=("./no-such-thing",)), InvalidInput),
        (work(sites=("atlantis",)), UnknownName),
        (work(length_s=7200, within_s=3600), Infeasible),
    ):
        with pytest.raises(error) as caught:
            controller.submit(refused)
        assert caught.value.hint
    assert jobs(controller.store) == ()
    assert kinds(controller) == []


def test_a_zone_that_nobody_knows(settings):
    lost = Controller(msgspec.structs.replace(settings, zone="XQ"))
    with pytest.raises(UnknownZone):
        lost.submit(work())
    lost.close()


def test_one_leads_and_the_next_takes_over(controller, settings):
    second = Controller(settings)
    assert controller.lead()
    assert not second.lead()
    controller.submit(work(code="import time; time.sleep(0.5)"), at_once=True)
    controller.step()
    controller.close()
    assert second.lead()
    assert second.follow("w", quiet).state is RunState.DONE
    second.close()


def test_a_stranger_to_its_fleet_can_finish_and_cancel_it(settings, controller):
    """Submitted to the example fleet; whoever goes on with it was told of another, or of none."""
    away = Controller(settings, fleet.example())
    away.submit(work("a"), at_once=True)
    away.submit(work("b", within_s=48 * 3600, length_s=3600, sites=("oslo",) if _has(away, "oslo") else ()))
    away.close()
    done = controller.follow("a", quiet)
    assert done.state is RunState.DONE
    assert done.site == away.fleet.home
    controller.cancel("b")
    assert controller.follow("b", quiet).state is RunState.CANCELLED


def _has(controller, name):
    return any(site.name == name for site in controller.fleet.sites)


def test_a_killed_job_goes_on_from_its_checkpoint(controller, tmp_path):
    code = f"""
import os, pathlib, time
saved = pathlib.Path(os.environ["HELIO_CHECKPOINT"], "state")
if not saved.exists():
    saved.write_text("half")
    open({str(tmp_path / "half")!r}, "w").close()
    time.sleep(60)
"""
    controller.submit(work(code=code), at_once=True)
    run = step_until(controller, "w", RunState.RUNNING)
    written(tmp_path / "half")
    os.kill(folder(controller, run).began.child.pid, signal.SIGKILL)
    assert controller.follow("w", quiet).state is RunState.DONE
    assert [a.state for a in run_view(controller.store, "w").attempts] == [RunState.LOST, RunState.DONE]
    assert kinds(controller)[1:] == [("run", "w-1"), ("run", "w-2")], "what the lost attempt used is recorded too"


def test_a_meter_that_is_not_there_fails_the_run_and_says_why(settings):
    blind = Controller(msgspec.structs.replace(settings, measure=MeasureSettings(meters=("crystal-ball",))))
    blind.submit(work(), at_once=True)
    done = blind.follow("w", quiet)
    assert done.state is RunState.FAILED
    assert "crystal-ball" in done.reason
    blind.close()


@pytest.mark.parametrize("damage", [b"", b'{"line":"he', b"\xff\xfe\n" * 3])
def test_a_journal_that_cannot_be_read_keeps_no_run_from_ending(controller, damage):
    controller.submit(work(code="import time; time.sleep(60)", max_attempts=1), at_once=True)
    attempt = folder(controller, step_until(controller, "w", RunState.RUNNING))
    written(attempt.out)
    os.kill(shepherd_of(attempt.path), signal.SIGKILL)
    attempt.journal.write_bytes(damage)
    done = controller.follow("w", quiet)
    assert done.state is RunState.FAILED
    assert "vanished" in done.reason
    events = [event.name for event in run_view(controller.store, "w").events]
    assert ("not measured" in events) == (b"\n" in damage)


def test_a_full_disk_delays_an_end_and_loses_none(controller, tmp_path):
    """The folder refuses to be written just when the command ends."""
    code = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.05)"
    controller.submit(work(code=code), at_once=True)
    attempt = folder(controller, step_until(controller, "w", RunState.RUNNING))
    written(attempt.out)
    blocker = attempt.path / f".exit.json.{shepherd_of(attempt.path)}.new"
    blocker.mkdir()
    (tmp_path / "go").touch()
    written(attempt.path / "shepherd.log")
    deadline = time.monotonic() + 20
    while "tried again" not in (attempt.path / "shepherd.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    blocker.rmdir()
    done = controller.follow("w", quiet)
    assert (done.state, done.attempt) == (RunState.DONE, 1)


def test_a_failing_job_is_not_tried_again(controller):
    controller.submit(work(code="raise SystemExit(3)"), at_once=True)
    done = controller.follow("w", quiet)
    assert (done.state, done.exit_code, done.attempt) == (RunState.FAILED, 3, 1)
    assert done.receipt


def test_after_a_reboot_it_is_begun_again_and_no_stranger_is_harmed(controller, tmp_path):
    """Another boot gave the old number to somebody else: here to this test itself."""
    code = f"import os, time\nif not os.path.exists({str(tmp_path / 'x')!r}): open({str(tmp_path / 'x')!r}, 'w'); time.sleep(60)"
    controller.submit(work(code=code), at_once=True)
    run = step_until(controller, "w", RunState.RUNNING)
    written(tmp_path / "x")
    attempt = folder(controller, run)
    child = attempt.began.child
    os.kill(shepherd_of(attempt.path), signal.SIGKILL)
    os.kill(child.pid, signal.SIGKILL)
    began = attempt.began
    attempt.write(
        "began", msgspec.structs.replace(began, child=msgspec.structs.replace(child, pid=os.getpid(), boot="of old"))
    )
    assert controller.follow("w", quiet).state is RunState.DONE
    assert [a.state for a in run_view(controller.store, "w").attempts] == [RunState.LOST, RunState.DONE]


def test_a_clock_that_is_set_back_loses_nothing(controller, monkeypatch):
    controller.submit(work(code="import time; time.sleep(0.5)"), at_once=True)
    step_until(controller, "w", RunState.RUNNING)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() - 3600)
    done = controller.follow("w", quiet)
    assert done.state is RunState.DONE
    assert kinds(controller) == [("plan", "w"), ("run", "w-1")]


def test_cancelling_asks_first(controller, tmp_path):
    code = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / "saved")!r}, "w").close(), sys.exit(0)))
open({str(tmp_path / "ready")!r}, "w").close()
time.sleep(60)
"""
    controller.submit(work(code=code), at_once=True)
    step_until(controller, "w", RunState.RUNNING)
    written(tmp_path / "ready")
    controller.cancel("w-1")
    done = controller.follow("w", quiet)
    assert done.state is RunState.CANCELLED
    assert (tmp_path / "saved").exists()
    assert done.receipt, "what it used until then is recorded"
    with pytest.raises(RunError, match="over"):
        controller.cancel("w")


@pytest.mark.parametrize("by", list(PauseBy))
def test_a_plan_with_pauses_is_kept(controller, tmp_path, by):
    """Two slots in fast time: it stops at the end of the first and is done in the second."""
    code = f"""
import os, signal, sys, time
note = lambda text: open({str(tmp_path / "notes")!r}, "a").write(text + "\\n")
signal.signal(signal.SIGTERM, lambda *_: (note("asked"), sys.exit(143)))
note("began")
saved = os.path.join(os.environ["HELIO_CHECKPOINT"], "state")
if os.path.exists(saved):
    sys.exit(0)
open(saved, "w").close()
time.sleep(2.5)
note("finished")
"""
    workload = work(
        code=code,
        length_s=7200,
        within_s=6 * 3600,
        flexibility=Flexibility(pausable=True, pause_by=by),
    )
    plan, clock = controller.submit(workload, factor=3600.0)
    now_s = clock.now_s()
    slot = plan.slots[0]
    slots = tuple(
        msgspec.structs.replace(slot, start=from_epoch(now_s + a * 3600), end=from_epoch(now_s + b * 3600))
        for a, b in ((0, 1.5), (3.5, 5))
    )
    with controller.store.write() as tx:
        runs.add_plan(tx, msgspec.structs.replace(plan, slots=slots, made_at=from_epoch(now_s)))
    seen = []
    done = controller.follow("w", lambda run, *_: seen.append(run.state))
    assert done.state is RunState.DONE
    assert RunState.PAUSED in seen
    notes = (tmp_path / "notes").read_text().split()
    assert notes == (["began", "finished"] if by is PauseBy.SIGNAL else ["began", "asked", "began"])
    assert kinds(controller) == [("plan", "w"), ("run", "w-1")], "one attempt, however often it paused"


def test_one_that_cannot_go_on_keeps_no_other_from_it(controller):
    controller.submit(work("bad"), at_once=True)
    controller.submit(work("good"), at_once=True)
    with controller.store.write() as tx:
        bad = runs.run(tx, "bad-1")
        runs.put_run(tx, msgspec.structs.replace(bad, site="abacus"))
    assert controller.follow("good", quiet).state is RunState.DONE
    with pytest.raises(UnknownName, match="abacus"):
        controller.follow("bad", quiet)
    with controller.store.write() as tx:
        runs.put_run(tx, bad)
    assert controller.follow("bad", quiet).state is RunState.DONE


def test_forecasts_are_looked_at_once_an_hour_not_once_a_look(controller, monkeypatch):
    controller.submit(work(within_s=90 * 3600, length_s=3600, not_before=from_epoch(time.time() + 40 * 3600)))
    asked = []
    real = controller.plan
    monkeypatch.setattr(controller, "plan", lambda *a, **k: (asked.append(1), real(*a, **k))[1])
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + 2 * 3600)
    for _ in range(5):
        controller.step()
    assert len(asked) == 1
    assert run_view(controller.store, "w").run.state is RunState.WAITING
    monkeypatch.undo()
    controller.cancel("w")
    assert controller.follow("w", quiet).state is RunState.CANCELLED


def test_a_start_that_was_slept_through_is_chosen_anew(controller, monkeypatch):
    # An evening in June: the best hour within sixty is about a noon, with room behind it.
    evening_s = datetime(2026, 6, 10, 18, tzinfo=UTC).timestamp()
    monkeypatch.setattr(time, "time", lambda: evening_s)
    later = from_epoch(evening_s + 3 * 3600)
    plan, _ = controller.submit(work(within_s=60 * 3600, length_s=3600, not_before=later))
    monkeypatch.setattr(time, "time", lambda: plan.slots[0].end.timestamp() + 600)
    controller.step()
    view = run_view(controller.store, "w")
    assert view.plan.made_at > plan.made_at
    assert view.plan.slots[0].start >= plan.slots[0].end
    monkeypatch.undo()


def test_the_home_is_its_owners_alone(controller):
    assert controller.home.stat().st_mode & 0o077 == 0


def test_every_site_of_a_fleet_has_an_engine_that_is_there(controller):
    for site in fleet.example().sites:
        assert engine(site.engine).name == site.engine
