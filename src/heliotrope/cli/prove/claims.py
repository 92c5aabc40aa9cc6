"""`helio claims`: avoided-emissions claims, from a programme's records to their retirement."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from heliotrope.cli.prove.anchor import SIGNATURES, open_chain, print_slips, slips_of
from heliotrope.cli.prove.log import open_ledger
from heliotrope.cli.prove.programme import COMMANDS, settled
from heliotrope.cli.shared import Context, F, print_json, say, shared_options
from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.units import epoch_s, parse_instant, show_carbon

if TYPE_CHECKING:
    from heliotrope.prove.chain.book import Book, Standing
    from heliotrope.prove.chain.node import Mined
    from heliotrope.prove.chain.opening import Chain

_GRAMS = click.IntRange(min=1)


def _period(command: F) -> F:
    for option in (
        click.option("--to", "end", required=True, help="End of the period."),
        click.option("--from", "start", required=True, help="Start of the period, as in 2026-01-01T00:00Z."),
    ):
        command = option(command)
    return command


@click.group()
def claims() -> None:
    """Avoided-emissions claims: mint once, transfer, retire. Never an offset, never subtracted from an inventory."""


for _command in COMMANDS:
    claims.add_command(_command)


@claims.command(name="list")
@shared_options
def list_claims(context: Context) -> None:
    """Every claim of this log, oldest first."""
    chain, book = _open(context)
    standings = book.standings(now_s=time.time())
    if context.json:
        for standing in standings:
            print_json(standing)
        return
    for standing in standings:
        click.echo(
            f"{_short(standing.id)}  {standing.state:8} {show_carbon(standing.grams):>10}"
            f"  {standing.start} to {standing.end}  {show_carbon(standing.circulating)} circulating,"
            f" {show_carbon(standing.retired)} retired"
        )
    _note(chain, "no claims yet" if not standings else "")


@claims.command()
@shared_options
@click.argument("claim")
def show(context: Context, claim: str) -> None:
    """One claim (by the start or end of its id): where it stands, and what it was computed from."""
    from heliotrope.prove.claims.assess import assess
    from heliotrope.prove.claims.evidence import Evidence

    chain, book = _open(context)
    name = book.full_name(claim)
    standing = book.standing(name, now_s=time.time())
    assessed = assess(Evidence.parse(book.evidence(name)))
    retirements = [r for r in chain.registry.retirements() if f"0x{r.id:064x}" == name]
    if context.json:
        shown = [{"by": r.by, "grams": r.grams, "beneficiary": r.beneficiary, "reason": r.reason} for r in retirements]
        print_json(
            msgspec.to_builtins(standing)
            | {"retirements": shown, "assessment": msgspec.to_builtins(assessed), "flag": chain.alone}
        )
        return
    _show_standing(standing)
    click.echo(
        f"{assessed.shifted} jobs shifted, {assessed.held_out} held out; by average intensity they saved"
        f" {show_carbon(assessed.average.value_g)}, at least {show_carbon(assessed.average.low_g)}"
    )
    for r in retirements:
        click.echo(f"retired {show_carbon(r.grams)} for {r.beneficiary}: {r.reason}")
    _note(chain)


@claims.command()
@shared_options
@click.argument("programme")
@_period
@click.option("--owner", help="Who receives it: an address; without it, the sender's.")
@SIGNATURES
def mint(context: Context, programme: str, start: str, end: str, owner: str | None, signatures: Path | None) -> None:
    """Mint what a programme's period earned, after its auditors agreed.

    The amount is recomputed from the log: the smaller of average and marginal saving against held-out jobs, at the
    lower 5 % bound, less leakage and what the ledger itself emitted. Where auditors elsewhere have not signed yet, the
    claim waits in the log: they sign with `helio claims agree`, and this command is given again with --signatures.
    """
    from heliotrope.prove.chain.anchoring import Anchoring
    from heliotrope.prove.chain.typed import Role
    from heliotrope.prove.claims.programme import Office

    start_s, end_s = _seconds(start, end)
    chain, book = _open(context)
    name = book.of_period(programme, start_s, end_s)
    if name is None:
        settled(context, book.ledger, programme)
        evidence = Office(book.ledger, programme).history().gather(start_s, end_s)
        claim, _ = book.issue(evidence, owner or chain.registry.outbox.wallet.address)
        name = claim.name
    book.refuse_minted(name)
    slips = slips_of(signatures)
    own = [book.agree(name, wallet) for wallet in chain.signers(Role.AUDITORS)]
    if not book.anchored(name):
        Anchoring(book.ledger, chain.registry).anchor(slips, chain.signers(Role.WITNESSES))
    _done(context, chain, book, name, book.mint(name, own + slips))


@claims.command()
@shared_options
@click.argument("programme")
@_period
@click.option("--log", "where", help="The log to read: an address or a folder; without it, this home's own.")
@click.option("--vkeys", type=click.Path(path_type=Path), help="The log's keys; default: those it shows.")
@click.option("--quorum", type=click.IntRange(min=0), default=0, help="Witnesses that must have cosigned.")
def agree(
    context: Context, programme: str, start: str, end: str, where: str | None, vkeys: Path | None, quorum: int
) -> None:
    """As an auditor: recompute a claim from the log's records, and print this key's signature if it is right."""
    from heliotrope.prove.chain import book as books
    from heliotrope.prove.chain.typed import Role
    from heliotrope.prove.claims import outcomes
    from heliotrope.prove.claims.history import History
    from heliotrope.prove.claims.outcomes import Runs
    from heliotrope.prove.claims.reading import Elsewhere

    start_s, end_s = _seconds(start, end)
    chain, book = _open(context) if where is None else (open_chain(context), None)
    wallets = chain.signers(Role.AUDITORS)
    if book is not None:
        name = book.of_period(programme, start_s, end_s)
        if name is None:
            raise UnknownName(f"no claim of {programme} for this period", hint="helio claims mint makes it")
        print_slips([book.agree(name, wallet) for wallet in wallets], "auditor")
        return
    log = Elsewhere(where or "", vkeys=vkeys, quorum=quorum)
    claim, index = books.find(log.leaves, chain.registry.seal, programme, start_s, end_s)
    history, recorded = History(programme, log.entries()), Runs(log.entries(outcomes.KINDS), log.evidence)
    slips = [books.agree(claim, index, history, recorded, chain.registry.seal, wallet) for wallet in wallets]
    print_slips(slips, "auditor")


@claims.command()
@shared_options
@click.argument("claim")
@click.argument("grams", type=_GRAMS)
@click.argument("to")
def transfer(context: Context, claim: str, grams: int, to: str) -> None:
    """Give grams of a claim to another address."""
    from heliotrope.prove.claims.leaf import check_address

    chain, book = _open(context)
    name = book.full_name(claim)
    _done(context, chain, book, name, chain.registry.transfer(int(name, 16), grams, check_address(to, field="to")))


@claims.command()
@shared_options
@click.argument("claim")
@click.argument("grams", type=_GRAMS)
@click.option("--beneficiary", required=True, help="In whose name.")
@click.option("--reason", required=True, help="What for.")
def retire(context: Context, claim: str, grams: int, beneficiary: str, reason: str) -> None:
    """Take grams of a claim out of circulation for good."""
    for field, text, most in (("--beneficiary", beneficiary, 128), ("--reason", reason, 256)):
        if not 0 < len(text.encode()) <= most:
            raise InvalidInput("too long or empty", field=field, found=len(text.encode()), allowed=f"1 to {most} bytes")
    chain, book = _open(context)
    name = book.full_name(claim)
    _done(context, chain, book, name, chain.registry.retire(int(name, 16), grams, beneficiary, reason))


def _open(context: Context) -> tuple[Chain, Book]:
    from heliotrope.prove.chain.book import Book

    chain = open_chain(context)
    return chain, Book(open_ledger(context), chain.registry)


def _seconds(start: str, end: str) -> tuple[int, int]:
    start_s, end_s = (epoch_s(parse_instant(text, field=f"--{name}")) for text, name in ((start, "from"), (end, "to")))
    if not start_s < end_s <= time.time():
        raise InvalidInput(
            "a period must be over before it is claimed", field="--to", found=end, allowed="after --from"
        )
    return start_s, end_s


def _done(context: Context, chain: Chain, book: Book, name: str, mined: Mined) -> None:
    standing = book.standing(name, now_s=time.time())
    if context.json:
        sent = {"transaction": mined.hash.hex(), "gas": mined.gas_used, "flag": chain.alone}
        print_json(msgspec.to_builtins(standing) | sent)
        return
    _show_standing(standing)
    _note(chain)


def _show_standing(standing: Standing) -> None:
    avoided, circulating, buffer, retired = map(
        show_carbon, (standing.grams, standing.circulating, standing.buffer, standing.retired)
    )
    click.echo(f"claim {standing.id}")
    click.echo(f"{standing.state}: {avoided} avoided {standing.start} to {standing.end}; expires {standing.expires}")
    click.echo(f"of these {circulating} circulate, {buffer} are the buffer, {retired} are retired")


def _note(chain: Chain, more: str = "") -> None:
    for text in filter(None, (more, chain.alone)):
        say(f"note: {text}")


def _short(name: str) -> str:
    """The end of an id tells claims apart; its start is the method."""
    return f"…{name[-12:]}"
