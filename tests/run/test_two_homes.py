"""Two controllers on two machines share a database and nothing else: each has a home, a log folder and keys of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from heliotrope.config import Settings, StoreSettings
from heliotrope.model import RunState
from heliotrope.prove.log.check import check_all
from heliotrope.run import Controller
from heliotrope.run.views import run_view
from heliotrope.run.working import logs, segments
from work_stories import work

FLEET = """
home = "north"
[[site]]
name = "north"
zone = "SE"
engine = "agent"
capacity = 4
devices = [{ id = "cpu", model = "any", max_w = 2000 }]
"""


class Machine:
    """One that has a home, and runs `helio` in it."""

    def __init__(self, folder, fleet, url) -> None:
        self.home, self.fleet = folder, fleet
        folder.mkdir()
        (folder / "config.toml").write_text(
            f'[store]\nurl = "{url}"\n[agents]\nsync_s = 0.1\n[measure]\ninterval_s = 0.1\n[web]\nport = 0\n'
        )
        self.up = None

    def start(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "heliotrope", *words, "--home", str(self.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"HELIO_HOME": str(self.home)},
        )

    def open_house(self):
        self.up = self.start("up", "--json", "--fleet", str(self.fleet))
        return json.loads(self.up.stdout.readline())["url"].rstrip("/")

    def said(self, *words):
        with self.start(*words) as process:
            out = process.stdout.read()
        assert process.returncode == 0, out
        return out

    def stop(self):
        if self.up is not None:
            self.up.kill()
            self.up.wait()
            self.up.stdout.close()


@pytest.mark.xdist_group("postgres")
def test_the_leader_is_killed_in_mid_run_and_the_other_home_ends_it_once_with_its_readings(postgres, tmp_path):
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(FLEET)
    url = postgres.fresh()
    first, second = (Machine(tmp_path / name, fleet, url) for name in ("first", "second"))
    began, log = tmp_path / "began", tmp_path / "effects"
    agent = None
    try:
        first.open_house()
        desk = Controller(Settings(home=str(first.home), fleet=str(fleet), store=StoreSettings(url)))
        until(lambda: another_leads(desk), "the first leads")
        site = Machine(tmp_path / "site", fleet, "")
        token = json.loads(first.said("site", "token", "north", "--fleet", str(fleet), "--json"))["token"]
        agent = site.start("site", "join", second.open_house(), "--token", token)
        code = f"""
import pathlib, time
pathlib.Path({str(began)!r}).touch()
t = time.time()
while time.time() - t < 1.5: pass
open({str(log)!r}, "a").write("x")
print("done")
"""
        desk.submit(work("w", code, sites=("north",)), at_once=True)
        until(began.exists, "it began")
        first.stop()
        until(lambda: run_view(desk.store, "w").run.receipt, "the other home ended it")
        desk.close()
        heir = Controller(Settings(home=str(second.home), fleet=str(fleet), store=StoreSettings(url)))
        try:
            view = run_view(heir.store, "w")
            assert [one.state for one in view.attempts] == [RunState.DONE]
            assert view.measurement.duration_s > 1.0
            assert view.measurement.energy_j.value > 0
            assert view.receipt.startswith(str(second.home))
            assert "verified" in second.said("log", "verify", view.receipt).lower()
            with heir.store.read() as tx:
                assert tx.one("SELECT count(*) FROM log_record WHERE kind = 'run' AND subject = 'w-1'")[0] == 1
            assert check_all(heir.ledger).records == 2, "plan and run, and nothing else"
            (piece,) = segments.of(heir.store, "w-1")
            assert piece.measurement is not None
            ask = lambda after: logs.read(heir.store, "w", after)  # noqa: E731
            said = []
            logs.follow(ask, lambda part: said.append(part.text), to_its_end=True, patience_s=60)
            assert "".join(said) == "done\n", "what it said comes to the home that asks"
        finally:
            heir.close()
        assert log.read_text() == "x"
    finally:
        first.stop()
        second.stop()
        if agent is not None:
            agent.terminate()
            agent.wait(30)
            agent.stdout.close()


def another_leads(desk):
    led = desk.lead()
    desk.leader.resign()
    return not led


def until(met, what):
    deadline = time.monotonic() + 120
    while not met():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
