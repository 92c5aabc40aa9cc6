"""`helio jobs` and `helio cancel`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from heliotrope.cli.elsewhere import at_option, house_at
from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import show_carbon, show_energy

if TYPE_CHECKING:
    from heliotrope.model import Run

LOOK_S = 1.0  # of a house elsewhere: each look is a request


@click.command()
@at_option
@shared_options
def jobs(context: Context, at: str | None) -> None:
    """List what was submitted and how it stands, newest first."""
    if at:
        with house_at(at) as house:
            rows = house.jobs()
    else:
        from heliotrope.run import views
        from heliotrope.store import Store

        rows = views.jobs(Store.of(context.settings))
    if context.json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        click.echo("nothing was submitted yet; helio run -- COMMAND")
        return
    click.echo(
        f"{'job':14} {'state':10} {'site':12} {'zone':12} {'starts (UTC)':13} {'energy':>9} {'carbon':>9}  command"
    )
    for row in rows:
        starts = row.started_at or (row.slots[0].start if row.slots else None)
        when = f"{starts:%d %b %H:%M}" if starts else ""
        energy = show_energy(row.energy_j.value) if row.energy_j else ""
        carbon = show_carbon(row.carbon_g.value) if row.carbon_g else ""
        words = " ".join(row.command)
        click.echo(
            f"{row.workload:14} {row.state:10} {row.site:12} {row.zone:12} {when:13} {energy:>9} {carbon:>9}  "
            + (words if len(words) < 40 else words[:39] + "…")
        )


@click.command()
@click.argument("job")
@at_option
@shared_options
def cancel(context: Context, job: str, at: str | None) -> None:
    """Cancel JOB (its name, or its run's); what it used so far is still recorded."""
    run = _cancelled_at(at, job) if at else _cancelled_here(context, job)
    if context.json:
        print_json({"run": run.id, "state": run.state.value, "receipt": run.receipt or None})
    else:
        click.echo(f"{run.state.value}: {run.id}")


def _cancelled_here(context: Context, job: str) -> Run:
    from heliotrope.run import Controller

    controller = Controller(context.settings)
    try:
        controller.cancel(job)
        # Where no other controller acts, this one does until it is over.
        return controller.follow(controller.workload_id(job), lambda *_: None)
    finally:
        controller.close()


def _cancelled_at(at: str, job: str) -> Run:
    with house_at(at) as house:
        house.cancel(job)
        while True:
            run = house.show(job).run
            assert run is not None
            if run.state.ended:
                return run
            time.sleep(LOOK_S)
