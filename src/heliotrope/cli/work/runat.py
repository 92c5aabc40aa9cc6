"""`helio run --at URL`: as a member of a house elsewhere, which plans and runs it; this asks how it stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from heliotrope.cli.elsewhere import house_at
from heliotrope.cli.shared import Context
from heliotrope.cli.telling import STOPPED, Progress, accepted, patiently, say_length, told_of
from heliotrope.cli.work.foreign import say_notes, submission, taken_elsewhere, taken_from
from heliotrope.cli.work.options import workload_of
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Workload
    from heliotrope.run.people.client import Elsewhere
    from heliotrope.run.people.wire import Submission
    from heliotrope.run.views import RunView

LOOK_S = 1.0  # each look is a request


def run_at(context: Context, at: str, command: tuple[str, ...], told: dict[str, Any], variables: dict[str, str]) -> int:
    """The exit code: the first that is not 0, where a file holds several jobs."""
    if told["fleet"] or told["zone"] or told["faster"] != 1:
        raise UsageError("fleet, zone and clock are the house's own", hint="leave --fleet, --zone and --faster out")
    codes: list[int] = []
    with house_at(at) as house:
        jobs = [(work, house.submit(asked).job) for work, asked in _asked(context, command, told, variables)]
        for workload, job in jobs:
            run = house.show(job).run
            if STOPPED in codes and run is not None and not run.state.ended:
                house.cancel(job)
            codes.append(_one(context, house, workload, job, detach=told["detach"]))
    return next((code for code in codes if code), 0)


def _asked(
    context: Context, command: tuple[str, ...], told: dict[str, Any], variables: dict[str, str]
) -> list[tuple[Workload, Submission]]:
    from heliotrope.run.people.wire import Submission

    if taken_from(told):
        taken = taken_elsewhere(context.settings, told, command)
        say_notes(taken)
        return [(one.workload, submission(one, variables, at_once=told["at_once"])) for one in taken]
    work = workload_of(context.settings, command, told, None, at_once=told["at_once"])
    return [(work, Submission.of(work, environment=variables, at_once=told["at_once"]))]


def _one(context: Context, house: Elsewhere, workload: Workload, job: str, *, detach: bool) -> int:
    say_length(workload)
    view = house.show(job)
    assert view.plan is not None, "what was accepted is planned"
    if detach:
        accepted(context, job, view.plan)
        return 0
    progress = Progress(view.workload, view.plan)
    done = patiently(job, lambda: _followed(house, job, progress), lambda: house.cancel(job), progress)
    return STOPPED if done is None else told_of(context, _with_receipt(context, house, house.show(done)))


def _with_receipt(context: Context, house: Elsewhere, view: RunView) -> RunView:
    """Fetched, so that it can be checked here whatever becomes of the house."""
    import msgspec

    from heliotrope.files import write_whole
    from heliotrope.prove.records.receipt import record_path

    if view.run is None or not view.run.receipt:
        return view
    path = context.settings.home_path / "receipts" / f"{view.run.id}.proof"
    receipt = house.receipt(view.run.id)
    write_whole(record_path(path), receipt.record.encode())
    write_whole(path, receipt.proof.encode())
    return msgspec.structs.replace(view, run=msgspec.structs.replace(view.run, receipt=str(path)))


def _followed(house: Elsewhere, job: str, progress: Progress) -> str:
    while True:
        view = house.show(job)
        run = view.run
        assert run is not None
        assert view.plan is not None
        progress.show(run, view.plan, time.time())
        if run.state.ended and (view.footprint is None or run.receipt):
            return run.id
        time.sleep(LOOK_S)
