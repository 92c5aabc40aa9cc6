"""`helio submit`: work that was written for another scheduler, taken as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.foreign import foreign_options, taken_from, workloads_in
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.cli.work import settled, work_options
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.model import Plan, Workload
    from heliotrope.run.imports.asked import Asked


@click.command()
@work_options
@foreign_options
@click.option("--now", "at_once", is_flag=True, help="Plan it for now.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@shared_options
def submit(context: Context, arguments: tuple[str, ...], **told: Any) -> None:
    """Submit a Slurm script with its ARGUMENTS, Kubernetes Jobs, a Ray job or a SkyPilot task; `helio up` runs it.

    What the file asks for and nothing here can keep is refused, or named on stderr, by its path. As with sbatch a
    script is copied now, so that a later edit changes nothing. Arrays and completions become a job for each index.
    """
    from heliotrope.run import Controller

    if not taken_from(told):
        raise UsageError("one file is submitted", hint="say one of --sbatch, --manifest, --ray and --skypilot")
    controller = Controller(settled(context.settings, told))
    try:
        workloads = workloads_in(controller, told, arguments)
        for note in dict.fromkeys(f"{asked.name}: {note}" for asked, _, _ in workloads for note in asked.notes):
            say(note)
        for asked, index, workload in workloads:
            plan, _ = controller.submit(workload, at_once=told["at_once"])
            _say(context, asked, workload, plan, index)
    finally:
        controller.close()


def _say(context: Context, asked: Asked, workload: Workload, plan: Plan, index: int | None) -> None:
    first = plan.slots[0]
    if context.json:
        print_json(
            {
                "job": workload.id,
                "name": asked.name,
                "task": index,
                "site": first.site,
                "starts_at": first.start,
                "notes": asked.notes,
            }
        )
    else:
        task = "" if index is None else f", task {index}"
        click.echo(f"{workload.id}: {asked.name}{task}, {first.site}, {first.start:%a %d %b %H:%M} UTC")
