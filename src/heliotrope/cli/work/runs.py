"""`helio runs show`: one run, whole."""

from __future__ import annotations

import click

from heliotrope.cli.elsewhere import at_option, house_at
from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.cli.telling import result
from heliotrope.units import from_epoch, show_carbon, show_energy, show_water


@click.group()
def runs() -> None:
    """Show one run: plan, energy, carbon, receipt."""


@runs.command()
@click.argument("name")
@click.option("--html", metavar="FILE", help="Also write it as a page of its own.")
@at_option
@shared_options
def show(context: Context, name: str, html: str | None, at: str | None) -> None:
    """Show the run (or job) NAME."""
    import msgspec

    if at:
        with house_at(at) as house:
            view = house.show(name)
    else:
        from heliotrope.run.views import run_view
        from heliotrope.store import Store

        view = run_view(Store.of(context.settings), name)
    if html:
        from pathlib import Path

        from heliotrope.web.pages.html import run_page

        Path(html).write_text(run_page(view), encoding="utf-8")
    if context.json:
        # The environment can hold secrets: it is stored to run the command, and shown to nobody.
        shown = msgspec.structs.replace(view, workload=msgspec.structs.replace(view.workload, environment={}))
        print_json(result(view) | msgspec.to_builtins(shown))
        return
    run, plan, footprint = view.run, view.plan, view.footprint
    assert run is not None
    click.echo(f"{run.id}  {run.state.value}" + (f" ({run.reason})" if run.reason else ""))
    click.echo(f"  command  {' '.join(view.workload.command)}")
    click.echo(f"  site     {run.site}, zone {run.zone}, attempt {run.attempt}")
    if plan is not None:
        for slot in plan.slots:
            click.echo(f"  planned  {slot.site}, {slot.start:%a %d %b %H:%M} to {slot.end:%a %d %b %H:%M} UTC")
        for other in plan.alternatives:
            more = f"{show_carbon(other.more_carbon_g)} more" if other.more_carbon_g is not None else "refused"
            click.echo(f"  instead  {other.name}: {more}; {other.reason}")
    if footprint is not None:
        rows = (
            ("energy", footprint.energy_j, show_energy),
            ("operation", footprint.carbon_operational_g, show_carbon),
            ("embodied", footprint.carbon_embodied_g, show_carbon),
            ("water", footprint.water_l, show_water),
            ("cost", footprint.cost, lambda v: f"{v:.2g} {footprint.currency}"),
        )
        for label, value, as_text in rows:
            click.echo(
                f"  {label:9}{as_text(value.value)}  ({as_text(value.low)} to {as_text(value.high)}, "
                f"{value.provenance.value})"
            )
        for flag in footprint.flags:
            click.echo(f"  note     {flag}")
    if view.spent is not None and view.spent.attempts > 1:
        whole = view.spent
        click.echo(
            f"  in all   {whole.attempts} attempts: {show_energy(whole.energy_j.value)}, "
            f"{show_carbon(whole.carbon_g.value)}; run now {show_carbon(whole.run_now_g.value)}"
        )
    for event in view.events:
        click.echo(
            f"  {from_epoch(event.at_s):%d %b %H:%M:%S}  {event.name}" + (f": {event.text}" if event.text else "")
        )
    if run.receipt:
        click.echo(f"  receipt  {run.receipt}")
