"""`helio submit`: work that was written for another scheduler, taken as it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from heliotrope.cli.elsewhere import at_option, house_at
from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.cli.work.foreign import (
    Taken,
    foreign_options,
    say_notes,
    submission,
    taken_elsewhere,
    taken_from,
    taken_here,
)
from heliotrope.cli.work.options import settled, work_options
from heliotrope.errors import UsageError


@click.command()
@work_options
@foreign_options
@click.option("--now", "at_once", is_flag=True, help="Plan it for now.")
@at_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@shared_options
def submit(context: Context, arguments: tuple[str, ...], at: str | None, **told: Any) -> None:
    """Submit a Slurm script with its ARGUMENTS, Kubernetes Jobs, a Ray job or a SkyPilot task; `helio up` runs it.

    What the file asks for and nothing here can keep is refused, or named on stderr, by its path. As with sbatch a
    script is copied now, so that a later edit changes nothing. Arrays and completions become a job for each index.
    """
    if not taken_from(told):
        raise UsageError("one file is submitted", hint="say one of --sbatch, --manifest, --ray and --skypilot")
    if at:
        _submit_at(context, at, arguments, told)
    else:
        _submit_here(context, arguments, told)


def _submit_here(context: Context, arguments: tuple[str, ...], told: dict[str, Any]) -> None:
    from heliotrope.run import Controller

    controller = Controller(settled(context.settings, told))
    try:
        taken = taken_here(controller, told, arguments)
        say_notes(taken)
        for one in taken:
            plan, _ = controller.submit(one.workload, at_once=told["at_once"])
            _say(context, one, one.workload.id, plan.slots[0].site, plan.slots[0].start)
    finally:
        controller.close()


def _submit_at(context: Context, at: str, arguments: tuple[str, ...], told: dict[str, Any]) -> None:
    taken = taken_elsewhere(context.settings, told, arguments)
    say_notes(taken)
    with house_at(at) as house:
        for one in taken:
            accepted = house.submit(submission(one, {}, at_once=told["at_once"]))
            _say(context, one, accepted.job, accepted.site, accepted.starts_at)


def _say(context: Context, one: Taken, job: str, site: str, starts_at: datetime) -> None:
    if context.json:
        print_json(
            {
                "job": job,
                "name": one.asked.name,
                "task": one.index,
                "site": site,
                "starts_at": starts_at,
                "notes": one.asked.notes,
            }
        )
    else:
        task = "" if one.index is None else f", task {one.index}"
        click.echo(f"{job}: {one.asked.name}{task}, {site}, {starts_at:%a %d %b %H:%M} UTC")
