"""Live work that moves to and from sites with agents: over real HTTP, by way of the house, bit for bit, and only so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from heliotrope.checkpoint import Shelf
from heliotrope.model import TRANSFER, Flexibility, PauseBy, RunState
from heliotrope.run.views import run_view
from heliotrope.run.working.meeting import Meeting
from heliotrope.run.working.moving import note_of
from heliotrope.store import runs
from heliotrope.units import from_epoch
from houses import Hub
from work_stories import work

FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
jurisdiction = "EU"
links = [{ to = "north", latency_ms = 9, power_w_per_bps = 1e-7 }, { to = "south", latency_ms = 9, power_w_per_bps = 2e-7 }]
[[site]]
name = "north"
zone = "SE"
jurisdiction = "EU"
engine = "agent"
[[site]]
name = "south"
zone = "ES"
jurisdiction = "EU"
engine = "agent"
"""
STEPS = 40
TRAINING = f"""
import random, sys, time
import numpy as np
from heliotrope.checkpoint import Checkpoint
random.seed(1)
np.random.seed(2)
state, frozen, draws = {{"w": np.zeros(3000)}}, {{"w": np.arange(40000.0)}}, np.random.default_rng(7)
keep = Checkpoint(every_s=0.2, weights=state, frozen=frozen, draws=draws)
for step in keep.steps({STEPS}):
    state["w"] = state["w"] * 0.9 + draws.normal(size=3000)
    print("step", step, flush=True)
    while step in (5, 12) and "waits" in sys.argv and not keep.asked:
        time.sleep(0.01)
"""
FROZEN_BYTES = 320_000
MOVES = Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT, movable=True, move_bytes=24_000)


class Agents:
    """One a site, each a process with a home of its own, as a person starts it."""

    def __init__(self, hub, folder):
        self.hub, self.folder, self.processes = hub, folder, {}

    def home(self, site):
        return self.folder / site

    def join(self, site):
        self.start(site, "--token", self.hub.house.office.token(site, valid_s=60, now_s=time.time()))

    def start(self, site, *words):
        self.processes[site] = subprocess.Popen(
            [sys.executable, "-m", "heliotrope", "site", "join", self.hub.server.url.rstrip("/"), *words],
            env=os.environ | {"HELIO_HOME": str(self.home(site))},
        )

    def kill(self, site):
        self.processes[site].kill()
        self.processes[site].wait(20)

    def end(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(30)

    def state(self, site, name="w"):
        return self.home(site) / "checkpoints" / name


@pytest.fixture
def hub(home, tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET)
    made = Hub(home, tmp_path / "fleet.toml")
    yield made
    made.close()


@pytest.fixture
def far(hub, tmp_path):
    made = Agents(hub, tmp_path)
    made.join("north")
    made.join("south")
    yield made
    made.end()


def training():
    """It goes on from two of its steps only when it was asked to leave: however slow the way is, it moves twice."""
    return work(
        "w",
        sites=("north",),
        command=(sys.executable, "-c", TRAINING, "waits"),
        flexibility=MOVES,
        length_s=7200,
    )


def planned(hub, site):
    """As if the forecast had turned: the rest of it, there, now."""
    view = run_view(hub.controller.store, "w")
    now_s = time.time()
    slot = msgspec.structs.replace(view.plan.slots[0], site=site, start=from_epoch(now_s), end=from_epoch(now_s + 9e4))
    with hub.controller.store.write() as tx:
        runs.add_plan(tx, msgspec.structs.replace(view.plan, slots=(slot,), made_at=from_epoch(now_s)))


def steps(far, site, run):
    outs = sorted((far.home(site) / "runs" / run).glob("[0-9]*/out.log"))
    return [line.split()[-1] for out in outs for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory):
    """The digest of the very same training, at one site from beginning to end."""
    folder = tmp_path_factory.mktemp("unmoved")
    subprocess.run(
        [sys.executable, "-c", TRAINING],
        env={"HELIO_CHECKPOINT": str(folder), "PATH": os.environ["PATH"]},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Shelf(folder).digest()


def test_live_training_goes_south_and_back_over_http_and_ends_bit_for_bit(hub, far, unmoved):
    hub.controller.submit(training(), at_once=True)
    for run, here, there in (("w-1", "north", "south"), ("w-2", "south", "north")):
        hub.step_until(lambda run=run, here=here: len(steps(far, here, run)) > 3, within_s=90)
        planned(hub, there)
        hub.step_until(lambda run=run: run_view(hub.controller.store, "w").run.id != run, within_s=90)
    hub.step_until(lambda: hub.state("w") is RunState.DONE, within_s=90)
    view = run_view(hub.controller.store, "w")
    assert [(one.site, one.state) for one in view.attempts] == [
        ("north", RunState.MOVED),
        ("south", RunState.MOVED),
        ("north", RunState.DONE),
    ]
    assert Shelf(far.state("north")).digest() == unmoved
    made = [
        step for run, site in (("w-1", "north"), ("w-2", "south"), ("w-3", "north")) for step in steps(far, site, run)
    ]
    assert made == [str(step) for step in range(STEPS)], "each step was made once, wherever"
    _is_counted_once(hub, view)
    assert sum(event.name == "its state came" for event in view.events) == 2
    hub.step_until(lambda: not far.state("south").exists())
    assert not Meeting(hub.house.home, "w").folder.path.exists()
    assert far.state("north").exists(), "what it ended with stays"


def _is_counted_once(hub, view):
    """What never changed goes to the house once, and to each site once."""
    ways = [note_of(hub.house.home / "runs" / one.id) for one in view.attempts]
    assert ways[0] is None
    assert [(way.origin, way.via, way.target) for way in ways[1:]] == [
        ("north", "hub", "south"),
        ("south", "hub", "north"),
    ]
    first, back = ways[1:]
    assert min(first.up_bytes, first.sent_bytes) > FROZEN_BYTES > max(back.up_bytes, back.sent_bytes) > 0
    for one, way in zip(view.attempts[1:], ways[1:], strict=True):
        with hub.controller.store.read() as tx:
            account = runs.account(tx, one.id)
        (carried,) = [reading for reading in account.measurement.readings if reading.domain == TRANSFER]
        legs = {"north": 1e-7, "south": 2e-7}
        asked_j = 8 * (way.up_bytes * legs[way.origin] + way.sent_bytes * legs[way.target])
        assert carried.energy_j == pytest.approx(asked_j)
        assert way.ended_s >= way.began_s
