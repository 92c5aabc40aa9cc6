"""One story told on three chains must leave one state; and what a chain may do to us: vanish, fork, refuse, lie."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from chain_world import ALICE, BOB, NOW_S, Revm, World, a_claim, anvil, anvil_binary, key, tell
from heliotrope.errors import (
    ChainRefused,
    ConfigError,
    ProviderBusy,
    ProviderDenied,
    ProviderDown,
    ProviderGarbled,
    SplitView,
)
from heliotrope.prove.chain import artifact, snapshot
from heliotrope.prove.chain.embedded import Embedded
from heliotrope.prove.chain.outbox import Outbox
from heliotrope.prove.chain.registry import Registry
from heliotrope.prove.chain.rpc import Rpc
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.store import Store

needs_anvil = pytest.mark.skipif(anvil_binary() is None, reason="no anvil: sh tools/services.sh brings it")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store.db")
    yield store
    store.close()


@pytest.fixture
def anvil_node():
    with anvil(rich=(ALICE.address, BOB.address)) as (node, _):
        yield node


@needs_anvil
def test_three_chains_one_state(tmp_path):
    stores = [Store(tmp_path / name / "helio.db") for name in ("embedded", "pyrevm", "anvil")]
    embedded = Embedded(stores[0], now_s=lambda: NOW_S)
    with anvil(chain_id=embedded.chain_id, rich=(ALICE.address, BOB.address)) as (node, _):
        nodes = (embedded, Revm(chain_id=embedded.chain_id), node)
        first, second, third = (tell(node, store) for node, store in zip(nodes, stores, strict=True))
    for store in stores:
        store.close()
    assert first == second == third


# The embedded chain


class Counting(Embedded):
    """How many blocks it had to run."""

    ran = 0

    def _mine(self, raw, timestamp_s):
        self.ran += 1
        return super()._mine(raw, timestamp_s)


def test_the_embedded_chain_lives_in_the_store_and_opens_from_its_snapshot(store, monkeypatch):
    monkeypatch.setattr(snapshot, "EVERY_BLOCKS", 3)
    told = tell(Embedded(store, now_s=lambda: NOW_S), store)
    file = store.home / snapshot.FILE
    assert file.stat().st_mode & 0o077 == 0
    quick = Counting(store, now_s=lambda: NOW_S + 1)
    blocks = quick.head()
    assert quick.ran < 3 < blocks
    kept = file.read_bytes()
    file.write_bytes(kept[:100])
    whole = Counting(store)
    assert (whole.ran, whole.head()) == (blocks, blocks), "a snapshot that cannot be read is as good as none"
    for node in (quick, whole):
        registry = Registry(Outbox(store, node, ALICE), told["address"])
        assert (registry.size(), registry.retirements()) == (told["size"], told["retirements"])
    # What one mines upon the snapshot, the other finds right from the first block on.
    World(Outbox(store, quick, BOB))
    assert Registry(Outbox(store, whole, ALICE), told["address"]).size() == told["size"]
    assert whole.head() == quick.head() == blocks + 1

    file.write_bytes(kept)
    with store.write() as tx:
        tx.execute("UPDATE chain_block SET timestamp_s = timestamp_s - 1 WHERE number = 1")
    with pytest.raises(SplitView, match="block 1"):
        Embedded(store)


def test_two_processes_share_one_embedded_chain(store):
    one, two = Embedded(store, now_s=lambda: NOW_S), Embedded(store, now_s=lambda: NOW_S)
    world = World(Outbox(store, one, ALICE))
    other = Registry(Outbox(store, two, BOB), world.registry.address)
    world.log(b"a")
    world.anchor()
    assert len(other.events("Anchored")) == 1
    assert other.size() == 1
    other.outbox.submit("approve", other.address, approval(ALICE))
    assert len(world.registry.events("ApprovalForAll")) == 1


# A real node


@needs_anvil
def test_a_reorganisation_sends_again_what_it_swept_away(store, anvil_node):
    anvil_node.confirmations = 3
    world = World(Outbox(store, anvil_node, ALICE))
    anvil_node.ask("anvil_mine", hex(5))
    world.registry.outbox.settle()
    before = anvil_node.ask("evm_snapshot")
    world.log(b"a")
    world.anchor()
    assert world.registry.size() == 1
    assert world.registry.outbox.settle() == 1
    anvil_node.ask("evm_revert", before)
    assert world.registry.size() == 0
    assert world.registry.outbox.settle() == 1
    # Asked again, it waits for the transaction that was sent again, and sends no other.
    world.anchor()
    assert world.registry.size() == 1
    assert anvil_node.nonce(ALICE.address) == 2
    anvil_node.ask("anvil_mine", hex(4))
    assert world.registry.outbox.settle() == 0
    with store.read() as tx:
        assert {row["state"] for row in tx.all("SELECT state FROM chain_tx")} == {"final"}


@needs_anvil
def test_what_was_written_down_and_never_sent_is_sent_once(store, anvil_node):
    """The moment between writing and sending is where a kill hurts."""
    world = World(Outbox(store, anvil_node, ALICE))
    world.log(b"a")

    class Dying(Outbox):
        def _wait(self, purpose, tx_hash):
            raise KeyboardInterrupt

    living, real_send = world.registry.outbox, anvil_node.send
    world.registry.outbox = Dying(store, anvil_node, ALICE)
    anvil_node.send = lambda raw: None
    with pytest.raises(KeyboardInterrupt):
        world.anchor()
    anvil_node.send = real_send
    world.registry.outbox = living
    assert world.registry.size() == 0
    world.anchor()
    assert world.registry.size() == 1
    world.anchor()
    assert len(world.registry.events("Anchored")) == 1
    assert anvil_node.nonce(ALICE.address) == 2


@needs_anvil
def test_what_a_node_no_longer_takes_is_given_up_and_may_be_tried_again(store, anvil_node):
    world = World(Outbox(store, anvil_node, ALICE))
    real_send, anvil_node.send = anvil_node.send, lambda raw: None
    impatient = Outbox(store, anvil_node, ALICE, patience_s=0)
    with pytest.raises(ProviderDown, match="not mined within"):
        impatient.submit("approve", world.registry.address, approval(BOB))

    def refuse(raw):
        raise ChainRefused("the chain refused", cause="underpriced")

    anvil_node.send = refuse
    assert impatient.settle() == 0
    anvil_node.send = real_send
    world.registry.outbox.submit("another", world.registry.address, approval(BOB))
    assert anvil_node.nonce(ALICE.address) == 2
    with store.read() as tx:
        states = [row["state"] for row in tx.all("SELECT state FROM chain_tx ORDER BY nonce, state")]
    # The same words at the same place are the same transaction.
    assert states == ["final", "final"]


@needs_anvil
def test_a_transaction_that_nobody_mines_is_outbid_and_happens_once(store, anvil_node):
    """A node that keeps it in its pool; three offers, each an eighth higher; one is mined."""
    world = World(Outbox(store, anvil_node, ALICE))
    anvil_node.ask("evm_setAutomine", False)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if sum(slept) > 50:
            anvil_node.ask("evm_mine")

    patient = Outbox(store, anvil_node, ALICE, patience_s=60, outbid_s=20, sleep=sleep)
    mined = patient.submit("approve", world.registry.address, approval(BOB))
    assert mined.ok
    with store.read() as tx:
        rows = tx.all("SELECT hash, state, raw FROM chain_tx WHERE purpose = 'approve' ORDER BY rowid")
    assert [row["state"] for row in rows] == ["replaced", "replaced", "final"]
    assert mined.hash == rows[-1]["hash"]
    anvil_node.ask("evm_setAutomine", True)
    nonce = anvil_node.nonce(ALICE.address)
    patient.submit("another", world.registry.address, approval(BOB))
    assert anvil_node.nonce(ALICE.address) == nonce + 1


@needs_anvil
def test_a_stuck_transaction_is_taken_up_again_with_all_its_offers(store, anvil_node):
    world = World(Outbox(store, anvil_node, ALICE))
    anvil_node.ask("evm_setAutomine", False)
    impatient = Outbox(store, anvil_node, ALICE, patience_s=3, outbid_s=1, sleep=lambda _: None)
    with pytest.raises(ProviderDown, match="for a higher fee"):
        impatient.submit("approve", world.registry.address, approval(BOB))
    anvil_node.ask("evm_setAutomine", True)
    anvil_node.ask("evm_mine")
    assert impatient.settle() in {0, 1}
    with store.read() as tx:
        states = [row["state"] for row in tx.all("SELECT state FROM chain_tx WHERE purpose = 'approve' ORDER BY rowid")]
    assert states.count("mined") + states.count("final") == 1
    assert set(states) <= {"replaced", "mined", "final"}


def approval(wallet):
    return artifact.call_data("setApprovalForAll", wallet.address, True)


@needs_anvil
def test_a_node_that_goes_down(store):
    with anvil(rich=(ALICE.address,)) as (node, process):
        world = World(Outbox(store, node, ALICE))
        world.log(b"a")
        process.terminate()
        process.wait(10)
        with pytest.raises(ProviderDown, match="no answer from the chain"):
            world.anchor()


@needs_anvil
def test_too_little_gas_is_mined_reverted_and_said(store, anvil_node):
    world = World(Outbox(store, anvil_node, ALICE))
    claim = a_claim(ALICE.address)
    index = world.anchored(claim)
    with pytest.raises(ChainRefused, match="out of gas"):
        world.mint(claim, index, gas=60_000)
    assert world.registry.proven(claim.id) == 0
    world.mint(claim, index)
    assert world.registry.proven(claim.id) == claim.grams


@needs_anvil
def test_an_empty_purse_is_refused_and_leaves_nothing_open(store, anvil_node):
    world = World(Outbox(store, anvil_node, ALICE))
    poor = Outbox(store, anvil_node, Wallet(key("poor")))
    with pytest.raises(ChainRefused):
        poor.submit("anything", world.registry.address, b"", gas=30_000)
    assert poor.settle() == 0


# A node that lies


@pytest.fixture
def liar():
    """Answers every call with what `say` holds: (status, body)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = self.server.say
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.say = (200, json.dumps({"result": "0x1"}).encode())
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", ProviderDenied),
        (429, b"", ProviderBusy),
        (503, b"", ProviderDown),
        (200, b"", ProviderGarbled),
        (200, b"[]", ProviderGarbled),
        (200, b"{}", ProviderGarbled),
        (200, b"\xff\xfe", ProviderGarbled),
        (200, b'{"result": "zebra"}', ProviderGarbled),
        (200, b'{"result": null}', ProviderGarbled),
        (200, b'{"result": {"status": "0x1"}}', ProviderGarbled),
        (200, b'{"error": {"code": 3, "message": "no", "data": "0x08c379a0"}}', ChainRefused),
        (200, b'{"error": {"code": 3, "message": "no", "data": {"data": "0x"}}}', ChainRefused),
        (200, b'{"error": "no"}', ChainRefused),
    ],
)
def test_hostile_answers_become_errors_for_people(liar, status, body, error):
    node = Rpc(f"http://127.0.0.1:{liar.server_address[1]}/secret-key")
    liar.say = (status, body)
    for ask in (node.head, node.fees, lambda: node.call(ALICE.address, b"", sender=BOB.address)):
        with pytest.raises(error) as caught:
            ask()
        assert "secret-key" not in str(caught.value)


def test_a_receipt_without_its_fields_is_garbled(liar):
    node = Rpc(f"http://127.0.0.1:{liar.server_address[1]}")
    liar.say = (200, b'{"result": {"blockHash": "0x00", "logs": [{}]}}')
    with pytest.raises(ProviderGarbled):
        node.mined(bytes(32))
    liar.say = (200, b'{"result": [{}]}')
    with pytest.raises(ProviderGarbled):
        node.logs(ALICE.address, bytes(32))


@pytest.mark.parametrize("url", ["ftp://x", "file:///etc/passwd", "8545", "http://"])
def test_only_web_addresses(url):
    with pytest.raises(ConfigError, match=r"chain\.rpc"):
        Rpc(url)
