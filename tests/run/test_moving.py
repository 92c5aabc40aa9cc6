"""Live work that moves: it ends bit for bit where it would have ended, each joule is counted once, the law is obeyed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.checkpoint import Shelf
from heliotrope.config import MeasureSettings, Settings
from heliotrope.errors import EngineError, Infeasible
from heliotrope.fleet import Fleet
from heliotrope.model import (
    TRANSFER,
    DataNeed,
    Flexibility,
    Length,
    Link,
    PauseBy,
    Run,
    RunState,
    Site,
    Workload,
    WorkloadKind,
)
from heliotrope.plan import Progress
from heliotrope.prove import verify_receipt
from heliotrope.run import Controller
from heliotrope.run.views import jobs, run_view
from heliotrope.run.working.moving import Journey, Mover, carriable, note_of, state_folder
from heliotrope.store import runs
from heliotrope.units import from_epoch

STEPS = 60
TRAINING = f"""
import os, random, sys, time
import numpy as np
from heliotrope.checkpoint import Checkpoint
random.seed(1)
np.random.seed(2)
state, draws = {{"w": np.zeros(3000)}}, np.random.default_rng(7)
keep = Checkpoint(every_s=0.2, weights=state, draws=draws)
for step in keep.steps({STEPS}):
    state["w"] = state["w"] * 0.9 + draws.normal(size=3000)
    print("width", os.environ.get("HELIO_WIDTH"), "step", step, flush=True)
    time.sleep(float(sys.argv[1]))
