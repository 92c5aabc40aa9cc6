"""`helio log rotate|erase|reveal|attest|witnesses`: upkeep of one's own log."""

from __future__ import annotations

from pathlib import Path

import click

from heliotrope.cli.prove.log import KEY_TYPE, open_ledger
from heliotrope.cli.shared import Context, print_json, say, shared_options


@click.command()
@shared_options
@click.argument("role", type=click.Choice(["log", "site"]))
@click.option("--retire", "retiring", is_flag=True, help="Let the older keys sign no more.")
@click.option("--key-type", type=KEY_TYPE, default="ed25519", show_default=True, help="The log may sign with both.")
def rotate(context: Context, role: str, retiring: bool, key_type: str) -> None:
    """Make a new key for the log or the site; the old one signs beside it until it is retired."""
    from heliotrope.prove import upkeep
    from heliotrope.prove.formats.schemes import Algorithm

    ledger = open_ledger(context)
    if retiring:
        upkeep.retire(ledger, role)
    else:
        upkeep.rotate(ledger, role, Algorithm.ML_DSA_44 if key_type == "ml-dsa-44" else Algorithm.ED25519)
    ledger.publish()
    newest = (ledger.log_keys() if role == "log" else ledger.site_keys())[0]
    if context.json:
        print_json({"role": role, "key": str(newest)})
    else:
        say(f"{role} key is now {newest}")


@click.command()
@shared_options
@click.argument("index", type=click.IntRange(min=0))
def erase(context: Context, index: int) -> None:
    """Forget record INDEX: its numbers are gone for good, the log stays valid."""
    from heliotrope.prove import upkeep

    upkeep.erase(open_ledger(context), index)
    if context.json:
        print_json({"erased": index})
    else:
        say(f"entry {index} is only a commitment now")


@click.command()
@shared_options
@click.argument("indices", nargs=-1, required=True, type=click.IntRange(min=0), metavar="INDEX…")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder for whoever may read them.")
def reveal(context: Context, indices: tuple[int, ...], out: Path) -> None:
    """Open records INDEX… to somebody: salt, envelope, evidence, a run's plans; for `helio log audit --revealed`."""
    from heliotrope.prove.records.reveal import reveal as open_records

    opened = open_records(open_ledger(context), indices, out)
    if context.json:
        print_json({"directory": str(out), "revealed": opened})
    else:
        say(f"entries {', '.join(map(str, opened))} in {out}: whoever has it can read them")


@click.command()
@shared_options
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def attest(context: Context, files: tuple[Path, ...]) -> None:
    """Take in auditors' signed opinions (FILES); the auditors are named in prove.auditors."""
    from heliotrope.prove.files import read_bytes

    ledger = open_ledger(context)
    for path in files:
        opinion = ledger.attest(read_bytes(path))
        if context.json:
            print_json({"index": opinion.index, "agrees": opinion.agrees, "reasons": opinion.reasons})
        else:
            say(f"entry {opinion.index}: {'agreed' if opinion.agrees else 'DISPUTED'}")


@click.command()
@shared_options
def witnesses(context: Context) -> None:
    """Which witnesses there are, how far each has seen, and what is wrong with it."""
    for peer in open_ledger(context).witnesses():
        if context.json:
            print_json(peer)
        else:
            click.echo(f"{peer['name']:30} {peer['size']:>8}  {peer['fault'] or 'fine'}")
