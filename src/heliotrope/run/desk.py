"""The desk: takes work in, plans it, promises it. Whoever leads carries it out."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from heliotrope import fleet as fleets
from heliotrope.config import Settings
from heliotrope.errors import InvalidInput, RunError, UnknownName
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import Plan, Run, RunState, Signal, SignalKind, Site, Workload
from heliotrope.plan import Candidate, Progress, place
from heliotrope.plan.single.candidate import transfer
from heliotrope.prove import Ledger, plan_statement
from heliotrope.run import engines
from heliotrope.run.choosing import sharing
from heliotrope.run.choosing.board import Board
from heliotrope.run.choosing.field import MANY, Chooser
from heliotrope.run.clock import Clock
from heliotrope.run.enrolling import Programme
from heliotrope.run.working.moving import carriable
from heliotrope.store import Store, Transaction, runs
from heliotrope.store.runs import Strip
from heliotrope.units import S_PER_HOUR, from_epoch, hour_floor

WALL = Clock()
FAR_S = 100 * 24 * 3600.0  # no plan looks further


class Desk:
    """One home. Any number may exist, in any number of processes."""

    def __init__(self, settings: Settings, fleet: Fleet | None = None) -> None:
        self.settings = settings
        self.home = settings.home_path
        self.fleet = fleet or fleets.load(settings.fleet, zone=settings.zone)
        self.store = Store.of(settings)
        self.board = Board(self.store)
        self.grid = Grid(settings.grid, self.home)
        self.ledger = Ledger(self.store, self.home, settings.prove)
        self.programme = Programme(self.ledger, self.grid, settings)
        self.kind = SignalKind.parse(settings.grid.kind)
        self.chooser = Chooser(self.grid, self.kind, self.board)

    def close(self) -> None:
        self.store.close()

    def submit(
        self,
        workload: Workload,
        *,
        factor: float = 1.0,
        at_once: bool = False,
        also: Callable[[Transaction], None] | None = None,
    ) -> tuple[Plan, Clock]:
        """Plans and stores it; acknowledged when this returns, with its plan and baseline already in the log.

        `also`: what is to be true of it from the same moment on.
        Its clock runs `factor` times as fast as the wall from here on: planning took none of its time.
        """
        self._check_command(workload)
        with self.store.read() as tx:
            sharing.check_open(tx, self.fleet, workload.organisation, more=1)
        now_s = time.time()
        plan, strips = self.plan(workload, now_s, self.fleet, at_once=at_once, clock=Clock(factor))
        drawn = ""
        if not at_once and self.programme.takes(workload, self.fleet):
            ticket = self.programme.draw(workload, plan, self.fleet, now_s)
            drawn = "held out: runs at once" if ticket.held_out else "may be shifted"
            if ticket.held_out:
                home = msgspec.structs.replace(workload, sites=(self.fleet.home,))
                plan, strips = self.plan(home, time.time(), self.fleet, at_once=True)
        clock = Clock.starting_now(factor)
        run = attempt_of(workload, plan, self.fleet, 1, clock)
        with self.store.write() as tx:
            runs.add_workload(tx, workload, clock.factor, clock.origin_s, self.fleet.home, self.fleet.sites)
            for strip in strips:
                runs.put_strip(tx, workload.id, strip)
            runs.add_plan(tx, plan)
            self.ledger.add(tx, plan_statement(workload, plan, clock_factor=clock.factor))
            runs.put_run(tx, run)
            if also is not None:
                also(tx)
            sharing.check_open(tx, self.fleet, workload.organisation, more=0)
            if drawn:
                runs.add_event(tx, run.id, clock.now_s(), "drawn", drawn)
            runs.add_event(tx, run.id, clock.now_s(), "planned", f"{run.site}, {plan.slots[0].start:%d %b %H:%M} UTC")
        return plan, clock

    def plan(
        self,
        workload: Workload,
        now_s: float,
        fleet: Fleet,
        *,
        at_once: bool = False,
        clock: Clock = WALL,
        ready: Progress | None = None,
    ) -> tuple[Plan, list[Strip]]:
        """What was asked for at once is planned for now: where there is no room, it waits for its turn.

        `ready`: it was under way already, and what it saved lies somewhere.
        """
        for name in workload.sites:
            fleet.site(name)
        carried = carriable(workload, fleet)
        moves = not at_once and carried
        if ready is not None and not carried:
            # What it saved stays where it is, and so does the work.
            workload = msgspec.structs.replace(
                workload, flexibility=msgspec.structs.replace(workload.flexibility, movable=False)
            )
        ends_s = self._ends_s(workload, now_s)

        def among(candidates: Sequence[Candidate]) -> Plan:
            return place(
                workload,
                candidates,
                now_s=now_s,
                home=fleet.home,
                latency_ms=fleet.latency_ms,
                horizon_s=_takes_s(workload, candidates, fleet, ready) if at_once else ends_s - now_s,
                step_s=self.settings.plan.step_s,
                ready=ready,
                moves=moves,
            )

        if at_once:
            here = fleet.site(workload.sites[0] if workload.sites else fleet.home)
            candidates = [Candidate(here, self._forecast(here, now_s, ends_s), caps=_holds_caps(workload, here))]
        elif len(fleet.sites) <= MANY:
            candidates, _ = self.candidates(workload, now_s, fleet, clock=clock)
        else:
            self.board.refresh()
            plan, candidates = self.chooser.choose(
                workload,
                fleet,
                now_s,
                ends_s,
                clock,
                lambda site: Candidate(
                    site,
                    self.chooser.forecast(site.zone, now_s, ends_s),
                    busy=self._busy(workload, site, clock),
                    caps=_holds_caps(workload, site),
                ),
                among,
                ready=ready,
                moves=moves,
            )
            return plan, [strip_of(c) for c in candidates]
        return among(candidates), [strip_of(c) for c in candidates]

    def candidates(
        self, workload: Workload, now_s: float, fleet: Fleet, *, clock: Clock = WALL
    ) -> tuple[list[Candidate], float]:
        """Every site under what is expected there and what others were promised, and how far ahead that reaches."""
        ends_s = self._ends_s(workload, now_s)
        self.board.refresh()
        found = [
            Candidate(
                site,
                self._forecast(site, now_s, ends_s),
                busy=self._busy(workload, site, clock),
                caps=_holds_caps(workload, site),
            )
            for site in fleet.sites
        ]
        return found, ends_s - now_s

    def _ends_s(self, workload: Workload, now_s: float) -> float:
        """How far plans look ahead: a deadline in a hundred years is no reason to weigh each of their hours."""
        asked_s = workload.deadline.timestamp() if workload.deadline else 0.0
        return max(now_s + self.settings.plan.horizon_s, min(asked_s, now_s + FAR_S))

    def _forecast(self, site: Site, now_s: float, ends_s: float) -> Signal:
        span = (hour_floor(now_s), int(ends_s) + S_PER_HOUR)
        return self.grid.forecast(site.zone, *span, issued_at_s=int(now_s), kind=self.kind)

    def _busy(self, workload: Workload, site: Site, clock: Clock) -> tuple[tuple[float, float], ...]:
        return sharing.busy(self.board.at(site.name), workload, site, self.fleet.sharing, clock)

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

    def cancel(self, name: str) -> None:
        """Wished for; done by whoever leads."""
        workload_id = self.workload_id(name)
        with self.store.write() as tx:
            last = runs.attempts(tx, workload_id)[-1]
            if last.state.ended:
                raise RunError(f"{name} is over: {last.state}", hint=f"helio runs show {name}")
            runs.wish_cancel(tx, workload_id, Clock(*runs.clock(tx, workload_id)).now_s())

    def receipt(self, run_id: str) -> Path:
        """In this home: another that shares the store may have been the first to write it."""
        path = self.home / "receipts" / f"{run_id}.proof"
        return path if path.exists() else self.ledger.receipt(self.ledger.find(run_id), path)

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


def _holds_caps(workload: Workload, site: Site) -> bool:
    """Asked only of engines that work with caps might go to."""
    return not workload.flexibility.caps or engines.of(site).capabilities.caps


def _takes_s(workload: Workload, candidates: Sequence[Candidate], fleet: Fleet, ready: Progress | None) -> float:
    """At the only site that is left to choose, once what it needs is there."""
    (candidate,) = candidates
    return workload.length.high_s + transfer(workload, candidate.site, candidates, fleet.home, ready).seconds


def new_id(now: datetime) -> str:
    """Sorts by time, short enough to type."""
    return f"{now:%m%d%H%M}{secrets.token_hex(3)}"


def attempt_of(workload: Workload, plan: Plan, fleet: Fleet, number: int, clock: Clock, slot: int = 0) -> Run:
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


def strip_of(candidate: Candidate) -> Strip:
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