"""
LINK = Link("south", 20.0, bandwidth_bps=1e8, power_w_per_bps=1e-7)
NORTH = Site("north", "SE", jurisdiction="EU", country="SE", links=(LINK,), capacity=4, emulated=True)
SOUTH = Site("south", "ES", jurisdiction="EU", country="ES", emulated=True)
MOVES = Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT, movable=True, move_bytes=24_000)


@pytest.fixture
def controller(home):
    made = Controller(
        Settings(home=str(home), measure=MeasureSettings(interval_s=0.1)), Fleet((NORTH, SOUTH), home="north")
    )
    assert made.lead()
    yield made
    made.close()


def training(name="w", *, step_s=0.02, **more):
    return Workload(
        id=name,
        kind=WorkloadKind.TRAIN,
        command=(sys.executable, "-c", TRAINING, str(step_s)),
        submitted_at=from_epoch(time.time()),
        length=Length.known(7200),
        sites=more.pop("sites", ("north",)),
        working_directory="/",
        environment={"PATH": os.environ["PATH"]},
        flexibility=MOVES,
        **more,
    )


JOURNEY = Journey("w-2", "w-1", training(), NORTH, SOUTH, "north")


def planned(controller, name, *slots):
    """As a controller that looked anew would have it: (site, hours from now, hours from now, width)."""
    view = run_view(controller.store, name)
    with controller.store.read() as tx:
        factor, origin_s = runs.clock(tx, name)
    now_s = time.time() if factor == 1 else origin_s + (time.time() - origin_s) * factor
    made = tuple(
        msgspec.structs.replace(
            view.plan.slots[0],
            site=site,
            start=from_epoch(now_s + a * 3600),
            end=from_epoch(now_s + b * 3600),
            width=width,
        )
        for site, a, b, width in slots
    )
    with controller.store.write() as tx:
        runs.add_plan(tx, msgspec.structs.replace(view.plan, slots=made, made_at=from_epoch(now_s)))


def step_until(controller, reached, *, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, run_view(controller.store, "w").run
        controller.step()
        time.sleep(0.02)


def said(controller, run="w-1"):
    return "".join(out.read_text() for out in sorted((controller.home / "runs" / run).glob("*/out.log")))


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory):
    """The digest of the very same training, at one site from beginning to end."""
    folder = tmp_path_factory.mktemp("unmoved")
    subprocess.run(
        [sys.executable, "-c", TRAINING, "0"],
        env={"HELIO_CHECKPOINT": str(folder), "PATH": os.environ["PATH"]},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Shelf(folder).digest()


def test_live_training_goes_south_and_back_and_ends_bit_for_bit(controller, unmoved):
    controller.submit(training(), factor=60.0, at_once=True)
    for run, site in (("w-1", "south"), ("w-2", "north")):
        step_until(controller, lambda run=run: said(controller, run).count("step") > 3)
        planned(controller, "w", (site, 0, 9, 1))
        step_until(controller, lambda run=run: run_view(controller.store, "w").run.id != run)
    done = controller.follow("w", lambda *_: None)
    view = run_view(controller.store, "w")
    assert [(one.site, one.state) for one in view.attempts] == [
        ("north", RunState.MOVED),
        ("south", RunState.MOVED),
        ("north", RunState.DONE),
    ]
    assert Shelf(state_folder(controller.home, "north", "w")).digest() == unmoved
    steps = [line.split()[-1] for run in ("w-1", "w-2", "w-3") for line in said(controller, run).splitlines()]
    assert steps == [str(step) for step in range(STEPS)], "each step was made once, wherever"
    _is_counted_once(controller, view.attempts)
    (row,) = jobs(controller.store)
    assert row.energy_j == view.spent.energy_j
    assert view.spent.attempts == 3
    assert row.energy_j.value == pytest.approx(
        sum(_account(controller, one).footprint.energy_j.value for one in view.attempts)
    )
    events = [(event.name, event.text) for event in view.events]
    assert ("moved", "goes on at south") in events
    assert sum(name == "its state came" for name, _ in events) == 2
    assert done.receipt
    left = state_folder(controller.home, "south", "w")
    assert not left.exists(), "nothing resumes there any more"
    left.mkdir()
    controller.leader.resign()
    other = Controller(controller.settings, controller.fleet)
    assert other.lead()
    other.step()
    other.close()
    assert not left.exists(), "whoever was killed before it had tidied is followed by one that does"


def _account(controller, run):
    with controller.store.read() as tx:
        return runs.account(tx, run.id)


def _is_counted_once(controller, attempts):
    for one in attempts:
        way = note_of(controller.home / "runs" / one.id)
        account = _account(controller, one)
        carried = [reading for reading in account.measurement.readings if reading.domain == TRANSFER]
        assert len(carried) == (0 if one.attempt == 1 else 1)
        own_j = sum(meter.energy_j for meter in account.measurement.meters)
        assert account.measurement.energy_j.value == pytest.approx(own_j, rel=1e-6)
        if way is not None:
            assert carried[0].energy_j == pytest.approx(way.sent_bytes * 8 * LINK.power_w_per_bps)
            assert 0 < way.sent_bytes <= way.whole_bytes
            assert any("in the network, modelled" in flag for flag in account.footprint.flags)
        assert verify_receipt(Path(one.receipt), vkeys=controller.home / "log" / "vkeys")


def test_its_width_changes_between_two_slots(controller, unmoved):
    """The second slot begins where the first ends: it is asked to save, and goes on at once, wider."""
    controller.submit(training(), factor=3600.0, at_once=True)
    step_until(controller, lambda: said(controller).count("step") > 3)
    planned(controller, "w", ("north", -1, 0.01, 1), ("north", 0.01, 9, 2))
    assert controller.follow("w", lambda *_: None).state is RunState.DONE
    widths = [line.split()[1] for line in said(controller).splitlines()]
    assert widths[0] == "1"
    assert widths[-1] == "2"
    assert widths == sorted(widths)
    assert Shelf(state_folder(controller.home, "north", "w")).digest() == unmoved


def test_a_controller_that_dies_on_the_way_goes_on_and_counts_nothing_twice(home, tmp_path):
    """Cut between two pieces: the note that was written first says what is counted, the second try sends the rest."""
    folder = state_folder(home, "north", "w")
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(os.urandom(3 << 20))
    (home / "runs" / "w-2").mkdir(parents=True)
    first = Mover(home)
    assert not first.arrived(JOURNEY)
    first.carry(JOURNEY)
    first.close()
    second = Mover(home)
    _insist(second)
    second.close()
    way = note_of(home / "runs" / "w-2")
    assert (way.sent_bytes, way.whole_bytes) == (3 << 20, 3 << 20)
    assert (state_folder(home, "south", "w") / "weights").read_bytes() == (folder / "weights").read_bytes()


def test_a_way_that_breaks_is_told_and_tried_again_later(home, monkeypatch):
    state_folder(home, "north", "w").mkdir(parents=True)
    (state_folder(home, "north", "w") / "out").symlink_to("/etc")
    (home / "runs" / "w-2").mkdir(parents=True)
    mover = Mover(home)
    with pytest.raises(EngineError, match="cannot come from north to south") as told:
        _insist(mover)
    assert "leads out" in told.value.cause
    mover.carry(JOURNEY)
    assert not mover.arrived(JOURNEY), "it waits a moment before it tries again"
    mover.close()


def _insist(mover, journey=JOURNEY):
    (mover.home / "runs" / journey.run).mkdir(parents=True, exist_ok=True)
    while not mover.arrived(journey):
        mover.carry(journey)
        time.sleep(0.01)


@given(ways=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5))
@settings(max_examples=12)
def test_wherever_it_went_its_newest_state_is_kept_and_in_the_end_nothing_else(ways):
    """Kept as long as anything may resume: where it went on last it has what it left; over, it lies there alone."""
    sites = {name: Site(name, "SE") for name in "abc"}
    with tempfile.TemporaryDirectory() as folder:
        home, attempts = Path(folder), []
        mover = Mover(home)
        for number, name in enumerate(ways, 1):
            if attempts:
                was = sites[attempts[-1].site]
                _insist(mover, Journey(f"w-{number}", f"w-{number - 1}", training(), was, sites[name], "a"))
            here = state_folder(home, name, "w")
            here.mkdir(parents=True, exist_ok=True)
            before = {path.name for path in here.iterdir()}
            assert before == {f"{i}" for i in range(1, number)}
            (here / f"{number}").write_text(name)
            attempts.append(_ended(number, name))
        mover.tidy("w", attempts, Fleet(tuple(sites.values()), home="a"))
        left = {path.name for path in (home / "checkpoints").iterdir() if any(path.iterdir())}
        assert left == {ways[-1]}
        assert mover.at_several() == []
        assert len(list(state_folder(home, ways[-1], "w").iterdir())) == len(ways)
        mover.close()


def _ended(number, site):
    return Run(f"w-{number}", "w", RunState.MOVED, from_epoch(0), attempt=number, site=site, handle=f"w-{number}/0")


def test_data_that_may_not_leave_goes_nowhere(home):
    bound = training(data=(DataNeed("patients", jurisdictions=("EU",)),))
    abroad = msgspec.structs.replace(SOUTH, name="abroad", jurisdiction="US", country="US")
    mover = Mover(home)
    with pytest.raises(Infeasible, match="may not go to abroad") as told:
        mover.carry(msgspec.structs.replace(JOURNEY, workload=bound, target=abroad))
    assert "US law" in told.value.cause
    assert not (home / "runs").exists()
    mover.close()


def test_by_way_of_a_house_that_may_not_have_it_nothing_moves(controller):
    """States of sites with agents meet at the house, so its law counts, too."""
    far = msgspec.structs.replace(SOUTH, name="far", engine="agent")
    fleet = Fleet((NORTH, SOUTH, far), home="north")
    bound = training(sites=("north", "far"), data=(DataNeed("patients", jurisdictions=("ES",)),))
    assert carriable(training(), fleet)
    assert not carriable(bound, fleet)
    assert carriable(bound, Fleet((NORTH, SOUTH), home="north")), "it goes straight there"
    plan, _ = controller.plan(bound, time.time(), fleet, ready=Progress(3600.0, "far"))
    assert {slot.site for slot in plan.slots} == {"far"}


def test_what_runs_is_planned_anew_when_its_hour_came(controller, monkeypatch):
    """The forecast turned: what runs in the north is best paused and finished in the south, and that is written down."""
    controller.submit(training(step_s=0.05, sites=("north", "south")), at_once=True)
    step_until(controller, lambda: said(controller).count("step") > 1)
    asked = []
    real = controller.plan

    def turned(*args, **more):
        asked.append(more["ready"])
        plan, strips = real(*args, **more)
        now = time.time()
        slot = msgspec.structs.replace(
            plan.slots[0], site="south", start=from_epoch(now), end=from_epoch(now + 7200), width=1
        )
        return msgspec.structs.replace(plan, slots=(slot,)), strips

    monkeypatch.setattr(controller, "plan", turned)
    case = controller._case(next(card for card in controller.board.cards() if card.workload == "w"))
    controller._replan(case)
    monkeypatch.undo()
    assert asked[0].running
    assert asked[0].site == "north"
    assert 7000 < asked[0].remaining_s < 7200
    assert controller.follow("w", lambda *_: None).site == "south"
    names = [event.name for event in run_view(controller.store, "w").events]
    assert names.index("planned again") < names.index("moved") < names.index("its state came") < names.index("done")
