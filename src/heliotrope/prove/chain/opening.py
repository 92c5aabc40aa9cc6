"""From settings to a contract that can be used: the node, the sender's key, the contract of this log."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

from heliotrope.config import ChainSettings, Settings
from heliotrope.errors import ConfigError, InvalidInput, MissingExtra
from heliotrope.prove.chain.node import Node
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.registry import Council, Registry, deploy
from heliotrope.prove.chain.typed import Role
from heliotrope.prove.chain.wallet import Wallet, from_environment, local
from heliotrope.prove.claims.leaf import check_address
from heliotrope.store import Store


class Chain:
    """A registry, and the keys that this home holds for it. `alone` is said wherever its word is shown."""

    def __init__(self, settings: Settings, store: Store, *, may_deploy: bool = False) -> None:
        if find_spec("eth_keyfile") is None or find_spec("eth_tester") is None:
            raise MissingExtra("eth-keyfile", "chain", needed_for="a chain")
        chain = settings.chain
        self.embedded = not chain.rpc
        self.store = store
        self._home = settings.home_path
        node = _node(chain, store)
        mine = local(self._home, "sender") if self.embedded else None
        outbox = Outbox(store, node, from_environment() or mine)
        origin = hashlib.sha256(settings.prove.origin.encode()).digest()
        address = chain.contract.lower() or _remembered(store, node)
        if not address:
            if not (self.embedded or may_deploy):
                raise ConfigError(
                    f"no contract on {node.title} yet",
                    hint="set chain.contract to its address, or make one: helio log anchor --deploy",
                )
            address = deploy(outbox, origin, self._council(chain, Role.WITNESSES), self._council(chain, Role.AUDITORS))
            _remember(store, node, address)
        self.registry = Registry(outbox, check_address(address, field="chain.contract"))
        if self.registry.origin_hash() != origin:
            raise ConfigError(
                f"the contract {address} anchors another log than {settings.prove.origin}",
                hint="set chain.contract or prove.origin",
            )

    def signers(self, role: Role) -> tuple[Wallet, ...]:
        """Our keys that sit in the role's council: the environment's, and on the embedded chain this home's."""
        stated = from_environment()
        mine = [local(self._home, role.name.lower())] if self.embedded else []
        members = set(self.registry.council(role).members)
        return tuple(wallet for wallet in [*([stated] if stated else []), *mine] if wallet.address in members)

    @property
    def alone(self) -> str:
        """Why nobody else vouches for what this chain says; empty where others do."""
        if self.embedded:
            return "embedded chain: private to this home; it proves the rules, not publicity"
        council = self.registry.council(Role.WITNESSES)
        return "one witness signs alone" if len(council.members) == 1 else ""

    def _council(self, chain: ChainSettings, role: Role) -> Council:
        members, quorum = (
            (chain.witnesses, chain.witness_quorum)
            if role is Role.WITNESSES
            else (chain.auditors, chain.auditor_quorum)
        )
        name = role.name.lower()
        if not members:
            if not self.embedded:
                raise ConfigError(f"a contract needs {name}", hint=f"set chain.{name} and chain.{name[:-1]}_quorum")
            return Council((local(self._home, name).address,), 1)
        if not len(members) < 2 * quorum <= 2 * len(members):
            raise InvalidInput(
                "a quorum must be more than half, at most all",
                field=f"chain.{name[:-1]}_quorum",
                found=quorum,
                allowed=f"{len(members) // 2 + 1} to {len(members)}",
            )
        return Council(tuple(check_address(member, field=f"chain.{name}") for member in members), quorum)


def _node(chain: ChainSettings, store: Store) -> Node:
    if chain.rpc:
        from heliotrope.prove.chain.rpc import Rpc

        return Rpc(chain.rpc, confirmations=chain.confirmations)
    from heliotrope.prove.chain.embedded import Embedded

    return Embedded(store)


def _remembered(store: Store, node: Node) -> str:
    with store.read() as tx:
        row = tx.one("SELECT address FROM chain_contract WHERE chain_id = ?", (node.chain_id,))
    return "" if row is None else str(row["address"])


def _remember(store: Store, node: Node, address: str) -> None:
    with store.write() as tx:
        tx.execute(
            "INSERT INTO chain_contract (chain_id, address) VALUES (?, ?) ON CONFLICT (chain_id) DO NOTHING",
            (node.chain_id, address),
        )
