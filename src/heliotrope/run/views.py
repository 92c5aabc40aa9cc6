"""What others show of runs: everything about one, a row about each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.measure.records import windows
from heliotrope.measure.records.windows import Window
from heliotrope.model import Estimate, Footprint, Measurement, Plan, Run, Slot, Workload, total
from heliotrope.run.working.folder import folders_of
from heliotrope.store import Store, Transaction, runs
from heliotrope.store.runs import Event, Strip

__all__ = ["Event", "JobRow", "RunView", "Strip", "jobs", "run_view"]


class Spent(msgspec.Struct, frozen=True):
    """What a job took over all its attempts, moved, lost or done: each has a record of its own."""

    attempts: int
    energy_j: Estimate
    carbon_g: Estimate
    run_now_g: Estimate


class RunView(msgspec.Struct, frozen=True):
    """Times in measurement and events are the run's own clock; `home` is the site that run-now is counted at."""

    workload: Workload
    plan: Plan | None
    run: Run | None
    attempts: tuple[Run, ...]
    measurement: Measurement | None
    footprint: Footprint | None
    run_now_g: Estimate | None
    events: tuple[Event, ...]
    strips: tuple[Strip, ...]
    receipt: str = ""
    home: str = ""
    run_now_operational_g: Estimate | None = None
    windows: tuple[Window, ...] = ()
    spent: Spent | None = None


class JobRow(msgspec.Struct, frozen=True):
    workload: str
    run: str
    kind: str
    command: tuple[str, ...]
    state: str
    site: str
    zone: str
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempt: int
    slots: tuple[Slot, ...]
    energy_j: Estimate | None
    carbon_g: Estimate | None
    run_now_g: Estimate | None


def run_view(store: Store, name: str) -> RunView:
    """By a run's name or its job's; a job's newest attempt."""
    with store.read() as tx:
        named = runs.run(tx, name)
        workload = runs.workload(tx, named.workload if named else name)
        if workload is None:
            raise UnknownName(f"no job or run is called {name}", hint="helio jobs lists them")
        attempts = runs.attempts(tx, workload.id)
        shown = named or (attempts[-1] if attempts else None)
        account = runs.account(tx, shown.id) if shown else None
        return RunView(
            workload=workload,
            plan=runs.newest_plan(tx, workload.id),
            run=shown,
            attempts=attempts,
            measurement=account.measurement if account else None,
            footprint=account.footprint if account else None,
            run_now_g=account.run_now_g if account else None,
            events=runs.events(tx, workload.id),
            strips=runs.strips(tx, workload.id),
            receipt=shown.receipt if shown else "",
            home=runs.home(tx, workload.id),
            run_now_operational_g=account.run_now_operational_g if account else None,
            windows=_windows(store.home / "runs", shown) if shown else (),
            spent=_spent(tx, attempts),
        )


def _windows(folders: Path, run: Run) -> tuple[Window, ...]:
    """What the program measured of itself; a file that a disk has damaged shows nothing, and changes no number."""
    try:
        return tuple(one for folder in folders_of(folders, run.id) for one in windows.read(folder.windows))
    except InvalidInput:
        return ()


def jobs(store: Store, limit: int = 200) -> tuple[JobRow, ...]:
    """Newest first."""
    with store.read() as tx:
        return tuple(_row(tx, run) for run in runs.newest(tx, limit))


def jobs_within(store: Store, organisation: str, limit: int) -> tuple[JobRow, ...]:
    """An organisation's, its projects' too, newest first."""
    with store.read() as tx:
        return tuple(_row(tx, run) for run in runs.newest_within(tx, organisation, limit))


def _spent(tx: Transaction, attempts: Sequence[Run]) -> Spent | None:
    accounts = [account for one in attempts if (account := runs.account(tx, one.id)) is not None]
    if not accounts:
        return None
    return Spent(
        len(attempts),
        total(account.footprint.energy_j for account in accounts),
        total(account.footprint.carbon_g for account in accounts),
        total(account.run_now_g for account in accounts),
    )


def _row(tx: Transaction, run: Run) -> JobRow:
    workload = runs.workload(tx, run.workload)
    plan = runs.newest_plan(tx, run.workload)
    spent = _spent(tx, (run,) if run.attempt == 1 else runs.attempts(tx, run.workload))
    assert workload is not None
    return JobRow(
        workload=workload.id,
        run=run.id,
        kind=workload.kind.value,
        command=workload.command,
        state=run.state.value,
        site=run.site,
        zone=run.zone,
        submitted_at=workload.submitted_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        attempt=run.attempt,
        slots=plan.slots if plan else (),
        energy_j=spent.energy_j if spent else None,
        carbon_g=spent.carbon_g if spent else None,
        run_now_g=spent.run_now_g if spent else None,
    )
