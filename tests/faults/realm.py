"""A hub and a site elsewhere as real processes on two sides of a cable, jobs that come and go, and real faults.

The hub's home is a disk of its own that can be filled. Whatever was killed is started again, as its keeper would.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec

from faults.cable import Cable
from heliotrope import config
from heliotrope.errors import StoreError
from heliotrope.model import Flexibility, Length, PauseBy, RunState, Workload, WorkloadKind
from heliotrope.prove.log.check import check_all
from heliotrope.run import Controller
from heliotrope.run.agents.house.office import Office
from heliotrope.store import runs
from heliotrope.units import from_epoch

HERE = Path(__file__).parent
STEPS = 10
PATIENCE_S = 90.0
FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
capacity = 4
[[site]]
name = "north"
zone = "SE"
engine = "agent"
capacity = 4
devices = [{ id = "cpu", model = "any", max_w = 2000 }]
"""
CONFIG = """
[web]
host = "{host}"
port = {port}
[agents]
sync_s = 0.2
[measure]
interval_s = 0.2
"""


class Realm:
    def __init__(self, folder: Path, seed: object, number: int = 0) -> None:
        self.dice = random.Random(str(seed))
        self.folder = folder
        self.home, self.site = folder / "hub", folder / "north"
        self.cable = Cable(number)
        self.met: Counter[str] = Counter()
        self.rounds = self.jobs_done = 0
        self.hub: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self.errors = (folder / "errors").open("ab")

    def open(self) -> None:
        self.home.mkdir()
        subprocess.run(("mount", "-t", "tmpfs", "-o", "size=64m", "helio-faults", str(self.home)), check=True)
        self.cable.lay()
        with socket.socket() as free:
            free.bind((self.cable.here, 0))
            self.port = free.getsockname()[1]
        (self.folder / "fleet.toml").write_text(FLEET)
        (self.folder / "config.toml").write_text(CONFIG.format(host=self.cable.here, port=self.port))
        settings = config.load(str(self.folder / "config.toml"), str(self.home))
        self.desk = Controller(msgspec.structs.replace(settings, fleet=str(self.folder / "fleet.toml")))
        office = Office(self.desk.store, self.desk.fleet, self.desk.settings.agents)
        self.token = office.token("north", valid_s=3600, now_s=time.time())
        self.keep()

    def close(self) -> None:
        for process in (self.hub, self.agent):
            if process is not None:
                process.kill()
                process.wait()
        for pid in self._marked():
            os.kill(pid, signal.SIGKILL)
        self.errors.close()
        self.desk.close()
        self.cable.take_away()
        subprocess.run(("umount", "--lazy", str(self.home)), check=False)

    def keep(self) -> None:
        """Both are there, or are started again."""
        if self.hub is None or self.hub.poll() is not None:
            self.hub = self._start("up", "--fleet", str(self.folder / "fleet.toml"), home=self.home)
        if self.agent is None or self.agent.poll() is not None:
            joined = (self.site / "agent.json").exists()
            words = (
                "site",
                "join",
                f"http://{self.cable.here}:{self.port}",
                *(() if joined else ("--token", self.token)),
            )
            self.agent = self._start(*words, home=self.site, far=True)

    def _start(self, *words, home, far=False):
        command = (
            sys.executable, "-m", "heliotrope", *words, "--home", str(home),
            "--config", str(self.folder / "config.toml"),
        )  # fmt: skip
        return subprocess.Popen(
            self.cable.within(*command) if far else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            start_new_session=True,
        )

    # One schedule

    def round(self) -> None:
        """One or two jobs at either site, one to three faults while they run; then all is mended and they end."""
        names = [self._submit(f"j{self.rounds:04d}-{i}") for i in range(self.dice.choice((1, 2)))]
        for _ in range(self.dice.randint(1, 3)):
            self._for(self.dice.uniform(0.0, 0.8))
            self._fault()
        deadline = time.monotonic() + PATIENCE_S
        while not all(self._is_over(name) for name in names):
            assert time.monotonic() < deadline, (names, self.met)
            self._for(0.05)
        for name in names:
            self._check(name)
        self.rounds += 1
        self.jobs_done += len(names)

    def _for(self, seconds) -> None:
        self.keep()
        time.sleep(seconds)

    def _submit(self, name) -> str:
        folder = self.folder / "jobs" / name
        folder.mkdir(parents=True)
        self.desk.submit(
            Workload(
                id=name,
                kind=WorkloadKind.BATCH,
                command=(sys.executable, "-I", "-S", str(HERE / "job.py"), str(folder), str(STEPS)),
                submitted_at=from_epoch(time.time()),
                length=Length.known(5),
                flexibility=Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT),
                sites=(self.dice.choice(("hub", "north")),),
                working_directory=str(folder),
                environment={"PATH": os.environ["PATH"]},
                max_attempts=1000,
            ),
            at_once=True,
        )
        return name

    def _fault(self) -> None:
        fault = self.dice.choice(
            (self._kill_hub, self._kill_agent, self._kill_shepherd, self._kill_job, self._pull_cable, self._fill_disk)
        )
        self.met[fault.__name__.lstrip("_").replace("_", " ")] += 1
        fault()

    def _kill_hub(self) -> None:
        self._kill(self.hub)

    def _kill_agent(self) -> None:
        self._kill(self.agent)

    def _kill(self, process) -> None:
        process.kill()
        process.wait()

    def _kill_shepherd(self) -> None:
        self._kill_one(b"heliotrope.run.working.shepherd")

    def _kill_job(self) -> None:
        self._kill_one(b"job.py")

    def _kill_one(self, word) -> None:
        found = [pid for pid in self._marked() if word in _read(pid, "cmdline")]
        if found:
            try:
                os.kill(self.dice.choice(found), signal.SIGKILL)
            except ProcessLookupError:
                self.met["was gone by then"] += 1

    def _pull_cable(self) -> None:
        self.cable.pull()
        self._for(self.dice.uniform(0.1, 1.5))
        self.cable.plug()

    def _fill_disk(self) -> None:
        ballast = self.home / "ballast"
        try:
            with ballast.open("wb") as file:
                while True:
                    file.write(b"\0" * (1 << 16))
        except OSError:
            self._for(self.dice.uniform(0.1, 0.8))
        ballast.unlink()

    def _marked(self) -> list[int]:
        """Shepherds and commands of either side."""
        ours = str(self.folder).encode()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [
            pid
            for pid in pids
            if b"HELIO_ATTEMPT=" + ours in _read(pid, "environ")
            or (b"heliotrope.run.working.shepherd" in (words := _read(pid, "cmdline")) and ours in words)
        ]

    # What must hold

    def _is_over(self, name) -> bool:
        try:
            with self.desk.store.read() as tx:
                last = runs.attempts(tx, name)[-1]
                return last.state.ended and (runs.account(tx, last.id) is None or bool(last.receipt))
        except StoreError:
            return False

    def _check(self, name) -> None:
        with self.desk.store.read() as tx:
            tries = runs.attempts(tx, name)
            records = Counter(row[0] for row in tx.all("SELECT subject FROM log_record WHERE kind = 'run'"))
            accounts = {run.id: runs.account(tx, run.id) for run in tries}
        assert [run.state for run in tries] == [RunState.LOST] * (len(tries) - 1) + [RunState.DONE], tries
        assert all(run.reason for run in tries[:-1])
        folder = self.folder / "jobs" / name
        assert (folder / "effect").exists()
        assert len(_lines(folder / "effects")) <= 1
        assert _lines(folder / "overlaps") == []
        started = Counter(_lines(folder / "starts"))
        assert started
        assert max(started.values()) == 1, "an attempt's command was executed twice"
        spans = []
        for run in tries:
            assert records[run.id] == (accounts[run.id] is not None)
            if accounts[run.id] is not None:
                measured = accounts[run.id].measurement
                spans.append((measured.start_s, measured.end_s))
        # One after the other: what two attempts used was never used at one time, nor counted for both.
        assert all(a[1] <= b[0] + 0.5 for a, b in pairwise(spans)), spans

    def check_log(self) -> int:
        """The whole log, from its entries up; and nobody is left."""
        assert "Traceback" not in (self.folder / "errors").read_text()
        assert self._marked() == []
        return check_all(self.desk.ledger).records


def _read(pid, name) -> bytes:
    try:
        return (Path("/proc") / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _lines(path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
