"""`helio log anchor`: the newest checkpoint, carried to a chain; and a witness's signature for that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from heliotrope.cli.prove.log import open_ledger
from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import UsageError

if TYPE_CHECKING:
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
@click.option(
    "--deploy", is_flag=True, help="Make the contract where there is none yet (costs gas), and print its address."
)
@SIGNATURES
def anchor(context: Context, *, sign: bool, deploy: bool, signatures: Path | None) -> None:
    """Anchor the newest checkpoint on a chain, once a quorum of witnesses signed it.

    With --sign in a witness's home: signs what that witness cosigned last. Without chain.rpc in the settings this is
    the chain embedded in this process. Keys come from HELIO_CHAIN_KEY, or from HELIO_CHAIN_KEYSTORE and
    HELIO_CHAIN_PASSWORD.
    """
    from heliotrope.prove.chain import anchoring
    from heliotrope.prove.chain.typed import Role

    chain = open_chain(context, deploy=deploy)
    if deploy:
        if context.json:
            print_json({"contract": chain.registry.address, "chain": chain.registry.node.title, "flag": chain.alone})
        else:
            click.echo(chain.registry.address)
        return
    wallets = chain.signers(Role.WITNESSES)
    if sign:
        tree = anchoring.witnessed(chain.store, context.settings.prove.origin)
        tree = tree or anchoring.Anchoring(open_ledger(context), chain.registry).checkpoint()
        print_slips([anchoring.sign(chain.registry.seal, tree, wallet) for wallet in wallets], "witness")
        return
    done = anchoring.Anchoring(open_ledger(context), chain.registry).anchor(slips_of(signatures), wallets)
    if context.json:
        where = {"contract": chain.registry.address, "chain": chain.registry.node.title, "flag": chain.alone}
        print_json(msgspec.to_builtins(done) | where)
        return
    how = f"{done.gas:,} gas, block {done.block}" if done.gas else "anchored before"
    click.echo(f"{done.size} entries, root {done.root[:16]}…, on {chain.registry.node.title}: {how}")
    if chain.alone:
        say(f"note: {chain.alone}")


def open_chain(context: Context, *, deploy: bool = False) -> Chain:
    from heliotrope.prove.chain.opening import Chain
    from heliotrope.store import Store

    return Chain(context.settings, Store.of(context.settings), may_deploy=deploy)


def slips_of(path: Path | None) -> list[Slip]:
    from heliotrope.prove.chain.anchoring import read_slips

    return read_slips(path.read_bytes(), file=str(path)) if path else []


def print_slips(slips: list[Slip], role: str) -> None:
    """Always JSON: a slip is made to be handed on."""
    if not slips:
        raise UsageError(f"no key here is a {role}'s of this contract", hint="set HELIO_CHAIN_KEY")
    for slip in slips:
        print_json(slip)
