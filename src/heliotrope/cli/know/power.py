"""`helio power`: the limits and clocks of this machine; hold one while a command runs; put back what was left."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def power() -> None:
    """Limits in watts and clocks in megahertz: what there is, and holding one while a command runs."""


@power.command()
@shared_options
def show(context: Context) -> None:
    """Every knob here: where it stands, how low it goes, and whether you may turn it."""
    from heliotrope.measure.machine.system import System
    from heliotrope.measure.power import knobs

    found = [knobs.show(knob) for knob in knobs.find(System()).values()]
    if context.json:
        print_json({"knobs": found})
        return
    if not found:
        click.echo("no limit and no clock can be set here: a virtual machine's host keeps them, or no driver is loaded")
    for one in found:
        mark = click.style("yes", fg="green") if one.allowed else click.style("no ", fg="yellow")
        click.echo(f"{mark} {one.name:<18} {one.now:g} {one.unit}, down to {one.lowest:g}")
        if one.why:
            click.echo(f"    {one.why}; hint: {one.hint}")


@power.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--journal", type=FILE, help="Where what stood before is kept, if no daemon lends.")
@click.argument("knob")
@click.argument("level", type=float)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@shared_options
def hold(context: Context, journal: Path | None, knob: str, level: float, command: tuple[str, ...]) -> None:
    """Run a command under a limit: `helio power hold gpu0/limit 300 -- CMD`.

    What stood before stands again when it ends, also when it or this is killed.
    """
    from heliotrope.errors import InvalidInput
    from heliotrope.measure.machine.system import System
    from heliotrope.measure.power.lease import borrow

    lease = borrow(System(), journal=journal)
    try:
        lease.take(knob)
        stands = lease.set(knob, level)
        say(f"{knob} stands at {stands:g} until the command ends")
        try:
            code = subprocess.call(command)
        except OSError as error:
            raise InvalidInput("the command cannot be run", field="CMD", found=command[0], cause=str(error)) from error
    finally:
        lease.close()
    if context.json:
        print_json({"knob": knob, "level": stands, "exit_code": code})
    click.get_current_context().exit(128 - code if code < 0 else code)


@power.command()
@click.option("--journal", type=FILE, help="Where the keeper wrote.")
@shared_options
def restore(context: Context, journal: Path | None) -> None:
    """Put back what a killed keeper had set."""
    from heliotrope.measure.machine.system import System
    from heliotrope.measure.power import knobs
    from heliotrope.measure.power.keeper import Keeper
    from heliotrope.measure.power.lease import JOURNAL

    system = System()
    keeper = Keeper(knobs.find(system), journal or Path(system.path(JOURNAL)))
    keeper.close("nothing more to do")
    if context.json:
        print_json({"put_back": keeper.recovered})
    else:
        click.echo(f"put back: {', '.join(keeper.recovered) or 'nothing was left'}")
