"""`helio member` and `helio refused`: who may ask from elsewhere, and who was turned away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.units import from_epoch, parse_duration_s

if TYPE_CHECKING:
    from heliotrope.run.people.members import Members

ROLES = ("member", "operator", "auditor")


def _members(context: Context) -> Members:
    from heliotrope.run.people.members import Members
    from heliotrope.store import Store

    return Members(Store.of(context.settings))


@click.group()
def member() -> None:
    """Members of organisations, who ask this house from elsewhere.

    Whoever owns this home needs no membership: its files are theirs.
    """


@member.command()
@click.argument("name")
@click.option("--organisation", required=True, metavar="ORG", help="Whose work it is; ORG/PROJECT for one project.")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="member",
    show_default=True,
    help="member: submits, reads, cancels its own. operator: cancels its organisation's. auditor: sees what was used.",
)
@click.option("--valid", metavar="TIME", default="90d", show_default=True, help="For how long its token holds.")
@shared_options
def add(context: Context, name: str, organisation: str, role: str, valid: str) -> None:
    """Let NAME in, and print its token, once: only what it hashes to is kept."""
    from heliotrope.run.people.policy import Role

    token = _members(context).add(name, organisation, Role(role), valid_s=_valid_s(valid), now_s=time.time())
    _shown(context, name, organisation, role, token)


@member.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="Another role from now on.")
@click.option("--valid", metavar="TIME", default="90d", show_default=True, help="For how long its token holds.")
@shared_options
def renew(context: Context, name: str, role: str | None, valid: str) -> None:
    """Give NAME a new token, also after it was revoked; the old one means nothing from now on."""
    from heliotrope.run.people.policy import Role

    token, found = _members(context).renew(
        name, Role(role) if role else None, valid_s=_valid_s(valid), now_s=time.time()
    )
    _shown(context, name, found.organisation, found.role, token)


def _valid_s(text: str) -> float:
    from heliotrope.errors import InvalidInput

    valid_s = parse_duration_s(text, field="--valid")
    if valid_s <= 0:
        raise InvalidInput("it would never hold", field="--valid", found=text, allowed="more than 0s")
    return valid_s


def _shown(context: Context, name: str, organisation: str, role: str, token: str) -> None:
    if context.json:
        print_json({"name": name, "organisation": organisation, "role": role, "token": token})
    else:
        click.echo(token)
        say(f"{name}, {role} of {organisation}: HELIO_TOKEN is to hold this; it is not shown again")


@member.command()
@click.argument("name")
@shared_options
def revoke(context: Context, name: str) -> None:
    """Take NAME's token back, at once. What it submitted goes on."""
    found = _members(context).revoke(name, now_s=time.time())
    if context.json:
        print_json(found)
    else:
        click.echo(f"{found.name} of {found.organisation}: revoked")


@member.command(name="list")
@shared_options
def list_(context: Context) -> None:
    """Who there is, and whether their token still holds."""
    found = _members(context).all()
    if context.json:
        for one in found:
            print_json(one)
        return
    if not found:
        click.echo("nobody: helio member add NAME --organisation ORG")
        return
    now_s = time.time()
    click.echo(f"{'name':20} {'organisation':20} {'role':9} token")
    for one in found:
        if one.revoked_s is not None:
            holds = f"revoked {from_epoch(one.revoked_s):%d %b %Y}"
        else:
            holds = (
                f"{'holds until' if one.expires_s > now_s else 'too old since'} {from_epoch(one.expires_s):%d %b %Y}"
            )
        click.echo(f"{one.name:20} {one.organisation:20} {one.role:9} {holds}")


@click.command()
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most so many.")
@shared_options
def refused(context: Context, last: int) -> None:
    """Who was turned away and why: members, strangers, agents, readings that cannot be; the last first."""
    from heliotrope.store import Store, people

    with Store.of(context.settings).read() as tx:
        found = people.refusals(tx, last)
    if context.json:
        for one in found:
            print_json(one)
        return
    if not found:
        click.echo("nobody was turned away")
        return
    click.echo(f"{'last (UTC)':16} {'times':>5}  {'who':16} {'from':16} {'wanted to':18} {'of':20} why")
    for one in found:
        click.echo(
            f"{from_epoch(one.last_s):%d %b %H:%M:%S}  {one.times:5}  {one.who or 'nobody known':16} "
            f"{one.address or 'here':16} {one.act.replace('_', ' '):18} {one.object:20} {one.why}"
        )
