"""The controller: observes, compares with the plan, acts; each change one transaction, each act safe to repeat."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from heliotrope import fleet as fleets
from heliotrope.config import Settings
from heliotrope.errors import HelioError, Infeasible, InvalidInput, RunError, UnknownName
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import Plan, Run, RunState, Signal, SignalKind, Workload
from heliotrope.plan import Candidate, place
from heliotrope.prove import Ledger, plan_statement, run_statement
from heliotrope.run import accounting, engines, lifecycle
from heliotrope.run.clock import Clock
from heliotrope.run.engines.protocol import Task
from heliotrope.store import Store, runs
from heliotrope.store.runs import Strip
from heliotrope.units import S_PER_HOUR, from_epoch, hour_floor

REPLAN_S = 3600.0  # of a run's clock: forecasts are hourly
REPLAN_WALL_S = 5.0  # a fast clock's hours are short, and planning takes its time
LOOK_S = 0.2  # of the wall, between two looks at what can change at any moment
GRACE_S = 10.0  # of the wall: what a command gets to save its state before it is killed
LATE_S = 60.0  # of the wall: a start that was missed by more is chosen anew


class Controller:
    """One home. Any number may exist; the one that holds `leading` acts, the others only submit and look."""

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        self.settings = settings
        self.home = settings.home_path
        self.fleet = fleet or fleets.load(settings.fleet, zone=settings.zone)
        self.store = Store(self.home / "helio.db")
        self.grid = Grid(settings.grid, self.home)
        self.ledger = Ledger(self.store, self.home, settings.prove)
        self.kind = SignalKind.parse(settings.grid.kind)
        self.troubles: dict[str, HelioError] = {}
        self._looked_s: dict[str, float] = {}
        self._lock: int | None = None

    # Submitting

    def submit(self, workload: Workload, *, factor: float = 1.0, at_once: bool = False) -> tuple[Plan, Clock]:
        """Plans and stores it; acknowledged when this returns, with its plan and baseline already in the log.

        Its clock runs `factor` times as fast as the wall from here on: planning took none of its time.
        """
        self._check_command(workload)
        plan, strips = self.plan(workload, time.time(), self.fleet, at_once=at_once)
        clock = Clock.starting_now(factor)
        run = _attempt(workload, plan, self.fleet, 1, clock)
        with self.store.write() as tx:
            runs.add_workload(tx, workload, clock.factor, clock.origin_s, self.fleet.home, self.fleet.sites)
            for strip in strips:
                runs.put_strip(tx, workload.id, strip)
            runs.add_plan(tx, plan)
            self.ledger.add(tx, plan_statement(workload, plan, clock_factor=clock.factor))
            runs.put_run(tx, run)
            runs.add_event(tx, run.id, clock.now_s(), "planned", f"{run.site}, {plan.slots[0].start:%d %b %H:%M} UTC")
        return plan, clock

    def plan(
        self, workload: Workload, now_s: float, fleet: Fleet, *, at_once: bool = False
    ) -> tuple[Plan, list[Strip]]:
        for name in workload.sites:
            fleet.site(name)
        candidates, horizon_s = self.candidates(workload, now_s, fleet)
        if at_once:
            here = workload.sites[0] if workload.sites else fleet.home
            candidates = [c for c in candidates if c.site.name == here]
        plan = place(
            workload,
            candidates,
            now_s=now_s,
            home=fleet.home,
            latency_ms=fleet.latency_ms,
            horizon_s=workload.length.high_s if at_once else horizon_s,
            step_s=self.settings.plan.step_s,
        )
        return plan, [_strip(c) for c in candidates]

    def candidates(self, workload: Workload, now_s: float, fleet: Fleet) -> tuple[list[Candidate], float]:
        """Every site under what is expected there, and how far ahead that reaches."""
        ends_s = max(now_s + self.settings.plan.horizon_s, workload.deadline.timestamp() if workload.deadline else 0)
        span = (hour_floor(now_s), int(ends_s) + S_PER_HOUR)
        found = [
            Candidate(site=site, carbon=self.grid.forecast(site.zone, *span, issued_at_s=int(now_s), kind=self.kind))
            for site in fleet.sites
        ]
        return found, ends_s - now_s

    def _check_command(self, workload: Workload) -> None:
        """Before anything is promised: a command that is not there can be told now."""
        name = workload.command[0]
        path = workload.environment.get("PATH", os.defpath)
        found = (
            Path(workload.working_directory, name).is_file()
            and os.access(Path(workload.working_directory, name), os.X_OK)
            if "/" in name
            else shutil.which(name, path=path)
        )
        if not found:
            raise InvalidInput("command not found", field="command", found=name, hint="check its spelling and PATH")

    # Leading

    def lead(self) -> bool:
        """True where this is the one controller of the home that acts; the lock falls with the process."""
        if self._lock is None:
            fd = os.open(self.home / "controller.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
            self._lock = fd
        return True

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self.store.close()

    # Stepping

    def step(self) -> float:
        """One look at everything that is not over; wall seconds until the next look is worth it."""
        with self.store.read() as tx:
            live = runs.live(tx)
            owed = runs.without_receipt(tx)
        for run in owed:
            self._hand_receipt(run)
        self.troubles.clear()
        waits = []
        for run in live:
            try:
                waits.append(self._step(run))
            except HelioError as error:
                # One that cannot go on now keeps no other from it; it is tried again at the next look.
                self.troubles[run.workload] = error
        return min([LOOK_S * 5, *waits])

    def _step(self, run: Run) -> float:
        with self.store.read() as tx:
            workload = runs.workload(tx, run.workload)
            plan = runs.newest_plan(tx, run.workload)
            clock = Clock(*runs.clock(tx, run.workload))
            cancel_s = runs.cancel_wished_s(tx, run.workload)
            fleet = Fleet(runs.sites(tx, run.workload), home=runs.home(tx, run.workload))
        assert workload is not None
        assert plan is not None
        now_s = clock.now_s()
        if run.state is RunState.WAITING and cancel_s is None and self._outdated(run, plan, clock, now_s):
            plan = self._replan(run, workload, plan, fleet, now_s)
        here = engines.of(fleet.site(run.site))
        sight = here.observe(run.handle) if run.handle else lifecycle.Sight(lifecycle.Seen.ABSENT)
        step = lifecycle.step(
            run.state,
            run.slot,
            run.attempt,
            workload,
            plan,
            sight,
            now_s,
            cancel_s=cancel_s,
            grace_s=GRACE_S * clock.factor,
        )
        after = self._record(run, step, workload, plan, fleet, clock, now_s)
        self._act(
            engines.of(fleet.site(after.site)),
            after,
            workload,
            step,
            plan.slots[min(step.slot, len(plan.slots) - 1)].width,
        )
        if step.state.ended:
            return 0.0
        return LOOK_S if step.wake_s is None else max(0.0, clock.wall_wait_s(step.wake_s - now_s))

    def _outdated(self, run: Run, plan: Plan, clock: Clock, now_s: float) -> bool:
        """Before its start: when forecasts may have changed. After it: when a start chosen for later was missed."""
        made_s, start_s = plan.made_at.timestamp(), plan.slots[0].start.timestamp()
        looked_s = max(made_s, self._looked_s.get(run.workload, made_s))
        if now_s < start_s:
            due = (
                now_s - looked_s > REPLAN_S
                and clock.wall_wait_s(min(now_s - looked_s, start_s - now_s)) > REPLAN_WALL_S
            )
        else:
            due = start_s > made_s and clock.wall_wait_s(now_s - max(start_s, looked_s)) > LATE_S
        if due:
            self._looked_s[run.workload] = now_s
        return due

    def _replan(self, run: Run, workload: Workload, old: Plan, fleet: Fleet, now_s: float) -> Plan:
        """The world may look different by now; a plan that says the same is not written again."""
        try:
            new, strips = self.plan(workload, now_s, fleet)
        except Infeasible:
            # The old plan met every limit when it was made: it stands.
            return old
        if new.slots == old.slots:
            return old
        with self.store.write() as tx:
            for strip in strips:
                runs.put_strip(tx, workload.id, strip)
            runs.add_plan(tx, new)
            self.ledger.add(tx, plan_statement(workload, new, clock_factor=run.clock_factor))
            runs.add_event(tx, run.id, now_s, "planned again", f"{new.slots[0].site}, {new.slots[0].start:%d %b %H:%M}")
        return new

    def _record(
        self, run: Run, step: lifecycle.Step, workload: Workload, plan: Plan, fleet: Fleet, clock: Clock, now_s: float
    ) -> Run:
        """Writes what changed, before acting on it; an ending, its footprint and its record are one transaction."""
        site = fleet.site(plan.slots[min(step.slot, len(plan.slots) - 1)].site)
        launching = step.do is lifecycle.Do.LAUNCH
        handle = run.handle
        if launching and (not handle or run.state is RunState.PAUSED):
            handle = str(self.home / "runs" / run.id / f"{step.slot}")
        after = msgspec.structs.replace(
            run,
            state=step.state,
            slot=step.slot,
            handle="" if step.state is RunState.PAUSED and step.do is lifecycle.Do.NOTHING else handle,
            site=run.site if run.handle else site.name,
            zone=run.zone if run.handle else site.zone,
            engine=run.engine if run.handle else site.engine,
            exit_code=step.exit_code,
            reason=step.reason,
        )
        if after == run:
            return run
        if not step.state.ended:
            with self.store.write() as tx:
                runs.put_run(tx, after)
                if after.state is not run.state:
                    runs.add_event(tx, run.id, now_s, after.state.value, after.reason)
            return after
        return self._end(after, step, workload, plan, fleet, clock, now_s)

    def _end(
        self, run: Run, step: lifecycle.Step, workload: Workload, plan: Plan, fleet: Fleet, clock: Clock, now_s: float
    ) -> Run:
        if step.do is lifecycle.Do.REAP and run.handle:
            engines.of(fleet.site(run.site)).reap(run.handle)
        folders = accounting.folders_of(self.home / "runs", run.id)
        bill, unread = None, ""
        try:
            raw = accounting.measured(folders)
        except InvalidInput as error:
            # A journal that a disk has damaged must not keep the run from ending; that it is missing is told.
            raw, unread = None, error.what
        if raw is not None:
            run = msgspec.structs.replace(
                run, started_at=from_epoch(clock.at(raw.start_s)), ended_at=from_epoch(clock.at(raw.end_s))
            )
            bill = accounting.bill(workload, raw, fleet.site(run.site), fleet, self.grid, clock, self.kind)
        else:
            run = msgspec.structs.replace(run, ended_at=from_epoch(now_s))
        with self.store.write() as tx:
            current = runs.run(tx, run.id)
            if current is None or current.state.ended:
                return run
            runs.put_run(tx, run)
            runs.add_event(tx, run.id, now_s, run.state.value, run.reason)
            if unread:
                runs.add_event(tx, run.id, now_s, "not measured", unread)
            if bill is not None:
                runs.put_account(tx, run.id, bill.account)
                statement = run_statement(
                    workload,
                    plan,
                    run,
                    bill.account.measurement,
                    bill.account.footprint,
                    bill.account.run_now_g,
                    bill.signals,
                    clock_factor=clock.factor,
                    site=bill.site,
                    home=bill.home,
                    device_s=bill.device_s,
                )
                self.ledger.add(tx, statement)
            if step.again:
                again = _attempt(workload, plan, fleet, run.attempt + 1, clock, lifecycle.slot_at(plan, now_s))
                runs.put_run(tx, again)
                runs.add_event(tx, again.id, now_s, "again", run.reason)
        if bill is not None:
            run = self._hand_receipt(run)
        return run

    def _act(self, engine: engines.Engine, run: Run, workload: Workload, step: lifecycle.Step, width: int) -> None:
        match step.do:
            case lifecycle.Do.LAUNCH:
                engine.launch(self._task(run, workload, width))
            case lifecycle.Do.PAUSE:
                engine.pause(run.handle)
            case lifecycle.Do.RESUME:
                engine.resume(run.handle)
            case lifecycle.Do.SAVE:
                engine.save(run.handle)
            case lifecycle.Do.KILL:
                engine.kill(run.handle)
            case _:
                return

    def _task(self, run: Run, workload: Workload, width: int) -> Task:
        return Task(
            handle=run.handle,
            command=workload.command,
            working_directory=workload.working_directory,
            environment=workload.environment,
            checkpoint=str(self.home / "checkpoints" / workload.id),
            interval_s=self.settings.measure.interval_s,
            meters=self.settings.measure.meters,
            memory_bytes=workload.resources.memory_bytes,
            cpu_time_s=workload.resources.cpu_time_s,
            width=width,
            cpus=workload.resources.cpus,
            devices=workload.resources.devices,
            device_kind=workload.resources.device_kind,
            power_w=workload.resources.power_w,
            organisation=workload.organisation,
            options=workload.engine_options,
        )

    def _hand_receipt(self, run: Run) -> Run:
        """After the record is in the log: can be done again at any time, and is, until the run says where it lies."""
        path = self.ledger.receipt(self.ledger.find(run.id), self.home / "receipts" / f"{run.id}.proof")
        run = msgspec.structs.replace(run, receipt=str(path))
        with self.store.write() as tx:
            runs.put_run(tx, run)
        return run

    # Following

    def follow(self, workload_id: str, watch: Callable[[Run, Plan, float], None]) -> Run:
        """Until it is over; acts itself where no other controller does. `watch` gets the run, its plan and the time."""
        while True:
            wait_s = self.step() if self.lead() else LOOK_S
            with self.store.read() as tx:
                run = runs.attempts(tx, workload_id)[-1]
                plan = runs.newest_plan(tx, workload_id)
                clock = Clock(*runs.clock(tx, workload_id))
                owed = runs.account(tx, run.id) is not None and not run.receipt
            assert plan is not None
            if workload_id in self.troubles:
                raise self.troubles[workload_id]
            watch(run, plan, clock.now_s())
            if run.state.ended and not owed:
                return run
            time.sleep(min(max(wait_s, 0.01), LOOK_S))

    def cancel(self, name: str) -> None:
        """Wished for; done by whoever leads."""
        workload_id = self.workload_id(name)
        with self.store.write() as tx:
            last = runs.attempts(tx, workload_id)[-1]
            if last.state.ended:
                raise RunError(f"{name} is over: {last.state}", hint=f"helio runs show {name}")
            runs.wish_cancel(tx, workload_id, Clock(*runs.clock(tx, workload_id)).now_s())

    def past_length_s(self, command: tuple[str, ...], factor: float) -> float | None:
        """How long the same command took last time."""
        with self.store.read() as tx:
            return runs.past_length_s(tx, command, factor)

    def workload_id(self, name: str) -> str:
        """From a job's name or a run's."""
        with self.store.read() as tx:
            if runs.workload(tx, name) is not None:
                return name
            run = runs.run(tx, name)
        if run is None:
            raise UnknownName(f"no job or run is called {name}", hint="helio jobs lists them")
        return run.workload


def new_id(now: datetime) -> str:
    """Sorts by time, short enough to type."""
    return f"{now:%m%d%H%M}{secrets.token_hex(2)}"


def _attempt(workload: Workload, plan: Plan, fleet: Fleet, number: int, clock: Clock, slot: int = 0) -> Run:
    site = fleet.site(plan.slots[slot].site)
    name = f"{workload.id}-{number}"
    return Run(
        id=name,
        workload=workload.id,
        state=RunState.WAITING,
        created_at=from_epoch(clock.now_s()),
        attempt=number,
        site=site.name,
        zone=site.zone,
        engine=site.engine,
        slot=slot,
        clock_factor=clock.factor,
    )


def _strip(candidate: Candidate) -> Strip:
    carbon: Signal = candidate.carbon
    return Strip(
        candidate.site.name,
        carbon.zone,
        carbon.start_s,
        carbon.step_s,
        tuple(carbon.values.tolist()),
        tuple(carbon.low.tolist()),
        tuple(carbon.high.tolist()),
        quality=carbon.quality.kind.value,
        source=carbon.quality.source,
    )
