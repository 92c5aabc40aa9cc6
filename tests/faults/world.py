"""A small fleet in virtual time: the real controller, store, log, sharing and office; engines and agents by lot.

`point` is any instant at which a kill -9 may fall: before, within and after each transaction, and after each word to an
engine. What a killed process had not written is not known to the next.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from faults.cluster import Cluster
from faults.far import FarSite
from heliotrope.config import AgentSettings, Settings
from heliotrope.errors import RunError, StoreError
from heliotrope.fleet import Fleet
from heliotrope.fleet.shares import Organisation, Quota, Sharing
from heliotrope.model import (
    TRANSFER,
    Device,
    Flexibility,
    Length,
    PauseBy,
    Resources,
    RunState,
    Site,
    Workload,
    WorkloadKind,
)
from heliotrope.prove.log.check import check_all
from heliotrope.run import Controller, engines
from heliotrope.run.agents.house.office import Office
from heliotrope.run.agents.house.states import States
from heliotrope.run.lifecycle import Seen
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.working import ways
from heliotrope.store import Store, agents, runs
from heliotrope.store.sqlite import SqliteSession
from heliotrope.units import from_epoch

BEGAN_S = 1_800_000_000.0
SITES = (
    Site("here", "DE", engine="virtual", capacity=3),
    Site("north", "SE", engine="agent", capacity=2, devices=(Device("cpu", "any", max_w=200.0),)),
)
ORGANISATIONS = (
    Organisation("owner", owns={"here": 0.67, "north": 0.5}),
    Organisation("lab", quota=Quota(devices=2)),
    Organisation("guest", quota=Quota(devices=1)),
)


class Killed(BaseException):
    """kill -9: nothing of it is caught, and nothing is tidied up."""


@dataclass
class Job:
    """`left_s`: of work, as each attempt's last checkpoint says. `completions`: how often its command ran to its end."""

    id: str
    organisation: str
    by: PauseBy
    saves: bool
    devices: int
    needs_s: float
    moves: bool = False
    left_s: dict[str, float] = field(default_factory=dict)
    completions: int = 0
    cancelled: bool = False


