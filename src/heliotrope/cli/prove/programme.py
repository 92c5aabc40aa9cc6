"""`helio claims declare|seeds|estimate`: how a programme begins, who draws, and what it has earned so far."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from heliotrope.cli.prove.log import open_ledger
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import InvalidInput
from heliotrope.units import epoch_s, parse_instant, show_carbon

if TYPE_CHECKING:
    from heliotrope.prove import Ledger
    from heliotrope.prove.claims.assess import Assessment

METHOD = "heliotrope/shift-with-holdouts/v1"
_PERCENT = 100  # parts in ten thousand


@click.command()
@shared_options
@click.argument("programme")
@click.option("--method", default=METHOD, show_default=True, help="By what the saving is made.")
@click.option(
    "--holdout", type=click.FloatRange(5, 50), default=20.0, show_default=True, help="Percent that run at once."
)
@click.option("--leakage", type=click.FloatRange(0, 100), required=True, help="Percent that turn up elsewhere.")
@click.option("--reason", required=True, help="Why the leakage is that.")
@click.option(
    "--auditor", "auditors", multiple=True, metavar="'NAME COMMITMENT'",
    help="Who draws, as `helio claims seeds` prints it there; may be repeated. Without it: this home's own seeds.",
)  # fmt: skip
def declare(
    context: Context,
    programme: str,
    method: str,
    holdout: float,
    leakage: float,
    reason: str,
    auditors: tuple[str, ...],
) -> None:
    """Declare PROGRAMME in the log, once, before its first job; then set claims.programme to its name."""
    from heliotrope.prove.claims.evidence import Programme
    from heliotrope.prove.claims.programme import Office
    from heliotrope.prove.claims.seeds.keeper import Keeper

    commitments = dict(_commitment(text) for text in auditors)
    if not auditors:
        keeper = Keeper(context.settings.home_path)
        commitments = {keeper.name: keeper.commitment(programme).hex()}
    shares = {"holdout": round(holdout * _PERCENT), "leakage": round(leakage * _PERCENT)}
    told = {"name": programme, "method": method, "leakage_reason": reason, "commitments": commitments} | shares
    try:
        declared = msgspec.convert(told, Programme)
    except msgspec.ValidationError as error:
        raise InvalidInput("not a programme", cause=str(error)) from error
    ledger = open_ledger(context)
    index = Office(ledger, programme).declare(declared)
    ledger.publish()
    if context.json:
        print_json({"index": index, "programme": declared})
        return
    say(f"{programme}: declared in entry {index}; {holdout:g} % of its jobs will be drawn to run at once")
    if not auditors:
        say("note: drawn from this home's own seeds, which convinces nobody else; name auditors with --auditor")


@click.command()
@shared_options
@click.argument("programme")
@click.option("--name", default="", help="The name of this auditor; kept from then on.")
@click.option("--serve", is_flag=True, help="Hand seeds out over HTTP, each for a close that --vkeys proves.")
@click.option("--vkeys", type=click.Path(path_type=Path), help="The keys of the log whose closes count.")
@click.option("--quorum", type=click.IntRange(min=0), default=0, help="Witnesses that must have cosigned.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
def seeds(
    context: Context, programme: str, name: str, serve: bool, vkeys: Path | None, quorum: int, host: str, port: int
) -> None:
    """As an auditor: commit to the seeds of PROGRAMME, and hand each out once its epoch is seen closed."""
    from heliotrope.prove.claims.seeds.keeper import Keeper
    from heliotrope.prove.claims.seeds.server import application
    from heliotrope.prove.formats.trust import Trust
    from heliotrope.prove.log.serving import serve as run

    if serve != (vkeys is not None):
        raise InvalidInput("seeds are served to a log that is known", field="--serve", hint="give --vkeys with it")
    keeper = Keeper(context.settings.home_path, name=name)
    told = {"auditor": keeper.name, "commitment": keeper.commitment(programme).hex()}
    if vkeys is None:
        if context.json:
            print_json(told)
        else:
            click.echo(f"{keeper.name} {told['commitment']}")
        return

    def ready(url: str) -> None:
        if context.json:
            print_json(told | {"url": url})
        else:
            say(f"{keeper.name} {url}")

    run(application(keeper, Trust.read(vkeys, quorum=quorum)), host, port, ready)


@click.command()
@shared_options
@click.argument("programme")
@click.option("--from", "start", help="Start of the period; default: the programme's first job.")
@click.option("--to", "end", help="End of the period; default: now.")
def estimate(context: Context, programme: str, start: str | None, end: str | None) -> None:
    """What PROGRAMME has saved so far, estimated from the log's own records; nothing is minted by it."""
    from heliotrope.prove.claims.assess import assess
    from heliotrope.prove.claims.programme import Office

    ledger = open_ledger(context)
    waiting = settled(context, ledger, programme)
    start_s = epoch_s(parse_instant(start, field="--from")) if start else 0
    end_s = epoch_s(parse_instant(end, field="--to")) if end else int(time.time()) + 1
    history = Office(ledger, programme).history()
    assessed = assess(history.gather(start_s, end_s, only_settled=True))
    if context.json:
        print_json({"waiting": waiting} | msgspec.to_builtins(assessed))
        return
    _show(assessed, waiting)


def settled(context: Context, ledger: Ledger, programme: str) -> int:
    """Logs the outcomes of jobs that are over; how many are not."""
    from heliotrope.prove.claims.enrolment import Enrolment

    settings = msgspec.structs.replace(context.settings.claims, programme=programme)
    enrolment = Enrolment(ledger, settings)
    enrolment.settle()
    history = enrolment.office.history()
    return len(history.registrations()) - len(history.settled())


def _commitment(text: str) -> tuple[str, str]:
    name, _, commitment = text.partition(" ")
    return name, commitment.strip()


def _show(found: Assessment, waiting: int) -> None:
    click.echo(f"{found.shifted} jobs shifted, {found.held_out} held out, {waiting} not over")
    for basis, saving in (("average", found.average), ("marginal", found.marginal)):
        if saving is not None and saving.error_g < float("inf"):
            click.echo(
                f"by {basis} intensity they saved {show_carbon(saving.value_g)}, at least {show_carbon(saving.low_g)};"
                f" baselines count {saving.ratio:.2f} times what they say"
            )
    click.echo(f"to be minted: {show_carbon(found.grams)}")
    for reason in found.reasons:
        click.echo(f"  {reason}")


COMMANDS = (declare, estimate, seeds)
