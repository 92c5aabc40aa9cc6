"""`helio log serve|witness|audit`: the processes around a log."""

from __future__ import annotations

from pathlib import Path

import click

from heliotrope.cli.log import open_ledger
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import UsageError

_LISTENING = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen."),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one."),
)


@click.command()
@shared_options
@_LISTENING[0]
@_LISTENING[1]
@click.option("--records", is_flag=True, help="Serve records and evidence too, which are private, to auditors.")
def serve(context: Context, host: str, port: int, records: bool) -> None:
    """Serve the log's static files (tlog-tiles) and keys over HTTP."""
    from heliotrope.prove.serving import serve as run
    from heliotrope.prove.static import application

    ledger = open_ledger(context)
    ledger.publish()

    def ready(url: str) -> None:
        if context.json:
            print_json({"url": url, "origin": context.settings.prove.origin})
        else:
            say(f"serving {context.settings.prove.origin} on {url}")

    run(application(ledger, records=records), host, port, ready)


@click.command()
@shared_options
@_LISTENING[0]
@_LISTENING[1]
@click.option("--name", default="", help="The name of this witness's key; kept from then on.")
@click.option("--log", "logs", multiple=True, metavar="VKEY", help="A log key to witness for; may be repeated.")
@click.option("--vkeys", type=click.Path(path_type=Path), help="A file with `log VKEY` lines.")
def witness(context: Context, host: str, port: int, name: str, logs: tuple[str, ...], vkeys: Path | None) -> None:
    """Cosign the checkpoints of logs that only ever grew (C2SP tlog-witness)."""
    from heliotrope.prove import keys
    from heliotrope.prove.note import Algorithm, Key
    from heliotrope.prove.serving import serve as run
    from heliotrope.prove.trust import Trust
    from heliotrope.prove.witness.memory import Witness
    from heliotrope.prove.witness.server import application

    known = [Key.parse(text) for text in logs] + (list(Trust.read(vkeys).logs) if vkeys else [])
    if not known:
        raise UsageError(
            "a witness needs to know a log", hint="give its key with --log, or a file of them with --vkeys"
        )
    home = context.settings.home_path
    ring = keys.load_or_make(home, "witness", name or keys.default_name("witness"), Algorithm.COSIGNATURE)
    if name and ring.current.name != name:
        raise UsageError(f"this home's witness is {ring.current.name}, not {name}", hint="use another --home")

    def ready(url: str) -> None:
        if context.json:
            print_json({"witness": str(ring.current.key), "url": url})
        else:
            say(f"witness {ring.current.key} {url}")

    run(application(Witness(home, ring.current, known)), host, port, ready)
