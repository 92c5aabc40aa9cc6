"""What a run leaves when it is over: its hours, its bill and what its program told, all read before it is written."""

from __future__ import annotations

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.grid import Grid
from heliotrope.model import Run, SignalKind
from heliotrope.prove import Statement, run_statement
from heliotrope.prove.records import training
from heliotrope.run import accounting
from heliotrope.run.choosing.sharing import Case
from heliotrope.run.working import segments
from heliotrope.run.working.moving import note_of, state_folder
from heliotrope.store import Store
from heliotrope.store.runs import Account
from heliotrope.units import from_epoch


class Ending(msgspec.Struct, frozen=True):
    """`settled`: None where nothing was measured. `untold`: (event, why) of what should be known and is not."""

    run: Run
    settled: tuple[Account, Statement] | None
    untold: tuple[tuple[str, str], ...] = ()


def read(store: Store, run: Run, case: Case, grid: Grid, kind: SignalKind, marginal: SignalKind | None) -> Ending:
    """From the segments of an attempt that is over. `kind`, `marginal`: as `accounting.bill` takes them."""
    workload, fleet, clock = case.workload, case.fleet, case.clock
    home, folders = store.home, segments.of(store, run.id)
    untold, unread = [], False
    try:
        raw = accounting.measured(folders)
    except InvalidInput as error:
        # A journal that a disk has damaged must not keep the run from ending; that it is missing is told.
        raw, unread = None, True
        untold.append(("not measured", error.what))
    try:
        trail = training.read(state_folder(home, run.site, workload.id))
    except InvalidInput as error:
        trail = None
        untold.append(("training not read", error.what))
    if raw is not None:
        started_at, ended_at = from_epoch(clock.at(raw.start_s)), from_epoch(clock.at(raw.end_s))
        run = msgspec.structs.replace(run, started_at=started_at, ended_at=ended_at)
    else:
        run = msgspec.structs.replace(run, ended_at=from_epoch(case.now_s))
    device_s = accounting.held_s(raw, folders, workload) if raw is not None else 0.0
    way = note_of(home / "runs" / run.id)
    # What is not measured is not made of its transfer alone.
    if way is not None and (raw is not None or not unread):
        raw = accounting.with_transfer(raw, run.id, way, fleet)
    if raw is None:
        return Ending(run, None, tuple(untold))
    bill = accounting.bill(workload, raw, fleet.site(run.site), fleet, grid, clock, kind, marginal, device_s=device_s)
    statement = run_statement(
        workload,
        case.plan,
        run,
        bill.account.measurement,
        bill.account.footprint,
        bill.account.run_now_g,
        bill.signals,
        clock_factor=clock.factor,
        site=bill.site,
        home=bill.home,
        device_s=bill.device_s,
        training=trail,
    )
    return Ending(run, (bill.account, statement), tuple(untold))
