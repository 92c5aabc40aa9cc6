"""`helio log`: verify receipts, write them, export and feed the log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import ProofError, UsageError

if TYPE_CHECKING:
    from heliotrope.prove import Ledger, Verdict
    from heliotrope.prove.audit.attestation import Opinion

KEY_TYPE = click.Choice(["ed25519", "ml-dsa-44"])
# Commands that live in modules of their own: name → (module, attribute, one line of help).
_ELSEWHERE = {
    "anchor": ("heliotrope.cli.prove.anchor", "anchor", "Anchor checkpoints on a chain."),
    "attest": ("heliotrope.cli.prove.logkeys", "attest", "Take in auditors' signed opinions."),
    "erase": ("heliotrope.cli.prove.logkeys", "erase", "Forget a record; the log stays valid."),
    "reveal": ("heliotrope.cli.prove.logkeys", "reveal", "Open chosen records to an auditor."),
    "rotate": ("heliotrope.cli.prove.logkeys", "rotate", "Make a new key for the log or the site."),
    "witnesses": ("heliotrope.cli.prove.logkeys", "witnesses", "How the log's witnesses are doing."),
    "audit": ("heliotrope.cli.prove.lognodes", "audit", "Be an auditor: compute every record again, and sign."),
    "serve": ("heliotrope.cli.prove.lognodes", "serve", "Serve the log's static files."),
    "witness": ("heliotrope.cli.prove.lognodes", "witness", "Be a witness: cosign logs that only ever grew."),
}


class _LogGroup(click.Group):
    """Help names the commands of other modules without loading them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _ELSEWHERE[cmd_name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(90)) for name, command in self.commands.items()]
        rows += [(name, text) for name, (_, _, text) in _ELSEWHERE.items()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))


@click.group(cls=_LogGroup)
def log() -> None:
    """The tamper-evident log: verify, export, receipts."""


def open_ledger(context: Context) -> Ledger:
    from heliotrope.prove import Ledger
    from heliotrope.store import Store

    home = context.settings.home_path
    return Ledger(Store.of(context.settings), home, context.settings.prove)


@log.command()
@shared_options
@click.argument("receipt", required=False, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Check this home's whole log instead.")
@click.option(
    "--vkeys", type=click.Path(path_type=Path), help="The keys to trust; default: this home's, else beside it."
)
@click.option("--quorum", type=click.IntRange(min=0), help="Witnesses that must have cosigned; default: prove.quorum.")
def verify(context: Context, receipt: Path | None, every: bool, vkeys: Path | None, quorum: int | None) -> None:
    """Check RECEIPT, with no network and nothing but the keys."""
    if every == (receipt is not None):
        raise UsageError("say which: a RECEIPT, or --all", hint="helio log verify FILE.tlog-proof")
    if receipt is None:
        _verify_all(context)
        return
    from heliotrope.prove import verify_receipt

    own = context.settings.home_path / "log" / "vkeys"
    needed = context.settings.prove.quorum if quorum is None else quorum
    verdict = verify_receipt(receipt, vkeys=vkeys or (own if own.is_file() else None), quorum=needed)
    if context.json:
        print_json({"verified": True, **_verdict(verdict)})
        return
    seen = f", cosigned by {', '.join(verdict.witnesses)}" if verdict.witnesses else ", no witnesses"
    what = "erased record" if verdict.erased else f"{verdict.kind} {verdict.subject}"
    click.echo(f"verified: {what} is entry {verdict.index} of {verdict.origin} (size {verdict.size}{seen})")
    click.echo(f"keys from {verdict.keys_from}")
    _say_opinions(verdict.opinions)


def _say_opinions(opinions: Sequence[Opinion]) -> None:
    for opinion in opinions:
        if opinion.agrees:
            click.echo(f"auditor {opinion.auditor} agrees")
        else:
            click.echo(click.style(f"DISPUTED by auditor {opinion.auditor}:", fg="red", bold=True))
            for reason in opinion.reasons:
                click.echo(f"  {reason}")


def _verdict(verdict: Verdict) -> dict[str, object]:
    import msgspec

    built = msgspec.to_builtins(verdict)
    assert isinstance(built, dict)
    return built


def _verify_all(context: Context) -> None:
    from heliotrope.prove.log.check import check_all

    result = check_all(open_ledger(context))
    if context.json:
        print_json(result)
        return
    click.echo(
        f"verified: {result.entries} entries, {result.records} records, {result.checkpoints} checkpoints"
        + (f", {result.erased} erased" if result.erased else "")
    )


@log.command()
@shared_options
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), help="Default: RUN.tlog-proof here.")
@click.option("--kind", default="run", show_default=True, help="Which record about it: run or plan.")
def receipt(context: Context, run: str, out: Path | None, kind: str) -> None:
    """Write the receipt of RUN: a tlog-proof, with its record beside it."""
    ledger = open_ledger(context)
    index = int(run) if run.isdecimal() else ledger.find(run, kind)
    path = ledger.receipt(index, out or Path(f"{run}.tlog-proof"))
    if context.json:
        print_json({"receipt": str(path), "index": index})
    else:
        click.echo(str(path))


@log.command()
@shared_options
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--records", is_flag=True, help="Records and evidence too, which are private, for an auditor.")
def export(context: Context, directory: Path, records: bool) -> None:
    """Write the static files of the log (tlog-tiles) and its keys into DIRECTORY, for any web server."""
    from heliotrope.prove.log.export import export as export_files

    ledger = open_ledger(context)
    ledger.publish()
    size = export_files(ledger, directory, records=records)
    if context.json:
        print_json({"directory": str(directory), "size": size})
    else:
        say(f"{size} entries in {directory}")


@log.command()
@shared_options
@click.option("--stdin", "from_stdin", is_flag=True, help="Read a JSON value a line.")
def append(context: Context, from_stdin: bool) -> None:
    """Append a record for each JSON line; its index is printed once it is durable."""
    from heliotrope.prove.log.batch import append_lines

    if not from_stdin:
        raise UsageError("append reads its records from stdin", hint="helio log append --stdin < FILE")
    pattern = '{"index":%d}\n' if context.json else "%d\n"

    def durable(indices: range) -> None:
        sys.stdout.write("".join([pattern % index for index in indices]))
        sys.stdout.flush()

    append_lines(open_ledger(context), sys.stdin.buffer, durable)


@log.command()
@shared_options
@click.argument("index", required=False, type=click.IntRange(min=0))
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
def show(context: Context, index: int | None, last: int) -> None:
    """List the newest records, or show record INDEX with its signature checked."""
    ledger = open_ledger(context)
    if index is not None:
        if index >= ledger.size():
            raise ProofError(f"the log has no entry {index}", hint=f"it has {ledger.size()}")
        import msgspec

        opened, opinions = ledger.open(index), ledger.opinions(index)
        if context.json:
            said = {"kind": opened.kind, "subject": opened.subject, "statement": opened.body}
            print_json({"index": index, **said, "opinions": opinions})
        else:
            click.echo(msgspec.json.format(msgspec.json.encode(opened.body)).decode())
            _say_opinions(opinions)
        return
    for row in ledger.records(last=last):
        if context.json:
            print_json(row)
        else:
            click.echo(f"{row['index']:>8}  {row['kind']:8} {row['subject']}")
