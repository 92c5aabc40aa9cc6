"""`helio run`: work, when and where power is clean."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.elsewhere import at_option
from heliotrope.cli.shared import Context, shared_options
from heliotrope.cli.telling import STOPPED, Progress, accepted, patiently, say_length, told_of
from heliotrope.cli.work.foreign import foreign_options, say_notes, taken_from, taken_here
from heliotrope.cli.work.options import settled, work_options, workload_of
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Plan, Workload
    from heliotrope.run import Controller


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
    if not command and not taken_from(told):
        raise UsageError(
            "nothing to run", hint="helio run -- COMMAND, or one of --manifest, --ray, --sbatch, --skypilot"
        )
    if at:
        from heliotrope.cli.work.runat import run_at

        sys.exit(run_at(context, at, command, told, _variables(told["variables"])))
    from heliotrope.run import Controller

    controller = Controller(settled(context.settings, told))
    try:
        workloads = _workloads(controller, command, told)
        plans = [controller.submit(one, factor=told["faster"], at_once=told["at_once"])[0] for one in workloads]
        codes = []
        for workload, plan in zip(workloads, plans, strict=True):
            if STOPPED in codes and not _is_over(controller, workload.id):
                controller.cancel(workload.id)
            codes.append(_run_here(context, controller, workload, plan, detach=told["detach"]))
    finally:
        controller.close()
    sys.exit(next((code for code in codes if code), 0))


def _workloads(controller: Controller, command: tuple[str, ...], told: dict[str, Any]) -> list[Workload]:
    import msgspec

    if taken_from(told):
        found = taken_here(controller, told, command)
        say_notes(found)
        workloads = [one.workload for one in found]
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


def _is_over(controller: Controller, job: str) -> bool:
    from heliotrope.run.views import run_view

    run = run_view(controller.store, job).run
    return run is not None and run.state.ended


def _run_here(context: Context, controller: Controller, workload: Workload, plan: Plan, *, detach: bool) -> int:
    say_length(workload)
    if detach:
        accepted(context, workload.id, plan)
        return 0
    from heliotrope.run.views import run_view

    progress = Progress(workload, plan)
    done = patiently(
        workload.id,
        lambda: controller.follow(workload.id, progress.show).id,
        lambda: controller.cancel(workload.id),
        progress,
    )
    return STOPPED if done is None else told_of(context, run_view(controller.store, done))
