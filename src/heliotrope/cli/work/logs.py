"""`helio logs`: what a run says, wherever it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from heliotrope.cli.elsewhere import at_option, house_at
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.units import show_duration

if TYPE_CHECKING:
    from heliotrope.run.working.logs import Said

PATIENCE_S = 10.0  # for a site's agent, that asks every second or so


@click.command()
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run is over.")
@at_option
@shared_options
def logs(context: Context, name: str, follow: bool, at: str | None) -> None:
    """Show what the run (or job) NAME said: the end of it, and with --follow what comes.

    What runs at a site elsewhere is fetched by its agent. Where that does not answer, what it sent last is shown, and
    on stderr how old that is. With --json one object a piece.
    """
    from heliotrope.run.working import logs as kept

    def show(said: Said) -> None:
        if context.json:
            print_json(said)
        else:
            sys.stdout.write(said.text)
            sys.stdout.flush()

    if at:
        with house_at(at) as house:
            last = kept.follow(lambda after: house.log(name, after), show, to_its_end=follow, patience_s=PATIENCE_S)
    else:
        from heliotrope.store import Store

        store = Store.of(context.settings)
        last = kept.follow(lambda after: kept.read(store, name, after), show, to_its_end=follow, patience_s=PATIENCE_S)
    if last.age_s is None:
        say(f"{last.site} did not send what it said: its agent does not answer, or nothing was begun there")
    elif last.age_s > PATIENCE_S:
        say(f"{last.site} was last heard {show_duration(last.age_s)} ago: this is how it was then")
    elif not last.size and not context.json:
        say(f"{last.run} is {last.state} and said nothing" if last.over else f"{last.run} is {last.state}: nothing yet")
