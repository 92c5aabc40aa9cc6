"""`helio doctor`: what can be measured here, what cannot, and the command that would change it."""

from __future__ import annotations

import click

from heliotrope.cli.shared import Context, print_json, shared_options


@click.command()
@shared_options
def doctor(context: Context) -> None:
    """What can be measured here, and what would change it."""
    from heliotrope.measure import probe

    probes = probe()
    zone = context.settings.zone
    if context.json:
        print_json({"meters": [one._asdict() for one in probes], "zone": zone or None, "home": context.settings.home})
        return
    for one in probes:
        mark = click.style("yes", fg="green") if one.available else click.style("no ", fg="yellow")
        click.echo(f"{mark} {one.meter:<11} {', '.join(one.domains)}")
        if one.why:
            click.echo(f"    {one.why}")
        if one.hint:
            click.echo(f"    hint: {one.hint}")
    if zone:
        click.echo(f"{click.style('yes', fg='green')} grid zone   {zone}")
    else:
        click.echo(
            f"{click.style('no ', fg='yellow')} grid zone   unknown: carbon is given as the span of all countries"
        )
        home = context.settings.home
        click.echo(f"    hint: mkdir -p {home}; echo 'zone = \"DE\"' >> {home}/config.toml   # your country's code")
