"""`helio site`: let sites elsewhere take part, and be one."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import UsageError
from heliotrope.units import parse_duration_s, show_duration

if TYPE_CHECKING:
    from heliotrope.run.agents.house.office import Office
    from heliotrope.run.agents.site.agent import Agent


@click.group()
def site() -> None:
    """Sites elsewhere: let one in, join, and describe what is here."""


@site.command()
@click.argument("name")
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@click.option("--valid", metavar="TIME", default="1h", show_default=True, help="For how long it lets somebody in.")
@shared_options
def token(context: Context, name: str, fleet: str | None, valid: str) -> None:
    """Make a token that lets one agent in as site NAME, once."""
    import time

    made = _office(context, fleet).token(name, valid_s=parse_duration_s(valid, field="--valid"), now_s=time.time())
    if context.json:
        print_json({"site": name, "token": made})
    else:
        click.echo(made)


def _office(context: Context, fleet: str | None) -> Office:
    from heliotrope import fleet as fleets
    from heliotrope.run.agents.house.office import Office
    from heliotrope.store import Store

    settings = context.settings
    loaded = fleets.load(fleet or settings.fleet, zone=settings.zone)
    return Office(Store.of(settings), loaded, settings.agents)


@site.command()
@click.argument("url")
@click.option("--token", metavar="TOKEN", help="From `helio site token`; needed the first time.")
@click.option("--ca", metavar="FILE", type=click.Path(path_type=Path), help="Believe this authority (PEM) alone.")
@click.option("--engine", default="local", show_default=True, help="What runs things here.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="Of the engine, as in a fleet file.")
@shared_options
def join(context: Context, url: str, token: str | None, ca: Path | None, engine: str, options: tuple[str, ...]) -> None:
    """Start an agent: it asks URL for work, runs it here, and reports. Nothing here listens.

    Its home is --home: give it one of its own. It goes on with what it has when it is cut off; Ctrl-C stops the agent
    and leaves what runs running.
    """
    from heliotrope.run.agents.site.agent import Agent
    from heliotrope.run.agents.site.agent import join as joined_by
    from heliotrope.run.agents.site.here import this_site
    from heliotrope.tls import authority

    here = this_site(context.settings.zone, engine, options)
    home = context.settings.home_path
    if any((home / file).exists() for file in ("helio.db", "store")):
        raise UsageError(
            f"{home} is the home of a house, with work of its own",
            hint=f"give the agent another: helio site join {url} --home ~/.heliotrope-agent …",
        )
    if token:
        met = asyncio.run(joined_by(home, url, token, here, authority(ca) if ca else ""))
        say(f"joined as {met.site}")
    agent = Agent(home, here, say)
    asyncio.run(_until_told(agent, as_json=context.json))


async def _until_told(agent: Agent, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if as_json:
        print_json({"site": agent.membership.site, "url": agent.membership.url})
    await agent.run(stop)


@site.command()
@click.option("--name", default="here", show_default=True, help="What the site is to be called.")
@click.option("--zone", metavar="ZONE", help="Its grid zone.")
@click.option("--tier", type=click.Choice(["edge", "regional", "central"]), help="Else by what is found.")
@shared_options
def init(context: Context, name: str, zone: str | None, tier: str | None) -> None:
    """Write the description of this site, from what is found here, as a part of a fleet file."""
    from heliotrope.run.agents.site.here import described

    found = described(name, zone or context.settings.zone, tier)
    if context.json:
        print_json(found.site)
    else:
        click.echo(found.text, nl=False)
        say(
            f"append this to the house's fleet file; there, `helio site token {found.site.name}` prints a token, "
            "and here `helio site join URL --token TOKEN` takes part"
        )


@site.command()
@shared_options
def agents(context: Context) -> None:
    """Whose agents were let in, and when each was last heard."""
    from heliotrope.run.agents.house.office import present
    from heliotrope.store import Store

    found = present(Store.of(context.settings))
    if context.json:
        for one in found:
            print_json(one)
        return
    if not found:
        click.echo("none: helio site token NAME lets one in")
        return
    click.echo(f"{'site':16} {'heard':>10}  {'lease':>8}  believed")
    for one in found:
        click.echo(
            f"{one.site:16} {show_duration(one.silent_s):>10}  {show_duration(one.lease_s):>8}  "
            + ("yes" if one.believed else "no: shut out until a token lets one in")
        )


@site.command(name="shut-out")
@click.argument("name")
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@shared_options
def shut_out(context: Context, name: str, fleet: str | None) -> None:
    """Believe the agent of site NAME no more, as when its key was stolen; another token lets one in."""
    _office(context, fleet).shut_out(name)
    if context.json:
        print_json({"site": name, "believed": False})
    else:
        click.echo(f"{name}: shut out; what runs there is given up when its lease is over")
