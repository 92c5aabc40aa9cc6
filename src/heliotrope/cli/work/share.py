"""`helio share`: who has what of the fleet, whose turn is next, and why others wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import show_carbon, show_energy

if TYPE_CHECKING:
    from heliotrope.run.choosing.sharing import Member


@click.command()
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@shared_options
def share(context: Context, fleet: str | None) -> None:
    """Who has what of the fleet and why; whoever has a turn next comes first.

    Energy and carbon fade with age; lent less borrowed counts in their favour. Quotas are of the last 24 hours.
    """
    from heliotrope import fleet as fleets
    from heliotrope.run.choosing.sharing import members
    from heliotrope.store import Store

    loaded = fleets.load(fleet or context.settings.fleet, zone=context.settings.zone)
    found = members(Store.of(context.settings), loaded)
    if context.json:
        for member in found:
            print_json(member)
        return
    if not found:
        click.echo("nobody shares: the fleet file names no [[organisation]], and nothing runs or waits")
        return
    click.echo(
        f"{'organisation':16} {'owns':24} {'own':>5} {'borrows':>8} {'lends':>6} {'used':>10} {'carbon':>10} "
        f"{'credit':>10}  waits"
    )
    for member in found:
        _row(member)


def _row(member: Member) -> None:
    organisation, standing = member.organisation, member.standing
    owns = ", ".join(f"{part:.0%} of {site}" for site, part in organisation.owns.items())
    name = organisation.name + (" (reserved)" if organisation.reserved else "")
    credit = ("-" if standing.credit_j < 0 else "") + show_energy(abs(standing.credit_j))
    click.echo(
        f"{name:16} {owns or 'nothing':24} {sum(member.own.values()):5} {sum(member.borrowed.values()):8} "
        f"{member.lent:6.4g} {show_energy(standing.energy_j):>10} {show_carbon(standing.carbon_g):>10} {credit:>10}  "
        f"{len(member.waiting) or ''}"
    )
    for waiting in member.waiting:
        click.echo(f"  {waiting.run} wants {waiting.devices} at {waiting.site}: {waiting.why}")
