"""The whole council as real processes around a real node: seven witnesses, three auditors, one of each not there."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

import forked
from chain_world import anvil, anvil_binary, key
from claim_month import NAME, period, run_programme
from heliotrope.config import ProveSettings
from heliotrope.prove import Ledger
from heliotrope.prove.chain.wallet import KEY, Wallet
from heliotrope.store import Store

needs_anvil = pytest.mark.skipif(anvil_binary() is None, reason="no anvil: sh tools/services.sh brings it")


class People:
    """Each with a home, a key and a process of their own."""

    def __init__(self, root):
        self.root = root
        self.running = []

    def environment(self, who):
        return {k: v for k, v in os.environ.items() if not k.startswith("HELIO_")} | {KEY: key(who).hex()}

    def ask(self, who, *words):
        return forked.told(*words, "--home", self.root / who, env=self.environment(who))

    def refused(self, who, *words, code):
        return forked.run(*words, "--home", self.root / who, env=self.environment(who), code=code).stderr

    def start(self, who, *words):
        process = forked.Started(*words, "--home", self.root / who, env=self.environment(who))
        self.running.append(process)
        return process

    def settle(self, who, **tables):
        """Writes the settings of a home."""
        lines = []
        for table, values in tables.items():
            lines.append(f"[{table}]")
            lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
        (self.root / who).mkdir(exist_ok=True)
        (self.root / who / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def close(self):
        for process in self.running:
            process.close()


@pytest.fixture
def people(tmp_path):
    people = People(tmp_path)
    yield people
    people.close()


@needs_anvil
@pytest.mark.slow
def test_a_claim_that_strangers_vouch_for(people, tmp_path):
    home = tmp_path / "operator"
    witnesses, auditors = [f"w{i}" for i in range(7)], [f"a{i}" for i in range(3)]
    plain = Ledger(Store(home / "helio.db"), home, ProveSettings())
    vkeys = tmp_path / "vkeys"
    vkeys.write_text("".join(f"log {log_key}\n" for log_key in plain.log_keys()), encoding="utf-8")
    servers = {
        who: people.start(who, "log", "witness", "--name", f"{who}.example", "--vkeys", vkeys) for who in witnesses
    }
    operator = Wallet(key("operator")).address
    with anvil(chain_id=31337, now_s=int(time.time()), rich=(operator,)) as (node, _):
        rpc = f"http://{node.title}"
        prove = {"witnesses": [f"{w.said['witness']} {w.said['url']}" for w in servers.values()], "quorum": 5}
        councils = {
            "witnesses": [Wallet(key(who)).address for who in witnesses],
            "witness_quorum": 5,
            "auditors": [Wallet(key(who)).address for who in auditors],
            "auditor_quorum": 2,
        }
        people.settle("operator", prove=prove, chain={"rpc": rpc} | councils)
        assert "no contract" in people.refused("operator", "log", "anchor", code=2)
        (made,) = people.ask("operator", "log", "anchor", "--deploy")
        for who in (*witnesses, *auditors):
            people.settle(who, chain={"rpc": rpc, "contract": made["contract"]})

        # The month is recorded; one witness dies; the claim goes into the log and waits.
        ledger = Ledger(plain.store, home, ProveSettings(witnesses=tuple(prove["witnesses"]), quorum=5))
        told = run_programme(ledger)
        servers["w6"].close()
        assert "too few signatures" in people.refused("operator", "claims", "mint", NAME, *period(told), code=2)

        # Witnesses sign what they cosigned; auditors read the log over HTTP and compute the claim again.
        log = people.start("operator", "log", "serve", "--records").said
        slips = [slip for who in witnesses[:5] for slip in people.ask(who, "log", "anchor", "--sign")]
        words = ("claims", "agree", NAME, *period(told), "--log", log["url"], "--quorum", "5")
        slips += [slip for who in auditors[:2] for slip in people.ask(who, *words)]
        path = tmp_path / "slips"
        path.write_bytes(b"".join(msgspec.json.encode(slip) + b"\n" for slip in slips))
        short = tmp_path / "short"
        short.write_bytes(b"".join(msgspec.json.encode(slip) + b"\n" for slip in slips[1:]))
        mint = ("claims", "mint", NAME, *period(told), "--signatures")
        assert "found '4 of members" in people.refused("operator", *mint, short, code=2)
        (minted,) = people.ask("operator", *mint, path)
        assert minted["state"] == "minted"
        assert minted["flag"] == ""

        # Once: by the command, and by the contract itself.
        assert "minted already" in people.refused("operator", *mint, path, code=4)
        name = minted["id"][-12:]
        people.ask("operator", "claims", "transfer", name, 400, Wallet(key("bob")).address)
        (left,) = people.ask(
            "operator", "claims", "retire", name, 100, "--beneficiary", "Example Ltd", "--reason", "the training of May"
        )
        assert left["retired"] == 100
        assert left["circulating"] + left["buffer"] + left["retired"] == left["grams"]
