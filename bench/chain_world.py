"""A small world for the contract's tests and benchmark: keys, a log in memory, and three chains that must agree."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from heliotrope.errors import ChainRefused
from heliotrope.prove.chain import artifact, typed
from heliotrope.prove.chain.node import Fees, LogEntry, Mined, Node
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.registry import Council, Registry, deploy
from heliotrope.prove.chain.revert import reason
from heliotrope.prove.chain.rpc import Rpc
from heliotrope.prove.chain.typed import Role
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.claims.leaf import Claim, claim_id, leaf_data, serial_of
from heliotrope.prove.formats import merkle
from heliotrope.store import Store
from heliotrope.units import S_PER_DAY

ORIGIN = hashlib.sha256(b"test.example/log").digest()
METHOD = hashlib.sha256(b"heliotrope/shift-with-holdouts/v1").digest()
NOW_S = 1_900_000_000
ROOT = Path(__file__).parents[1]
ANVIL = ROOT / ".bench" / "anvil" / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"


def key(name: str) -> bytes:
    return hashlib.sha256(f"not a secret: {name}".encode()).digest()


def keys(role: str, count: int) -> tuple[bytes, ...]:
    return tuple(key(f"{role} {i}") for i in range(count))


def council(members: tuple[bytes, ...], threshold: int) -> Council:
    return Council(tuple(map(typed.address_of, members)), threshold)


def signed(digest: bytes, signers: tuple[bytes, ...]) -> tuple[typed.Signature, ...]:
    """In the order that the contract wants."""
    return tuple(typed.sign(k, digest) for k in sorted(signers, key=typed.address_of))


def a_claim(owner: str, number: int = 0, grams: int = 1000, **changes: object) -> Claim:
    end_s = NOW_S - NOW_S % S_PER_DAY - S_PER_DAY
    fields = {
        "grams": grams,
        "owner": owner,
        "method": METHOD,
        "start_s": end_s - 30 * S_PER_DAY,
        "end_s": end_s,
        "expiry_s": end_s + 700 * S_PER_DAY,
        "evidence": hashlib.sha256(b"evidence %d" % number).digest(),
    } | changes
    serial = serial_of(f"programme {number}", fields["start_s"], fields["end_s"])
    return Claim(id=claim_id(fields["method"], fields["end_s"], fields["expiry_s"], serial), **fields)


ALICE, BOB = Wallet(key("alice")), Wallet(key("bob"))
WITNESSES = keys("witness", 7)
AUDITORS = keys("auditor", 3)
EVENTS = ("Anchored", "Minted", "Retired", "Paused", "Rotated", "TransferSingle", "TransferBatch")


class World:
    """A log in memory, its witnesses and auditors, and one contract on one chain."""

    def __init__(self, outbox, witnesses=WITNESSES, k=5, auditors=AUDITORS, auditor_k=2) -> None:
        self.leaves: list[bytes] = []
        self.claims: list[Claim] = []
        self.witnesses, self.k = witnesses, k
        self.auditors, self.auditor_k = auditors, auditor_k
        self.registry = Registry(outbox, deploy(outbox, ORIGIN, council(witnesses, k), council(auditors, auditor_k)))

    @property
    def root(self) -> bytes:
        return merkle.fold([merkle.leaf_hash(leaf) for leaf in self.leaves])

    def log(self, *leaves: bytes) -> int:
        """The index of the first."""
        self.leaves.extend(leaves)
        return len(self.leaves) - len(leaves)

    def log_claim(self, claim: Claim) -> int:
        self.claims.append(claim)
        return self.log(leaf_data(claim, self.registry.seal.chain_id, self.registry.address))

    def path(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion(index, size, merkle.reader([merkle.leaf_hash(leaf) for leaf in self.leaves[:size]]))

    def anchor(self, signers=None) -> Mined:
        digest = self.registry.seal.digest(typed.anchor(ORIGIN, len(self.leaves), self.root))
        return self.registry.anchor(len(self.leaves), self.root, signed(digest, signers or self.witnesses[: self.k]))

    def agreed(self, claim: Claim, signers=None) -> tuple[typed.Signature, ...]:
        leaf = merkle.leaf_hash(leaf_data(claim, self.registry.seal.chain_id, self.registry.address))
        return signed(self.registry.seal.digest(typed.agree(leaf)), signers or self.auditors[: self.auditor_k])

    def mint(self, claim: Claim, index: int, **how: object) -> Mined:
        size = self.registry.size()
        return self.registry.mint(claim, index, size, self.path(index, size), self.agreed(claim), **how)

    def mint_new(self, claim: Claim) -> Mined:
        return self.mint(claim, self.anchored(claim))

    def anchored(self, claim: Claim) -> int:
        """The index of a claim that is logged, anchored and ready to be minted."""
        index = self.log_claim(claim)
        self.anchor()
        return index

    def paused(self, *, paused: bool, role: Role = Role.WITNESSES) -> Mined:
        members = self.witnesses[: self.k] if role is Role.WITNESSES else self.auditors[: self.auditor_k]
        struct = typed.pause(role, self.registry.nonce(role), paused=paused)
        return self.registry.pause(role, signed(self.registry.seal.digest(struct), members), paused=paused)

    def state(self) -> dict[str, object]:
        """All that the contract knows, of every claim that was logged: what a refusal must leave as it was."""
        registry = self.registry
        return {
            "address": registry.address,
            "size": registry.size(),
            "roots": [registry.root_at(size).hex() for size in range(registry.size() + 1)],
            "councils": [registry.council(role) for role in Role],
            "nonces": [registry.nonce(role) for role in Role],
            "paused": registry.paused(),
            "claims": [
                [registry.proven(c.id), registry.retired(c.id), registry.supply(c.id), registry.minted(c.serial)]
                + [registry.balance(owner, c.id) for owner in (ALICE.address, BOB.address, registry.address)]
                + [registry.retired_of(owner, c.id) for owner in (ALICE.address, BOB.address)]
                for c in self.claims
            ],
            "retirements": registry.retirements(),
            "events": [len(registry.events(name)) for name in EVENTS],
        }


def tell(node: Node, store: Store) -> dict[str, object]:
    """Everything that a contract can go through, and what it then knows."""
    world = World(Outbox(store, node, ALICE))
    registry = world.registry
    world.log(b"a", b"b", b"c")
    world.anchor()
    first, second = a_claim(ALICE.address, 1, grams=12345), a_claim(BOB.address, 2, grams=7)
    world.mint_new(first)
    world.log(b"d")
    world.mint_new(second)
    registry.transfer(first.id, 345, BOB.address)
    registry.retire(first.id, 1000, "Example Ltd", "the training of May")
    _refused(lambda: registry.outbox.submit("again", registry.address, mint_data(world, first)), "already minted")
    world.paused(paused=True)
    _refused(lambda: registry.transfer(first.id, 1, BOB.address), "paused")
    world.paused(paused=False)
    return world.state()


def mint_data(world: World, claim: Claim) -> bytes:
    fields = tuple(getattr(claim, name) for name in claim.__struct_fields__)
    return artifact.call_data("mint", fields, 0, world.registry.size(), [], [])


def _refused(act: Callable[[], object], reason: str) -> None:
    cause = "nothing"
    try:
        act()
    except ChainRefused as error:
        cause = error.cause
    assert cause == reason, f"refused for {cause}, not for {reason}"


class Revm:
    """The Rust EVM in this process, without blocks: the fastest of the three."""

    title = "pyrevm"
    confirmations = 0

    def __init__(self, *, now_s: int = NOW_S, chain_id: int = 1) -> None:
        import pyrevm

        self._revm = pyrevm
        self.evm = pyrevm.EVM(env=pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=chain_id)), spec_id="CANCUN")
        self.chain_id = chain_id
        self._blocks: list[Mined] = []
        self.at(now_s)

    def at(self, now_s: int) -> None:
        self.evm.set_block_env(self._revm.BlockEnv(timestamp=now_s, number=1))

    def transact(self, sender: str, to: str, data: bytes, gas: int | None = None) -> bytes:
        """What the call returned; raises RuntimeError where it reverts."""
        self.evm.reset_transient_storage()
        return self.evm.message_call(sender, to, data, gas=gas)

    def call(self, to: str, data: bytes, *, sender: str) -> bytes:
        try:
            return self.evm.message_call(sender, to, data, is_static=True)
        except RuntimeError as error:
            raise ChainRefused("the contract refused", cause=_why(error)) from error

    def estimate_gas(self, to: str | None, data: bytes, *, sender: str) -> int:
        checkpoint = self.evm.snapshot()
        try:
            self._run(sender, to, data, None)
            # What is refunded must first be there to be spent.
            return self.evm.result.gas_used + self.evm.result.gas_refunded
        except RuntimeError as error:
            raise ChainRefused("the contract refused", cause=_why(error)) from error
        finally:
            self.evm.revert(checkpoint)

    def send(self, raw: bytes) -> None:
        import rlp
        from eth_account import Account
        from eth_utils import keccak

        fields = rlp.decode(raw[1:])
        gas, to, data = int.from_bytes(fields[4], "big"), fields[5], fields[7]
        sender = Account.recover_transaction(raw).lower()
        contract, ok = None, True
        try:
            contract = self._run(sender, f"0x{to.hex()}" if to else None, data, gas)
        except RuntimeError:
            ok = False
        result = self.evm.result
        logs = tuple(
            LogEntry(entry.address.lower(), tuple(bytes.fromhex(t[2:]) for t in entry.topics), entry.data[1])
            for entry in (result.logs if ok else ())
        )
        number = len(self._blocks) + 1
        self._blocks.append(Mined(keccak(raw), ok, number, bytes(32), result.gas_used, contract, logs))

    def mined(self, tx_hash: bytes) -> Mined | None:
        return next((block for block in self._blocks if block.hash == tx_hash), None)

    def nonce(self, address: str) -> int:
        return self.evm.basic(address).nonce

    def head(self) -> int:
        return len(self._blocks)

    def fees(self) -> Fees:
        return Fees(0, 0)

    def logs(self, address: str, topic: bytes) -> tuple[LogEntry, ...]:
        entries = (entry for block in self._blocks for entry in block.logs)
        return tuple(e for e in entries if e.address == address and e.topics[:1] == (topic,))

    def _run(self, sender: str, to: str | None, data: bytes, gas: int | None) -> str | None:
        self.evm.reset_transient_storage()
        if to is None:
            return self.evm.deploy(sender, data, gas=gas).lower()
        self.evm.message_call(sender, to, data, gas=gas)
        return None


def _why(error: RuntimeError) -> str:
    """pyrevm writes a revert's bytes into its text."""
    found = re.search(r"output: 0x([0-9a-f]*)", str(error))
    return reason(bytes.fromhex(found[1])) if found else str(error)


def anvil_binary() -> str | None:
    return str(ANVIL) if ANVIL.exists() else shutil.which("anvil")


@contextmanager
def anvil(
    *, chain_id: int = 1, now_s: int = NOW_S, rich: tuple[str, ...] = ()
) -> Iterator[tuple[Rpc, subprocess.Popen]]:
    """A real node on a free port of loopback, its clock set, its first blocks mined on demand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        anvil_binary(), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id), "--hardfork", "cancun",
        "--timestamp", str(now_s), "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        node = _when_up(f"http://127.0.0.1:{port}")
        for address in rich:
            node.ask("anvil_setBalance", address, hex(10**21))
        yield node, process
    finally:
        process.terminate()
        process.wait(10)


def _when_up(url: str) -> Rpc:
    from heliotrope.errors import ProviderDown

    for _ in range(200):
        try:
            return Rpc(url, confirmations=0)
        except ProviderDown:
            time.sleep(0.05)
    raise TimeoutError("anvil did not start")
