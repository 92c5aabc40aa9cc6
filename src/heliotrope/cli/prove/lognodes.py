"""`helio log serve|witness|audit`: the processes around a log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliotrope.cli.prove.log import KEY_TYPE, open_ledger
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import InvalidInput, ProviderError, UsageError

if TYPE_CHECKING:
    from heliotrope.prove.audit.auditor import Round

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
    from heliotrope.prove.log.serving import serve as run
    from heliotrope.prove.log.static import application

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
@click.option(
    "--key-type",
    "key_types",
    type=KEY_TYPE,
    multiple=True,
    default=("ed25519",),
    show_default=True,
    help="What it signs with; given twice, with both.",
)
def witness(
    context: Context,
    host: str,
    port: int,
    name: str,
    logs: tuple[str, ...],
    vkeys: Path | None,
    key_types: tuple[str, ...],
) -> None:
    """Cosign the checkpoints of logs that only ever grew (C2SP tlog-witness)."""
    from heliotrope.prove import keys
    from heliotrope.prove.formats.note import Key
    from heliotrope.prove.formats.schemes import COSIGNING, Algorithm
    from heliotrope.prove.formats.trust import Trust
    from heliotrope.prove.log.serving import serve as run
    from heliotrope.prove.witness.memory import Witness
    from heliotrope.prove.witness.server import application

    known = [Key.parse(text) for text in logs] + (list(Trust.read(vkeys).logs) if vkeys else [])
    if not known:
        raise UsageError(
            "a witness needs to know a log", hint="give its key with --log, or a file of them with --vkeys"
        )
    home = context.settings.home_path
    wanted = [
        Algorithm.ML_DSA_44 if word == "ml-dsa-44" else Algorithm.COSIGNATURE for word in dict.fromkeys(key_types)
    ]
    made = [keys.file_of("witness", algorithm) for algorithm in COSIGNING]
    held = next((keys.load(home, file).current.name for file in made if keys.exists(home, file)), "")
    if name and held and name != held:
        raise UsageError(f"this home's witness is {held}, not {name}", hint="use another --home")
    called = name or held or keys.default_name("witness")
    secrets = [keys.load_or_make(home, keys.file_of("witness", kind), called, kind).current for kind in wanted]

    def ready(url: str) -> None:
        shown = [str(secret.key) for secret in secrets]
        if context.json:
            print_json({"witness": shown[0], "keys": shown, "url": url})
        else:
            for key in shown:
                say(f"witness {key} {url}")

    run(application(Witness(home, secrets, known)), host, port, ready)


@click.command()
@shared_options
@click.argument("log")
@click.option("--vkeys", type=click.Path(path_type=Path), help="The log's keys; default: those it shows.")
@click.option("--quorum", type=click.IntRange(min=0), default=0, help="Witnesses that must have cosigned.")
@click.option("--name", default="", help="The name of this auditor's key; kept from then on.")
@click.option("--every", type=click.FloatRange(min=0.1), help="Look again every so many seconds, for ever.")
@click.option(
    "--code", type=click.Path(path_type=Path), help="Your copy of training code: sampled steps are taken again."
)
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Checkpoints for that, each named by its SHA-256.")
@click.option(
    "--revealed", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Records opened to you."
)
@click.option("--report", is_flag=True, help="Hand the signed opinions to the log, over HTTP.")
def audit(
    context: Context,
    log: str,
    vkeys: Path | None,
    quorum: int,
    name: str,
    every: float | None,
    code: Path | None,
    checkpoints: Path | None,
    revealed: Path | None,
    report: bool,
) -> None:
    """Follow LOG (an address or a folder), compute its records again, and sign agreement or disagreement."""
    from heliotrope.prove import keys
    from heliotrope.prove.audit.auditor import Auditor
    from heliotrope.prove.audit.own import model_signal
    from heliotrope.prove.audit.report import hand_in
    from heliotrope.prove.audit.retrain import Retrain
    from heliotrope.prove.audit.source import Revealed, open_source
    from heliotrope.prove.formats.trust import Trust

    if (code is None) != (checkpoints is None):
        raise UsageError("taking steps again needs both --code and --checkpoints")
    if report and not log.startswith(("http://", "https://")):
        raise UsageError("--report needs a log that is served over HTTP", hint="helio log serve --records")
    home = context.settings.home_path
    source = open_source(log) if revealed is None else Revealed(revealed, open_source(log))
    if vkeys is None:
        (shown,) = source.fetch(["vkeys"])
        if shown is None:
            raise InvalidInput("the log shows no keys", hint="give them with --vkeys")
        trust = Trust.parse(shown.decode(), file=f"{log}/vkeys", quorum=quorum)
    else:
        trust = Trust.read(vkeys, quorum=quorum)
    ring = keys.load_or_make(home, "auditor", name or keys.default_name("auditor"))
    retrain = Retrain(code, checkpoints) if code and checkpoints else None
    auditor = Auditor(home, ring.current, trust, model_signal, retrain)
    say(f"auditor {ring.current.key}")
    while True:
        try:
            seen = auditor.look(source, time_s=int(time.time()))
            if report:
                hand_in(log, auditor)
        except ProviderError as error:
            if every is None:
                raise
            say(f"{error.what}; looking again in {every:g} s")
            time.sleep(every)
            continue
        if context.json:
            print_json({"auditor": str(ring.current.key), **_plain(seen)})
        else:
            silent = f", {seen.unseen} with nothing shown to judge" if seen.unseen else ""
            click.echo(f"{seen.origin}: {seen.size} entries, {seen.judged} new; {seen.agreed} agreed{silent}")
            for opinion in seen.disagreements:
                click.echo(click.style(f"entry {opinion.index} disputed:", fg="red", bold=True))
                for reason in opinion.reasons:
                    click.echo(f"  {reason}")
        if every is None:
            break
        time.sleep(every)
    if seen.disagreements:
        click.get_current_context().exit(4)


def _plain(seen: Round) -> dict[str, object]:
    return {
        "origin": seen.origin,
        "size": seen.size,
        "judged": seen.judged,
        "agreed": seen.agreed,
        "unseen": seen.unseen,
        "disagreements": [{"index": opinion.index, "reasons": opinion.reasons} for opinion in seen.disagreements],
    }
