"""`helio site`: let sites elsewhere take part, and be one."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.units import parse_duration_s

if TYPE_CHECKING:
    from heliotrope.run.agents.agent import Agent


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

    from heliotrope import fleet as fleets
    from heliotrope.run.agents.office import Office
    from heliotrope.store import Store

    settings = context.settings
    loaded = fleets.load(fleet or settings.fleet, zone=settings.zone)
    office = Office(Store.of(settings), settings.home_path, loaded, settings.agents)
    made = office.token(name, valid_s=parse_duration_s(valid, field="--valid"), now_s=time.time())
    if context.json:
        print_json({"site": name, "token": made})
    else:
        click.echo(made)


@site.command()
@click.argument("url")
@click.option("--token", metavar="TOKEN", help="From `helio site token`; needed the first time.")
@click.option("--engine", default="local", show_default=True, help="What runs things here.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="Of the engine, as in a fleet file.")
@shared_options
def join(context: Context, url: str, token: str | None, engine: str, options: tuple[str, ...]) -> None:
    """Start an agent: it asks URL for work, runs it here, and reports. Nothing here listens.

    Its home is --home: give it one of its own. It goes on with what it has when it is cut off; Ctrl-C stops the agent
    and leaves what runs running.
    """
    from heliotrope.run.agents.agent import Agent
    from heliotrope.run.agents.agent import join as joined_by
    from heliotrope.run.agents.here import this_site

    here = this_site(context.settings.zone, engine, options)
    home = context.settings.home_path
    if token:
        met = asyncio.run(joined_by(home, url, token, here))
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
@click.option("--tier", type=click.Choice(["edge", "regional", "central"]), default="edge", show_default=True)
@shared_options
def init(context: Context, name: str, zone: str | None, tier: str) -> None:
    """Write the description of this site, from what is found here, as a part of a fleet file."""
    from heliotrope.run.agents.here import described

    found = described(name, zone or context.settings.zone, tier)
    if context.json:
        print_json(found.site)
    else:
        click.echo(found.text, nl=False)
