"""`helio log anchor`: the newest checkpoint, carried to a chain; and a witness's signature for that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import UsageError

if TYPE_CHECKING:
    from heliotrope.prove import Ledger
    from heliotrope.prove.chain.anchoring import Slip
    from heliotrope.prove.chain.opening import Chain

SIGNATURES = click.option(
    "--signatures",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Signatures of others, a JSON line each.",
)


@click.command()
@shared_options
@click.option("--sign", is_flag=True, help="Print this key's signature of the checkpoint, for whoever anchors it.")
@click.option("--deploy", is_flag=True, help="Make the contract where there is none yet (costs gas).")
@SIGNATURES
def anchor(context: Context, *, sign: bool, deploy: bool, signatures: Path | None) -> None:
    """Anchor the newest checkpoint on a chain, once a quorum of witnesses signed it.

    Without chain.rpc in the settings this is the chain embedded in this process. Keys come from HELIO_CHAIN_KEY, or
    from HELIO_CHAIN_KEYSTORE and HELIO_CHAIN_PASSWORD.
    """
    from heliotrope.prove.chain.anchoring import Anchoring
    from heliotrope.prove.chain.typed import Role

    ledger, chain = open_chain(context, deploy=deploy)
    anchoring = Anchoring(ledger, chain.registry)
    tree = anchoring.checkpoint()
    slips = [anchoring.sign(tree, wallet) for wallet in chain.signers(Role.WITNESSES)]
    if sign:
        print_slips(slips, "witness")
        return
    done = anchoring.anchor(tree, slips + slips_of(signatures))
    if context.json:
        title = chain.registry.node.title
        print_json(
            msgspec.to_builtins(done) | {"contract": chain.registry.address, "chain": title, "flag": chain.alone}
        )
        return
    how = f"{done.gas:,} gas, block {done.block}" if done.gas else "anchored before"
    click.echo(f"{done.size} entries, root {done.root[:16]}…, on {chain.registry.node.title}: {how}")
    if chain.alone:
        say(f"note: {chain.alone}")


def open_chain(context: Context, *, deploy: bool = False) -> tuple[Ledger, Chain]:
    from heliotrope.prove import Ledger
    from heliotrope.prove.chain.opening import Chain
    from heliotrope.store import Store

    home = context.settings.home_path
    store = Store(home / "helio.db")
    return Ledger(store, home, context.settings.prove), Chain(context.settings, store, may_deploy=deploy)


def slips_of(path: Path | None) -> list[Slip]:
    from heliotrope.prove.chain.anchoring import read_slips

    return read_slips(path.read_bytes(), file=str(path)) if path else []


def print_slips(slips: list[Slip], role: str) -> None:
    """Always JSON: a slip is made to be handed on."""
    if not slips:
        raise UsageError(f"no key here is a {role}'s of this contract", hint="set HELIO_CHAIN_KEY")
    for slip in slips:
        print_json(slip)
