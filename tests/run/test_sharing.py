"""Jobs of several organisations on one home: nobody gets more than there is, owners get theirs back, quotas hold."""

from __future__ import annotations

import json
import sys
import time

import msgspec
import pytest
from click.testing import CliRunner

import work_stories
from heliotrope import fleet
from heliotrope.cli.root import helio
from heliotrope.config import MeasureSettings, Settings
from heliotrope.model import Flexibility, Length, PauseBy, RunState
from heliotrope.run import Controller
from heliotrope.run.lifecycle import MADE_ROOM
from heliotrope.run.views import jobs, run_view
from heliotrope.store import shares
from heliotrope.units import from_epoch

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")
SITES = """
[sharing]
grace_s = 10
[[site]]
name = "lab"
zone = "DE"
capacity = 2
[[organisation]]
name = "firm"
owns = { lab = 1.0 }
quota = { devices = 2 }
[[organisation]]
name = "uni"
"""
# Says that it runs, leaves with "saved" when it is asked to, and is done the second time.
SAVES = """
import os, pathlib, signal, sys, time
mark = pathlib.Path(os.environ["HELIO_CHECKPOINT"], "saved")
if mark.exists(): sys.exit(0)
def leave(*_): mark.touch(); sys.exit(75)
signal.signal(signal.SIGTERM, leave)
pathlib.Path({began!r}).touch()
time.sleep(60)
"""


@pytest.fixture
def controller(home, tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(SITES)
    made = Controller(Settings(home=str(home), fleet=str(path), measure=MeasureSettings(interval_s=0.1)))
    yield made
    for row in jobs(made.store):
        if not RunState(row.state).ended:
            made.cancel(row.workload)
            made.follow(row.workload, lambda *_: None)
    made.close()


def work(name, organisation, code="import time; time.sleep(0.5)", **more):
    return work_stories.work(name, code, organisation=organisation, **more)


def states(controller):
    return {row.workload: row.state for row in jobs(controller.store)}


def step_until(controller, met, *, within_s=40.0):
    deadline = time.monotonic() + within_s
    assert controller.lead()
    while not met():
        assert time.monotonic() < deadline, states(controller)
        controller.step()
        time.sleep(0.02)


def test_no_more_run_at_once_than_there_is_room_for(controller):
    for i in range(5):
        controller.submit(work(f"j{i}", "firm"), at_once=True)
    most = 0

    def over():
        nonlocal most
        now = list(states(controller).values())
        most = max(most, sum(state in {"starting", "running"} for state in now))
        return all(state == "done" for state in now)

    step_until(controller, over)
    assert most == 2


def test_an_owner_gets_its_room_back_and_the_borrower_goes_on_later(controller, tmp_path):
    began = tmp_path / "began"
    borrows = Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT)
    controller.submit(work("guest", "uni", SAVES.format(began=str(began)), flexibility=borrows), at_once=True)
    step_until(controller, began.exists)
    with controller.store.read() as tx:
        rows = tx.all("SELECT run, lender, share FROM lent")
    assert [tuple(row) for row in rows] == [("guest-1", "firm", 1.0)]
    controller.submit(work("mine1", "firm"), at_once=True)
    controller.submit(work("mine2", "firm"), at_once=True)
    step_until(controller, lambda: set(states(controller).values()) == {"done"})
    first, second = run_view(controller.store, "guest").attempts
    assert (first.state, first.reason) == (RunState.LOST, MADE_ROOM)
    assert second.state is RunState.DONE
    with controller.store.read() as tx:
        ended = shares.ended(tx, 0)
    assert len(ended) == 4, "each attempt is accounted, once"
    assert sum(bool(use.lent_by) for use in ended) == 2


def test_who_waits_is_told_why(controller, home):
    controller.submit(work("busy", "firm", "import time; time.sleep(60)"), at_once=True)
    controller.submit(work("rigid", "uni"), at_once=True)
    step_until(controller, lambda: states(controller)["busy"] == "running")
    told = CliRunner().invoke(helio, ["share", "--home", str(home), "--fleet", controller.settings.fleet, "--json"])
    assert told.exit_code == 0, told.output
    found = {row["organisation"]["name"]: row for row in map(json.loads, told.output.splitlines())}
    assert found["firm"]["own"] == {"lab": 1}
    assert "only work that can pause may borrow" in found["uni"]["waiting"][0]["why"]
    shown = CliRunner().invoke(helio, ["share", "--home", str(home), "--fleet", controller.settings.fleet])
    assert "rigid-1 wants 1 at lab" in shown.output
    assert "100% of lab" in shown.output


def test_a_quota_holds_one_back_until_there_is_room_in_it(controller):
    for i in range(2):
        controller.submit(work(f"f{i}", "firm", "import time; time.sleep(1)"), at_once=True)
    step_until(controller, lambda: list(states(controller).values()).count("running") == 2)
    controller.submit(work("third", "firm"), at_once=True)
    controller.step()
    assert states(controller)["third"] == "waiting"
    step_until(controller, lambda: states(controller)["third"] == "done")


def test_two_are_not_promised_the_same_hours(controller):
    """Long work of hours to come: whoever is planned later looks around what was promised before."""
    later = {"not_before": from_epoch(time.time() + 40 * 3600), "deadline": from_epoch(time.time() + 60 * 3600)}
    hours = {"length": Length.known(4 * 3600)}
    spans = []
    for i in range(6):
        plan, _ = controller.submit(msgspec.structs.replace(work(f"w{i}", "firm"), **later, **hours))
        spans += [(slot.start, slot.end) for slot in plan.slots]
    for start, _ in spans:
        assert sum(a <= start < b for a, b in spans) <= 2, "the lab has room for two at once"
    assert len({start for start, _ in spans}) >= 3


def test_an_owner_plans_as_if_no_borrower_were_there(controller):
    later = {"not_before": from_epoch(time.time() + 40 * 3600), "deadline": from_epoch(time.time() + 60 * 3600)}
    hours = {"length": Length.known(4 * 3600)}
    for i in range(6):
        controller.submit(msgspec.structs.replace(work(f"g{i}", "uni"), **later, **hours))
    mine, _ = controller.submit(msgspec.structs.replace(work("mine", "firm"), **later, **hours))
    first = run_view(controller.store, "g0").plan
    assert mine.slots[0].start == first.slots[0].start, "the cleanest hours are its own to take"


def test_nobody_shares_nothing_is_said(tmp_path):
    told = CliRunner().invoke(helio, ["share", "--home", str(tmp_path / "home")])
    assert "nobody shares" in told.output
    assert fleet.load(None).sharing.organisations == ()
