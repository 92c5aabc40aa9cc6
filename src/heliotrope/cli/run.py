"""`helio run`: work, when and where power is clean."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.elsewhere import at_option, house_at
from heliotrope.cli.foreign import foreign_options, taken_from, workloads_in
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.cli.telling import Progress, result, summary, when
from heliotrope.cli.work import settled, work_options, workload_of
from heliotrope.errors import UsageError
from heliotrope.units import show_duration

if TYPE_CHECKING:
    from heliotrope.model import Plan, Workload
    from heliotrope.run import Controller
    from heliotrope.run.people.client import Elsewhere
    from heliotrope.run.views import RunView

STOPPED = 130  # as a shell says of Ctrl-C
LOOK_S = 1.0  # of a house elsewhere: each look is a request


@click.command()
@work_options
@foreign_options
@click.option("--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="A variable; with --at, no others go.")
@click.option("--now", "at_once", is_flag=True, help="Run at once; still measured, compared and proven.")
@click.option("--faster", type=click.FloatRange(min=1), default=1.0, metavar="N", help="Run the clock N times as fast.")
@click.option("--detach", is_flag=True, help="Return when it is accepted; `helio up` runs it.")
@at_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@shared_options
def run(context: Context, command: tuple[str, ...], at: str | None, **told: Any) -> None:
    """Run COMMAND when and where power is clean; measure it; prove it.

    In place of COMMAND: a Kubernetes Job, a Ray entry point, a Slurm script with its arguments or a SkyPilot task. The
    exit code is the command's own. Ctrl-C cancels; a second Ctrl-C leaves it to itself.
    """
    form = taken_from(told)
    if not command and not form:
        raise UsageError(
            "nothing to run", hint="helio run -- COMMAND, or one of --manifest, --ray, --sbatch, --skypilot"
        )
    if at:
        if form:
            raise UsageError("files of other schedulers are read where the house is", hint="run it there, or a command")
        sys.exit(_run_elsewhere(context, at, command, told))
    from heliotrope.run import Controller

    controller = Controller(settled(context.settings, told))
    try:
        workloads = _workloads(controller, command, told)
        plans = [controller.submit(one, factor=told["faster"], at_once=told["at_once"])[0] for one in workloads]
        codes = []
        for workload, plan in zip(workloads, plans, strict=True):
            if STOPPED in codes:
                controller.cancel(workload.id)
            codes.append(_run_here(context, controller, workload, plan, detach=told["detach"]))
    finally:
        controller.close()
    sys.exit(next((code for code in codes if code), 0))


def _workloads(controller: Controller, command: tuple[str, ...], told: dict[str, Any]) -> list[Workload]:
    import msgspec

    if taken_from(told):
        found = workloads_in(controller, told, command)
        for note in dict.fromkeys(f"{asked.name}: {note}" for asked, _, _ in found for note in asked.notes):
            say(note)
        workloads = [workload for _, _, workload in found]
    else:
        past_s = controller.past_length_s(command, told["faster"])
        workloads = [workload_of(controller.settings, command, told, past_s, at_once=told["at_once"])]
    said = _variables(told["variables"])
    return [msgspec.structs.replace(one, environment=one.environment | said) for one in workloads]


def _variables(told: tuple[str, ...]) -> dict[str, str]:
    """`NAME` alone: as it is here."""
    found = {}
    for word in told:
        name, mark, value = word.partition("=")
        if not name or (not mark and name not in os.environ):
            raise UsageError(f"not a variable: {word}", hint="NAME=VALUE, or the NAME of one that is set here")
        found[name] = value if mark else os.environ[name]
    return found


def _run_here(context: Context, controller: Controller, workload: Workload, plan: Plan, *, detach: bool) -> int:
    _say_length(workload)
    if detach:
        _accepted(context, workload.id, plan)
        return 0
    from heliotrope.run.views import run_view

    progress = Progress(workload, plan)
    done = _patiently(
        workload.id,
        lambda: controller.follow(workload.id, progress.show).id,
        lambda: controller.cancel(workload.id),
        progress,
    )
    return STOPPED if done is None else _told(context, run_view(controller.store, done))


def _run_elsewhere(context: Context, at: str, command: tuple[str, ...], told: dict[str, Any]) -> int:
    """As a member: the house plans, its sites run it, this only asks how it stands."""
    from heliotrope.run.people.wire import Submission

    if told["fleet"] or told["zone"] or told["faster"] != 1:
        raise UsageError("fleet, zone and clock are the house's own", hint="leave --fleet, --zone and --faster out")
    workload = workload_of(context.settings, command, told, None, at_once=told["at_once"])
    environment = _variables(told["variables"])
    with house_at(at) as house:
        asked = Submission.of(workload, environment=environment, at_once=told["at_once"], key="")
        job = house.submit(asked).job
        _say_length(workload)
        view = house.show(job)
        assert view.plan is not None, "what was accepted is planned"
        if told["detach"]:
            _accepted(context, job, view.plan)
            return 0
        progress = Progress(view.workload, view.plan)
        done = _patiently(job, lambda: _followed(house, job, progress), lambda: house.cancel(job), progress)
        return STOPPED if done is None else _told(context, _with_receipt(context, house, house.show(done)))


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


def _patiently(job: str, follow: Callable[[], str], cancel: Callable[[], object], progress: Progress) -> str | None:
    """The run, when it is over; None where Ctrl-C was said twice."""
    try:
        done = follow()
    except KeyboardInterrupt:
        progress.end()
        say("cancelling; Ctrl-C again leaves it to itself")
        cancel()
        try:
            done = follow()
        except KeyboardInterrupt:
            say(f"left to itself: helio runs show {job}")
            return None
    progress.end()
    return done


def _say_length(workload: Workload) -> None:
    if workload.length.low_s < workload.length.high_s:
        say(f"length unknown: {show_duration(workload.length.high_s)} assumed; --length says it")


def _accepted(context: Context, job: str, plan: Plan) -> None:
    if context.json:
        print_json({"job": job, "site": plan.slots[0].site, "starts_at": plan.slots[0].start})
    else:
        click.echo(f"{job}: {when(plan)}; `helio up` runs it, `helio jobs` shows it")


def _told(context: Context, view: RunView) -> int:
    """Its result, and the command's own exit code."""
    run = view.run
    assert run is not None
    if context.json:
        print_json(result(view))
    else:
        summary(view)
    if run.exit_code is None:
        return STOPPED if run.state.value == "cancelled" else 1
    return run.exit_code if run.exit_code >= 0 else 128 - run.exit_code
