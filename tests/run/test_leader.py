"""One acts at a time; whoever was cut off writes nothing more; and a hand-over loses nothing and repeats nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from heliotrope.config import MeasureSettings, Settings, StoreSettings
from heliotrope.errors import Deposed, StoreError
from heliotrope.model import Length, RunState, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.leader import Leader
from heliotrope.store import Store, leading, runs
from heliotrope.units import from_epoch

RIVAL = Path(__file__).with_name("rival.py")


@pytest.fixture
def stores(store_settings, tmp_path):
    """Two openings of one store, as two processes have them."""
    made = [Store.of(Settings(home=str(tmp_path), store=store_settings)) for _ in range(2)]
    yield made
    for store in made:
        store.close()


def test_one_leads_at_a_time_each_in_a_larger_term(stores):
    one, other = map(Leader, stores)
    terms = []
    for leader, rival in ((one, other), (other, one), (one, other)):
        assert leader.leads()
        assert leader.leads(), "asked again it is as it was"
        assert not rival.leads()
        with leader.write() as tx:
            terms.append(leading.term(tx, "controller"))
        leader.resign()
    assert terms == [1, 2, 3]


def test_who_was_overtaken_writes_nothing(stores):
    """As one that slept through its own end: it still believes that it leads."""
    one, other = map(Leader, stores)
    assert one.leads()
    with stores[1].write() as tx:
        leading.begin(tx, "controller")

    def write():
        with one.write() as tx:
            tx.execute("INSERT INTO member VALUES ('x', 'o', 'member', 'h', 0, 0, NULL)")

    with pytest.raises(Deposed):
        write()
    with stores[1].read() as tx:
        assert tx.one("SELECT count(*) FROM member")[0] == 0
    assert other.leads(), "it let go of the name as soon as it knew"
    assert not one.leads()


@pytest.mark.xdist_group("postgres")
def test_a_cut_link_ends_the_lead_at_once(postgres, tmp_path):
    settings = Settings(home=str(tmp_path), store=StoreSettings(postgres.fresh()))
    stores = [Store.of(settings) for _ in range(2)]
    one, other = map(Leader, stores)
    assert one.leads()
    cut(postgres, settings)
    assert other.leads()
    with pytest.raises((Deposed, StoreError)), one.write():
        pytest.fail("it wrote after its end")
    assert not one.leads()
    other.resign()
    assert one.leads()
    for store in stores:
        store.close()
    one.resign()


def cut(postgres, settings):
    """Every link to the database, from the server's side."""
    database = settings.store.url.rpartition("/")[2]
    postgres.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


class Rivals:
    """Two controllers, each in a process of its own, always replaced."""

    def __init__(self, home, errors):
        self.home = home
        self.errors = errors
        self.processes = []
        self.sayings = []

    def start(self):
        while len(self.processes) < 2:
            saying = self.home.parent / f"rival{len(self.sayings)}"
            self.sayings.append(saying)
            with saying.open("wb") as out:
                self.processes.append(
                    (
                        subprocess.Popen([sys.executable, str(RIVAL), str(self.home)], stdout=out, stderr=self.errors),
                        saying,
                    )
                )

    def leader(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process, saying in self.processes:
                assert process.poll() is None
                if saying.read_text().splitlines()[-1:] == ["leads"]:
                    return process, saying
            time.sleep(0.02)
        raise AssertionError("nobody took over")

    def kill_leader(self):
        process, saying = self.leader()
        process.kill()
        process.wait()
        self.processes.remove((process, saying))

    def stop(self):
        for process, _ in self.processes:
            process.kill()
            process.wait()


@pytest.mark.xdist_group("postgres")
def test_leaders_are_killed_and_cut_off_and_every_job_is_done_once(postgres, tmp_path):
    settings = Settings(
        home=str(tmp_path / "home"), store=StoreSettings(postgres.fresh()), zone="DE",
        measure=MeasureSettings(interval_s=0.2),
    )  # fmt: skip
    desk = Controller(settings)
    dice = random.Random(7)
    with (tmp_path / "errors").open("wb") as errors:
        rivals = Rivals(tmp_path / "home", errors)
        try:
            rivals.start()
            for number in range(4):
                desk.submit(job(number, tmp_path), at_once=True)
                rivals.leader()
                time.sleep(dice.uniform(0.0, 0.4))
                if number == 2:
                    cut(postgres, settings)
                else:
                    rivals.kill_leader()
                    rivals.start()
            deadline = time.monotonic() + 120
            while unsettled(desk):
                assert time.monotonic() < deadline, unsettled(desk)
                time.sleep(0.05)
        finally:
            rivals.stop()
    assert (tmp_path / "errors").read_text() == ""
    starts = Counter((tmp_path / "starts").read_text().split())
    with desk.store.read() as tx:
        tries = {f"w{n}": runs.attempts(tx, f"w{n}") for n in range(4)}
        told = {name: [event.name for event in runs.events(tx, name)] for name in tries}
        records = Counter(row["subject"] for row in tx.all("SELECT subject FROM log_record WHERE kind = 'run'"))
    assert {name: [run.state for run in all_] for name, all_ in tries.items()} == {
        key: [RunState.DONE] for key in tries
    }
    assert starts == {str(tmp_path / "home" / "runs" / f"w{n}-1" / "0"): 1 for n in range(4)}
    assert records == {f"w{n}-1": 1 for n in range(4)}
    for names in told.values():
        assert [name for name in names if name != "running"] == ["planned", "starting", "done"]
        assert names.count("running") <= 1
    desk.close()


def unsettled(desk):
    with desk.store.read() as tx:
        return [run.id for run in (*runs.live(tx), *runs.without_receipt(tx))]


def job(number, folder):
    return Workload(
        id=f"w{number}",
        kind=WorkloadKind.BATCH,
        command=("sh", "-c", 'echo "$HELIO_ATTEMPT" >> starts; sleep 0.5'),
        submitted_at=from_epoch(time.time()),
        length=Length.known(5),
        working_directory=str(folder),
        environment={"PATH": os.environ["PATH"]},
        max_attempts=9,
    )
