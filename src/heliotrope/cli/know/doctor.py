"""`helio doctor`: what can be measured here, what cannot, and the command that would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, shared_options

if TYPE_CHECKING:
    from heliotrope.measure import Probe

INDENT = " " * 14


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
    _section("Works here", [one for one in probes if one.available and one.domains])
    _section("Works when it is asked for", [one for one in probes if one.available and not one.domains])
    _section("Does not work here", [one for one in probes if not one.available])
    click.echo("Grid zone")
    if zone:
        click.echo(f"  {zone}")
    else:
        home = context.settings.home
        click.echo("  unknown: carbon is given as the span of all countries")
        click.echo(f"  → mkdir -p {home}; echo 'zone = \"DE\"' >> {home}/config.toml   # your country's code")


def _section(title: str, probes: list[Probe]) -> None:
    """What to do is never wrapped: it is copied."""
    if not probes:
        return
    click.echo(title)
    for one in probes:
        told = [", ".join(one.domains), one.why]
        text = "\n\n".join(part for part in told if part)
        wrapped = click.wrap_text(text, 80, INDENT, INDENT, preserve_paragraphs=True).replace("\n\n", "\n")
        click.echo(f"  {one.meter:<11} {wrapped[len(INDENT) :]}")
        if one.hint:
            click.echo(f"{INDENT}→ {one.hint}")
    click.echo()
