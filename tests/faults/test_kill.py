"""kill -9 of controller, shepherd and job at random instants: every job's effect once, every run in the log once.

What is guaranteed: two attempts of a job never run at the same time; an attempt's command is executed at most once; a
job is called done only after its command ended with 0; every attempt whose command ran has one record. A command whose
keeper dies between its end and the writing of it is run again: a job that must not repeat its effect makes the effect
idempotent, as the one here does.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from heliotrope.config import Settings
from heliotrope.model import Flexibility, Length, PauseBy, RunState, Workload, WorkloadKind
from heliotrope.prove import verify_receipt
from heliotrope.run import Controller
from heliotrope.store import runs
from heliotrope.units import from_epoch

HERE = Path(__file__).parent
MARK = b"HELIO_ATTEMPT="


class Ordeal:
    """Jobs that keep coming, a controller that is always started again, and somebody with kill -9."""

    def __init__(self, path, seed):
        self.random = random.Random(seed)
        self.path = path
        self.home = path / "home"
        self.here = Controller(Settings(home=str(self.home), zone="DE"))
        self.controller = None
        self.errors = (path / "controller.err").open("ab")
        self.folders = {}
        self.kills = Counter()

    def submit(self):
        """At once in real time, or in fast time by a plan with pauses."""
        number = len(self.folders)
        name = f"job{number:03d}"
        folder = self.path / name
        folder.mkdir()
        fast = number % 3 == 2
        now_s = time.time()
        self.here.submit(
            Workload(
                id=name,
                kind=WorkloadKind.BATCH,
                command=(sys.executable, "-I", "-S", str(HERE / "job.py"), str(folder), "8"),
                submitted_at=from_epoch(now_s),
                length=Length.known(1800),
                deadline=from_epoch(now_s + 6 * 3600) if fast else None,
                flexibility=Flexibility(pausable=fast, pause_by=PauseBy.CHECKPOINT if number % 2 else PauseBy.SIGNAL),
                working_directory=str(folder),
                environment={"PATH": os.environ["PATH"]},
                max_attempts=10_000,
            ),
            factor=3600.0 if fast else 1.0,
            at_once=not fast,
        )
        self.folders[name] = folder

    def keep_controller(self):
        if self.controller is None or self.controller.poll() is not None:
            self.controller = subprocess.Popen(
                [sys.executable, str(HERE / "controller.py"), str(self.home)],
                stderr=self.errors,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def processes(self, kind):
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words, marks = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            ours = str(self.home).encode()
            shepherd = b"heliotrope.run.working.shepherd" in words and ours in words
            job = MARK + ours in marks
            if (kind == "shepherd" and shepherd) or (kind == "job" and job):
                found.append(int(entry.name))
        return found

    def kill_one(self):
        """Of each kind as many: waits for one to be there, then a random instant of its life."""
        kind = min(("controller", "shepherd", "job"), key=lambda k: (self.kills[k], self.random.random()))
        if kind == "controller":
            time.sleep(self.random.uniform(0, 1.2))
            self.controller.kill()
            self.controller.wait()
            self.kills[kind] += 1
            return
        found = self.processes(kind)
        if found:
            time.sleep(self.random.uniform(0, 0.4))
            try:
                os.kill(self.random.choice(found), signal.SIGKILL)
                self.kills[kind] += 1
            except ProcessLookupError:
                return

    def live(self):
        with self.here.store.read() as tx:
            return len(runs.live(tx))

    def go(self, kills, *, at_once=3):
        while self.kills.total() < kills:
            self.keep_controller()
            if self.live() < at_once:
                self.submit()
            self.kill_one()
            time.sleep(0.02)
        deadline = time.monotonic() + 120
        while self.live() or self.owed():
            self.keep_controller()
            assert time.monotonic() < deadline, "what is left alone must end"
            time.sleep(0.1)

    def owed(self):
        with self.here.store.read() as tx:
            return runs.without_receipt(tx)

    def stop(self):
        if self.controller is not None:
            self.controller.kill()
            self.controller.wait()
        for kind in ("shepherd", "job"):
            for pid in self.processes(kind):
                os.kill(pid, signal.SIGKILL)
        self.errors.close()
        self.here.close()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def check(ordeal):
    """Jobs that were done, each looked at in every place that tells of it."""
    assert "Traceback" not in (ordeal.path / "controller.err").read_text()
    with ordeal.here.store.read() as tx:
        attempts = {name: runs.attempts(tx, name) for name in ordeal.folders}
        records = Counter((row["kind"], row["subject"]) for row in tx.all("SELECT kind, subject FROM log_record"))
    for name, folder in ordeal.folders.items():
        tries = attempts[name]
        assert [run.state for run in tries] == [RunState.LOST] * (len(tries) - 1) + [RunState.DONE], name
        assert lines(folder / "overlaps") == []
        assert len(lines(folder / "effects")) <= 1
        assert (folder / "effect").exists()
        started = Counter(lines(folder / "starts"))
        assert started
        assert max(started.values()) == 1, "an attempt's command was executed twice"
        assert records["plan", name] >= 1
        for run in tries:
            ran = any(handle.startswith(f"{ordeal.home}/runs/{run.id}/") for handle in started)
            assert records["run", run.id] <= 1
            assert records["run", run.id] == 1 or not ran, "it ran, and the log does not know"
            if records["run", run.id]:
                verify_receipt(Path(run.receipt), vkeys=ordeal.home / "log" / "vkeys")
    assert {subject for kind, subject in records if kind == "run"} <= {
        r.id for tries in attempts.values() for r in tries
    }
    said = subprocess.run(
        [sys.executable, "-m", "heliotrope", "log", "verify", "--all", "--json", "--home", str(ordeal.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert ordeal.processes("job") == []
    assert ordeal.processes("shepherd") == []
    return len(ordeal.folders)


@pytest.fixture
def ordeal(tmp_path, request):
    made = Ordeal(tmp_path, seed=request.node.name)
    yield made
    made.stop()


def test_ten_kills(ordeal):
    ordeal.go(10)  # `bench/run.py` goes on to a hundred
    assert check(ordeal) >= 3