class World:
    def __init__(self, folder, seed, patch) -> None:
        self.dice = random.Random(seed)
        self.elapsed_s = self.skew_s = 0.0
        self.deadly = self.flaky = 0.0
        self.full = False
        self.thread = threading.current_thread()
        self.jobs: dict[str, Job] = {}
        self.lied: set[str] = set()
        self.met: Counter[str] = Counter()
        self.home = folder / "home"
        patch.setattr(time, "time", self.now_s)
        patch.setattr(time, "monotonic", lambda: self.elapsed_s)
        # Power does not fail here: processes do, and what they wrote is there.
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(SqliteSession, "__init__", _without_waiting(SqliteSession.__init__))
        patch.setattr(Store, "write", self._writer(Store.write))
        # What is on its way goes on this very thread, at the instant that it is asked for.
        patch.setattr(ways._Way, "start", lambda way: way.run())
        patch.setattr(engines, "of", self._engine)
        self.real_engine = engines.engine
        patch.setattr(engines, "engine", lambda name, **_: self.there if name == "virtual" else self.real_engine(name))
        self.fleet = Fleet(SITES, home="here", sharing=Sharing(ORGANISATIONS, grace_s=30.0, half_life_s=600.0))
        self.settings = Settings(home=str(self.home), zone="DE", agents=AgentSettings(lease_s=300.0, sync_s=5.0))
        self.store = Store.of(self.settings)
        self.controller: Controller | None = None
        self.here, self.there = Cluster(self, "here"), Cluster(self, "north")
        self._open_office()
        self.north = FarSite(self, "north")

    def now_s(self) -> float:
        """What the wall says at the hub, right or wrong."""
        return BEGAN_S + self.elapsed_s + self.skew_s

    # Where faults fall

    def point(self, where) -> None:
        if threading.current_thread() is self.thread and self.dice.random() < self.deadly:
            self.met[f"killed {where}"] += 1
            raise Killed

    def fate(self, what) -> str:
        if self.dice.random() >= self.flaky:
            return "heard"
        fate = self.dice.choice(("lost", "unanswered", "twice"))
        self.met[f"{what} {fate}"] += 1
        return fate

    def _writer(self, real):
        @contextmanager
        def write(store):
            self.point("before a transaction")
            with real(store) as tx:
                yield tx
                if self.full and threading.current_thread() is self.thread:
                    self.met["disk full"] += 1
                    raise StoreError("the disk is full")
                self.point("within a transaction")
            self.point("after a transaction")

        return write

    def _engine(self, site):
        return self.here if site.engine == "virtual" else self.real_engine(site.engine)

    def _open_office(self) -> None:
        self.states = States(self.store, self.home, self.fleet, self.settings.agents, Refusals(self.store))
        self.office = Office(self.store, self.fleet, self.settings.agents)

    # What goes on

    def go(self, seconds) -> None:
        """Each of them does its part once, in any order; then time goes by."""
        parts = [self._lead, self._visit]
        self.dice.shuffle(parts)
        for part in parts:
            part()
            self.check_now()
        self.elapsed_s += seconds
        for cluster in (self.here, self.there):
            cluster.advance(seconds)

    def _lead(self) -> None:
        try:
            self.controller = self.controller or Controller(self.settings, self.fleet)
            if self.controller.lead():
                self.controller.step()
        except Killed:
            self._drop()
        except StoreError:
            self.met["a look that a full disk ended"] += 1

    def _visit(self) -> None:
        try:
            if self.north.is_busy():
                self.north.tick()
        except Killed:
            self.north.alive = self.dice.random() < 0.5
            self._open_office()
        except StoreError:
            self.met["a sync that a full disk ended"] += 1

    def _drop(self) -> None:
        dead, self.controller = self.controller, None
        if dead is not None:
            dead.close()

    def close(self) -> None:
        """Nothing is written any more, nor by those who note on a timer who was refused: its folder may go."""
        self._drop()
        for timer in threading.enumerate():
            if isinstance(timer, threading.Timer):
                timer.join()
        self.store.close()

    def submit(self, name) -> None:
        """Acknowledged where this comes back; stored or not where somebody is killed before it does."""
        dice = self.dice
        organisation = dice.choice(ORGANISATIONS).name
        by = dice.choice(tuple(PauseBy))
        pausable = dice.random() < 0.7
        # What cannot pause may borrow only what nobody owns: more than that would wait for ever.
        devices = dice.choice((1, 1, 2)) if organisation == "lab" and pausable else 1
        job = Job(
            name,
            organisation,
            by,
            pausable and by is PauseBy.CHECKPOINT,
            devices,
            dice.uniform(20, 300),
            moves=pausable and by is PauseBy.CHECKPOINT and dice.random() < 0.8,
        )
        self.jobs[name] = job
        workload = Workload(
            id=name,
            kind=WorkloadKind.BATCH,
            command=("true",),
            submitted_at=from_epoch(self.now_s()),
            # What moves is planned anew under way, and would wait for the cleanest hours of four days.
            deadline=from_epoch(self.now_s() + 3600) if job.moves else None,
            length=Length.known(job.needs_s),
            organisation=organisation,
            resources=Resources(devices=job.devices),
            flexibility=Flexibility(pausable=pausable, pause_by=by, movable=job.moves),
            sites=(dice.choice(SITES).name,),
            environment={"PATH": os.environ["PATH"]},
            max_attempts=4,
        )
        try:
            self.controller = self.controller or Controller(self.settings, self.fleet)
            self.controller.submit(workload, at_once=True)
        except (Killed, StoreError) as error:
            if isinstance(error, Killed):
                self._drop()
            with self.store.read() as tx:
                if runs.workload(tx, name) is None:
                    del self.jobs[name]

    def cancel(self, name) -> None:
        try:
            self.controller = self.controller or Controller(self.settings, self.fleet)
            self.jobs[name].cancelled = True
            self.controller.cancel(name)
        except Killed:
            self._drop()
        except (RunError, StoreError):
            return

    # What goes wrong

    def misfortune(self) -> None:
        faults = (
            self._a_killer, self._a_bad_network, self._a_daemon, self._a_node, self._a_signal, self._an_agent, self._a_link,
            self._a_liar, self._a_clock, self._a_disk, self._a_thief, self._a_change_of_mind, self._a_silence,
            self._a_forecast, self._a_forecast,
        )  # fmt: skip
        fault = self.dice.choice(faults)
        self.met[fault.__name__.replace("_", " ").strip()] += 1
        fault()

    def _a_killer(self):
        self.deadly = self.dice.choice((0.0, 0.02, 0.1, 0.3))

    def _a_bad_network(self):
        self.flaky = self.dice.choice((0.0, 0.1, 0.5))

    def _a_daemon(self):
        self.here.reachable = not self.here.reachable

    def _living(self):
        clusters = (self.here, self.there)
        return [(c, handle) for c in clusters for handle, one in c.attempts.items() if one.seen is Seen.ALIVE]

    def _a_node(self):
        for cluster, handle in self._living()[:2]:
            cluster.vanish(handle)

    def _a_signal(self):
        for cluster, handle in self._living()[:1]:
            cluster.end(handle, self.dice.choice((-9, -11, 2)))

    def _an_agent(self):
        self.north.alive = not self.north.alive

    def _a_link(self):
        self.north.linked = not self.north.linked

    def _a_silence(self):
        """Now and then for longer than a lease, and what that takes to be believed: whatever was begun is over then."""
        self.north.alive, self.north.linked = self.dice.choice(((False, True), (True, False), (False, False)))
        if self.dice.random() < 0.15:
            self.met["a lease that was over"] += 1
            for _ in range(20):
                self.go(20.0)

    def _a_liar(self):
        self.north.lies = not self.north.lies

    def _a_clock(self):
        self.skew_s += self.dice.choice((-7200.0, -30.0, 30.0, 7200.0))
        self.north.skew_s = self.dice.choice((0.0, -900.0, 900.0))

    def _a_disk(self):
        self.full = not self.full

    def _a_thief(self):
        deadly, self.deadly, full, self.full = self.deadly, 0.0, self.full, False
        self.north.thief()
        self.deadly, self.full = deadly, full

    def _a_change_of_mind(self):
        open_jobs = [name for name, job in self.jobs.items() if not job.cancelled]
        if open_jobs:
            self.cancel(self.dice.choice(open_jobs))

    def _a_forecast(self):
        """What may move is better off at the other site from now on."""
        with self.store.read() as tx:
            moving = [card for card in self._open(tx) if self.jobs[card.workload].moves]
            plans = {run.workload: runs.newest_plan(tx, run.workload) for run in moving}
        full, self.full, deadly, self.deadly = self.full, False, self.deadly, 0.0
        for run in moving:
            plan, now_s = plans[run.workload], self.now_s()
            there = next(site.name for site in SITES if site.name != plan.slots[-1].site)
            slot = replace(plan.slots[-1], site=there, start=from_epoch(now_s), end=from_epoch(now_s + 1e5))
            with self.store.write() as tx:
                runs.add_plan(tx, replace(plan, slots=(slot,), made_at=from_epoch(now_s)))
                runs.put_run(tx, replace(run, slot=0))
            self.met["moves"] += 1
        self.full, self.deadly = full, deadly

    def _open(self, tx):
        tries = [runs.attempts(tx, name)[-1] for name in self.jobs]
        return [run for run in tries if not run.state.ended]

    def goes_on(self, job, left_s, handle) -> None:
        """With what the attempt before it saved, wherever that was; or a site was silent for longer than its lease."""
        before = [left for run, left in job.left_s.items() if run != handle.split("/")[-2]]
        if before and left_s != before[-1]:
            assert self.met["a lease that was over"], (job, left_s)

    def calm(self) -> None:
        self.deadly = self.flaky = 0.0
        self.full = self.north.lies = False
        self.here.reachable = self.north.alive = self.north.linked = True

    # What must hold

    def check_now(self) -> None:
        """Never two of one job; no site and no organisation over what it has."""
        used_at: Counter[str] = Counter()
        used_by: Counter[str] = Counter()
        of_job: Counter[str] = Counter()
        for cluster in (self.here, self.there):
            for one in cluster.attempts.values():
                job = self.jobs.get(one.workload)
                if job is None:
                    continue
                of_job[job.id] += one.seen is Seen.ALIVE
                if one.draws:
                    used_at[cluster.site] += job.devices
                    used_by[job.organisation] += job.devices
        assert max(of_job.values(), default=0) <= 1, of_job
        for site in SITES:
            assert used_at[site.name] <= site.capacity, used_at
        for organisation in ORGANISATIONS:
            limit = organisation.quota.devices
            assert limit is None or used_by[organisation.name] <= limit, used_by

    def over(self) -> bool:
        """And whoever carried it out knows that, too."""
        with self.store.read() as tx:
            return not (
                runs.live(tx) or runs.without_receipt(tx) or agents.errands(tx, ["north"])["north"] or self.north.orders
            )

    def check_end(self) -> Counter[str]:
        """Of every job since the last look: how it ended, what it used, what the log says; then it is forgotten."""
        ends: Counter[str] = Counter()
        with self.store.read() as tx:
            records = Counter(row[0] for row in tx.all("SELECT subject FROM log_record WHERE kind = 'run'"))
            for job in self.jobs.values():
                tries = runs.attempts(tx, job.id)
                ends[tries[-1].state.value] += 1
                self._check_job(job, tries)
                for run in tries:
                    self._check_bill(run, runs.account(tx, run.id), records[run.id])
        self.jobs.clear()
        for cluster in (self.here, self.there):
            cluster.attempts.clear()
            cluster.energy_j.clear()
        return ends

    def _check_job(self, job, tries) -> None:
        assert {run.state for run in tries[:-1]} <= {RunState.LOST, *((RunState.MOVED,) if job.moves else ())}
        if job.moves:
            places = [self.home / "checkpoints" / "here" / job.id, self.north.home / "checkpoints" / job.id]
            assert sum(place.exists() for place in places) <= 1, "over for good, it is kept where it ended"
            assert not (self.home / "states" / job.id).exists()
        assert all(run.reason for run in tries[:-1])
        last = tries[-1]
        # A site that is cut off for longer than its lease may have finished what is begun again elsewhere.
        unheard = sum(run.site == "north" and run.reason.startswith("whoever kept it vanished") for run in tries)
        match last.state:
            case RunState.DONE:
                assert 1 <= job.completions <= 1 + unheard
            case RunState.FAILED:
                assert job.completions <= unheard
                assert last.reason
            case RunState.CANCELLED:
                assert job.cancelled
                assert job.completions <= 1 + unheard
            case _:
                raise AssertionError(f"{job.id} ended as {last.state}")

    def _check_bill(self, run, account, records) -> None:
        drawn_j = sum(
            joules
            for cluster in (self.here, self.there)
            for handle, joules in cluster.energy_j.items()
            if handle.split("/")[-2] == run.id
        )
        assert records == (account is not None), "a record for each account, and one"
        if account is None:
            return
        carried_j = sum(one.energy_j for one in account.measurement.readings if one.domain == TRANSFER)
        said_j = account.measurement.energy_j.value - carried_j
        assert abs(said_j - drawn_j) < 1e-6 * max(1.0, drawn_j), (run, said_j, drawn_j)

    def check_log(self) -> int:
        self._drop()
        self.controller = Controller(self.settings, self.fleet)
        self.controller.ledger.publish()
        checked = check_all(self.controller.ledger)
        self._drop()
        return checked.records


def _without_waiting(real):
    def begin(session, path):
        real(session, path)
        session.run("PRAGMA synchronous=OFF")

    return begin


def worn_out(world):
    """A job whose node goes each time that it runs: it is given up, and says why."""
    world.submit("worn")
    for _ in range(400):
        if world.over():
            return world.check_end()
        world._a_node()
        world.go(5.0)
    raise AssertionError("not given up")


def schedule(world, number):
    """Some jobs, some misfortunes, then nothing more goes wrong."""
    dice = world.dice
    for i in range(dice.choice((1, 1, 1, 1, 1, 2, 3))):
        world.submit(f"j{number}-{i}")
    for _ in range(dice.choice((1, 2, 2, 3, 3, 4, 7))):
        world.misfortune()
        world.go(dice.expovariate(1 / 40))
    world.calm()
    for _ in range(200):
        if world.over():
            return world.check_end()
        world.go(100.0)
    raise AssertionError(f"not over: {world.controller.troubles if world.controller else None}")
