"""From settings to a contract: what is refused before anything is sent, and what needs no key."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from eth_abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from chain_world import ALICE, BOB, anvil, anvil_binary, key
from heliotrope.config import ChainSettings, ProveSettings, Settings
from heliotrope.errors import ConfigError, HelioError, InvalidInput, MissingExtra, ProviderGarbled, SplitView
from heliotrope.prove import Ledger
from heliotrope.prove.chain import artifact, opening
from heliotrope.prove.chain.anchoring import Anchoring, Slip, read_slips, sign
from heliotrope.prove.chain.opening import Chain
from heliotrope.prove.chain.revert import reason
from heliotrope.prove.chain.typed import Role
from heliotrope.prove.chain.wallet import KEY, KEYSTORE, Wallet
from heliotrope.store import Store
from hostile import came_back

needs_anvil = pytest.mark.skipif(anvil_binary() is None, reason="no anvil: sh tools/services.sh brings it")
ERROR = bytes.fromhex("08c379a0")  # Error(string)
COUNCILS = {
    "witnesses": (ALICE.address, BOB.address),
    "witness_quorum": 2,
    "auditors": (BOB.address,),
    "auditor_quorum": 1,
}


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(KEYSTORE, raising=False)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "helio.db")
    yield store
    store.close()


def settings_of(tmp_path, **chain):
    return Settings(home=str(tmp_path), chain=ChainSettings(**chain))


@pytest.fixture
def ledger(tmp_path, store):
    return Ledger(store, tmp_path, ProveSettings())


def append(ledger, *leaves):
    with ledger.store.write() as tx:
        ledger.append(tx, leaves)


@needs_anvil
def test_reading_needs_no_key_and_sending_says_which(tmp_path, store, monkeypatch):
    with anvil(rich=(ALICE.address,)) as (node, _):
        rpc = f"http://{node.title}"
        with pytest.raises(ConfigError, match="no contract on"):
            Chain(settings_of(tmp_path, rpc=rpc), store)
        with pytest.raises(ConfigError, match="no key to send with"):
            Chain(settings_of(tmp_path, rpc=rpc, **COUNCILS), store, may_deploy=True)
        monkeypatch.setenv(KEY, key("alice").hex())
        made = Chain(settings_of(tmp_path, rpc=rpc, **COUNCILS), store, may_deploy=True)
        assert [wallet.address for wallet in made.signers(Role.WITNESSES)] == [ALICE.address]
        assert made.signers(Role.AUDITORS) == ()
        assert made.alone == ""
        monkeypatch.delenv(KEY)
        reader = Chain(settings_of(tmp_path, rpc=rpc), store)
        assert reader.registry.address == made.registry.address
        assert reader.registry.size() == 0
        with pytest.raises(ConfigError, match="no key to send with"):
            reader.registry.retire(1, 1, "x", "y")


@needs_anvil
def test_an_address_without_our_contract_is_found_out(tmp_path, store):
    with anvil() as (node, _), pytest.raises(ProviderGarbled, match="not this contract's"):
        Chain(settings_of(tmp_path, rpc=f"http://{node.title}", contract=ALICE.address), store)


@pytest.mark.parametrize(
    "changes",
    [
        {"witness_quorum": 1},
        {"witness_quorum": 3},
        {"auditor_quorum": 0},
        {"witnesses": ("0x12", BOB.address)},
        {"auditors": ()},
    ],
)
def test_councils_that_cannot_be_are_named(tmp_path, store, changes):
    embedded_is_alone = changes == {"auditors": ()}
    settings = settings_of(tmp_path, **COUNCILS | changes)
    if embedded_is_alone:
        assert "private to this home" in Chain(settings, store).alone
        return
    with pytest.raises(InvalidInput):
        Chain(settings, store)


def test_a_contract_of_another_log_is_refused(tmp_path, store):
    Chain(settings_of(tmp_path), store)
    other = msgspec.structs.replace(settings_of(tmp_path), prove=ProveSettings(origin="other.example/log"))
    with pytest.raises(ConfigError, match="anchors another log"):
        Chain(other, store)


def test_without_the_extra_the_pip_line_is_printed(tmp_path, store, monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"heliotrope\[chain\]"):
        Chain(settings_of(tmp_path), store)


# Across a fork nothing is anchored


def test_a_log_that_was_rolled_back_or_rewritten_is_not_anchored(tmp_path, store, ledger):
    chain = Chain(settings_of(tmp_path), store)
    append(ledger, b"a", b"b")
    wallets = chain.signers(Role.WITNESSES)
    assert Anchoring(ledger, chain.registry).anchor([], wallets).size == 2
    for leaves, said in (((b"a",), "the log has 1"), ((b"a", b"X", b"c"), "root at 2 entries is not the log's")):
        home = tmp_path / hashlib.sha256(repr(leaves).encode()).hexdigest()[:8]
        twin = Ledger(Store(home / "helio.db"), home, ProveSettings())
        append(twin, *leaves)
        with pytest.raises(SplitView, match=said):
            Anchoring(twin, chain.registry).anchor([], wallets)
        twin.store.close()


def test_the_largest_checkpoint_with_a_quorum_is_anchored(tmp_path, store, ledger):
    settings = settings_of(tmp_path, **COUNCILS)
    chain = Chain(settings, store)
    anchoring = Anchoring(ledger, chain.registry)
    append(ledger, b"a")
    small = anchoring.checkpoint()
    slips = [sign(chain.registry.seal, small, wallet) for wallet in (ALICE, BOB)]
    append(ledger, b"b")
    slips.append(sign(chain.registry.seal, anchoring.checkpoint(), ALICE))
    strange = Slip.of(bytes(32), Wallet(key("x")).sign(bytes(32)), 10**9)
    with pytest.raises(InvalidInput, match="too few signatures"):
        anchoring.anchor(slips[:1])
    done = anchoring.anchor([strange, *slips])
    assert (done.size, done.root) == (1, small.root.hex())


# What others hand in


SLIP = msgspec.json.encode(Slip("ab" * 32, 27, "cd" * 32, "ef" * 32, 7))


@given(
    st.binary(max_size=300)
    | st.builds(lambda at, some: SLIP[:at] + some + SLIP[at + len(some) :], st.integers(0, 220), st.binary(max_size=3))
)
def test_no_bytes_upset_the_readers_of_slips(raw):
    slips = came_back(lambda: read_slips(SLIP + b"\n\n" + raw, file="slips"))
    if isinstance(slips, InvalidInput):
        assert slips.file == "slips"
        assert 3 <= slips.line <= 3 + len(raw)
        return
    assert read_slips(b"\n".join(map(msgspec.json.encode, slips)), file="again") == slips
    assert slips[0] == msgspec.json.decode(SLIP, type=Slip)


def test_half_a_signature_is_refused(tmp_path, store, ledger):
    chain = Chain(settings_of(tmp_path), store)
    append(ledger, b"a")
    anchoring = Anchoring(ledger, chain.registry)
    (wallet,) = chain.signers(Role.WITNESSES)
    slip = sign(chain.registry.seal, anchoring.checkpoint(), wallet)
    halves = "not half a signature"
    nobody = "a signature that nobody can have made"
    for broken, said in (
        ({"r": "zebra"}, halves),
        ({"s": "00"}, halves),
        ({"v": 99}, nobody),
        ({"v": -5}, nobody),
        ({"r": "ff" * 32}, nobody),
    ):
        with pytest.raises(HelioError, match=said):
            anchoring.anchor([msgspec.structs.replace(slip, **broken)])
    assert chain.registry.size() == 0
    assert anchoring.anchor([slip]).size == 1


@given(st.binary(max_size=400))
def test_a_reason_is_found_in_whatever_a_node_answers(data):
    assert reason(data)
    assert len(reason(ERROR + data)) <= 256


@given(st.text(max_size=64))
def test_a_reason_is_read_as_it_was_written(text):
    assert reason(ERROR + encode(["string"], [text])) == text


ADDRESSES = st.lists(st.binary(min_size=20, max_size=20).map(lambda raw: f"0x{raw.hex()}"), max_size=3)


@given(st.binary(max_size=200) | ADDRESSES.map(lambda members: encode(["address[]"], [members])))
def test_an_answer_that_is_not_ours_is_garbled(data):
    members = came_back(lambda: artifact.answer("members_of", data))
    if isinstance(members, ProviderGarbled):
        assert "not this contract's" in members.what
    else:
        assert decode(["address[]"], encode(["address[]"], [members])) == decode(["address[]"], data)


@given(
    st.binary(max_size=200),
    st.lists(st.binary(max_size=40), max_size=4),
    st.sampled_from(["Minted", "Retired", "Paused"]),
)
def test_events_that_are_not_ours_are_passed_over_or_garbled(data, topics, name):
    assert artifact.event(tuple(topics), data) is None
    told = came_back(lambda: artifact.event((artifact.event_topic(name), *topics), data))
    if isinstance(told, ProviderGarbled):
        assert "not this contract's" in told.what
    else:
        assert told[0] == name
