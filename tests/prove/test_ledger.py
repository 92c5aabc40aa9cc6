"""The ledger: records are in exactly when their transaction is; files follow the store; tampering is found."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.config import ProveSettings
from heliotrope.errors import BadProof, BadSignature, HelioError, InvalidInput, ProofError, SplitView, UnknownName
from heliotrope.prove import Ledger, Statement, verify_receipt
from heliotrope.prove.formats import merkle, tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.proof import Proof
from heliotrope.prove.log import publisher, sequencer
from heliotrope.prove.log.check import check_all
from heliotrope.prove.records import record
from heliotrope.prove.records.receipt import record_path
from heliotrope.store import Store


def open_ledger(home: Path) -> Ledger:
    return Ledger(Store(home / "helio.db"), home, ProveSettings())


@pytest.fixture
def ledger(tmp_path):
    return open_ledger(tmp_path / "home")


def statement(i, kind="run"):
    return Statement(kind, f"r{i}", record.statement(kind, f"r{i}", "00", {"energy_uj": i}))


def add(ledger, count, start=0):
    with ledger.store.write() as tx:
        return [ledger.add(tx, statement(i)) for i in range(start, start + count)]


def test_a_record_is_in_exactly_when_its_transaction_is(ledger):
    assert add(ledger, 3) == [0, 1, 2]
    with pytest.raises(ZeroDivisionError), ledger.store.write() as tx:
        assert [ledger.add(tx, statement(3)) / 0]
    assert ledger.size() == 3
    assert add(ledger, 1, start=9) == [3]
    assert ledger.find("r9") == 3
    assert check_all(ledger).records == 4


def test_a_receipt_verifies_with_nothing_but_the_keys(ledger, tmp_path):
    add(ledger, 300)
    out = ledger.receipt(ledger.find("r7"), tmp_path / "given" / "r7.tlog-proof")
    keys = tmp_path / "given" / "vkeys"
    shutil.copy(ledger.folder / "vkeys", keys)
    shutil.rmtree(ledger.home)
    verdict = verify_receipt(out)
    assert (verdict.kind, verdict.subject, verdict.index, verdict.size) == ("run", "r7", 7, 300)
    assert verdict.statement["predicate"] == {"energy_uj": 7}
    assert verdict.keys_from == str(keys)


def test_publishing_is_idempotent_and_signs_one_checkpoint_a_size(ledger):
    add(ledger, 10)
    first = ledger.publish()
    files = {p: p.read_bytes() for p in ledger.folder.rglob("*") if p.is_file()}
    assert ledger.publish() == first
    assert {p: p.read_bytes() for p in ledger.folder.rglob("*") if p.is_file()} == files


def test_lost_files_are_written_again(ledger):
    add(ledger, 700)
    ledger.publish()
    files = {p: p.read_bytes() for p in (ledger.folder / "tile").rglob("*") if p.is_file()}
    checkpoint = (ledger.folder / "checkpoint").read_bytes()
    shutil.rmtree(ledger.folder)
    ledger.publish()
    assert {p: p.read_bytes() for p in (ledger.folder / "tile").rglob("*") if p.is_file()} == files
    assert (ledger.folder / "checkpoint").read_bytes() == checkpoint


def test_an_empty_log_is_a_log(ledger):
    tree = Checkpoint.parse(ledger.publish().text)
    assert (tree.size, tree.root) == (0, merkle.EMPTY_ROOT)
    assert not (ledger.folder / "tile").exists()
    assert check_all(ledger).entries == 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=4))
def test_static_files_are_the_whole_log_to_a_stranger(tmp_path_factory, steps):
    """Read back from files alone: bundles hash to tiles, tiles to the signed root, whatever was published between."""
    ledger = open_ledger(tmp_path_factory.mktemp("home"))
    for step in steps:
        with ledger.store.write() as tx:
            ledger.append(tx, [f"entry {i}".encode() for i in range(step)])
        ledger.publish()
    tree = Checkpoint.parse((ledger.folder / "checkpoint").read_text(encoding="utf-8").partition("\n\n")[0] + "\n")
    assert tree.size == sum(steps)
    fetch = lambda level, n, width: (ledger.folder / tiles.tile_path(level, n, width)).read_bytes()  # noqa: E731
    assert merkle.root(tree.size, tiles.node_reader(fetch, tree.size)) == tree.root
    leaves = []
    for n in range(-(-tree.size // 256)):
        width = tiles.width_at(tree.size, 0, n)
        leaves += tiles.decode_bundle(fetch("entries", n, width), width)
    assert merkle.fold([merkle.leaf_hash(leaf) for leaf in leaves]) == tree.root
    assert leaves == [f"entry {i}".encode() for step in steps for i in range(step)]


def test_partial_tiles_go_once_the_full_one_is_there(ledger):
    add(ledger, 200)
    ledger.publish()
    assert (ledger.folder / "tile/entries/000.p/200").exists()
    add(ledger, 100, start=200)
    ledger.publish()
    assert (ledger.folder / "tile/entries/000").exists()
    assert not (ledger.folder / "tile/entries/000.p").exists()
    assert not (ledger.folder / "tile/0/000.p").exists()
    check_all(ledger)


def test_keys_are_their_owners_alone(ledger):
    for name in ("log.key", "site.key"):
        path = ledger.home / "keys" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(ProofError, match="readable by others"):
        open_ledger(ledger.home)


def test_a_mangled_key_file_says_so_and_never_shows_the_key(ledger):
    path = ledger.home / "keys" / "log.key"
    secret = path.read_text(encoding="utf-8")
    path.write_text(secret[:-9] + "\n", encoding="utf-8")
    with pytest.raises(ProofError) as refused:
        open_ledger(ledger.home)
    assert secret.strip()[-30:-12] not in str(refused.value)


def test_another_origin_on_the_same_home_is_refused(ledger):
    with pytest.raises(ProofError, match=r"not other\.example/log"):
        Ledger(ledger.store, ledger.home, ProveSettings(origin="other.example/log"))


def test_a_store_rolled_back_publishes_nothing(ledger, tmp_path):
    add(ledger, 5)
    ledger.publish()
    ledger.store.close()
    old = tmp_path / "old.db"
    shutil.copy(ledger.store.path, old)
    add(ledger, 5, start=5)
    ledger.publish()
    ledger.store.close()
    for leftover in ledger.home.glob("helio.db*"):
        leftover.unlink()
    shutil.copy(old, ledger.home / "helio.db")
    with pytest.raises(SplitView, match="has 10 entries, the store only 5"):
        open_ledger(ledger.home).publish()


def test_a_rewritten_store_publishes_nothing(ledger):
    add(ledger, 5)
    ledger.publish()
    with ledger.store.write() as tx:
        tx.execute("UPDATE log_tile SET hashes = zeroblob(160) WHERE level = 0 AND n = 0")
    with pytest.raises(SplitView, match="not a prefix"):
        ledger.publish()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE log_entry SET leaf = x'00' WHERE idx = 3", "not what its entries hash to"),
        ("UPDATE log_record SET salt = zeroblob(32) WHERE idx = 3", "not the one the log committed to"),
        ("UPDATE log_record SET envelope = (SELECT envelope FROM log_record WHERE idx = 4) WHERE idx = 3", "committed"),
        (
            "UPDATE log_checkpoint SET note = replace(note, char(10) || '5' || char(10), char(10) || '4' || char(10))",
            "does not verify",
        ),
    ],
)
def test_checking_everything_finds_a_changed_row(ledger, sql, expected):
    add(ledger, 5)
    ledger.publish()
    with ledger.store.write() as tx:
        assert tx.execute(sql)
    with pytest.raises(ProofError, match=expected):
        check_all(ledger)


def test_checking_everything_finds_a_changed_file(ledger):
    add(ledger, 5)
    ledger.publish()
    path = ledger.folder / "tile/entries/000.p/5"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(BadProof, match="differs from the log"):
        check_all(ledger)
    path.unlink()
    with pytest.raises(ProofError, match="missing"):
        check_all(ledger)


def test_an_erased_record_leaves_the_log_valid(ledger, tmp_path):
    add(ledger, 5)
    with ledger.store.write() as tx:
        tx.execute("DELETE FROM log_record WHERE idx = 3")
    checked = check_all(ledger)
    assert (checked.records, checked.erased) == (4, 1)
    out = ledger.receipt(3, tmp_path / "r3.tlog-proof")
    verdict = verify_receipt(out, vkeys=ledger.folder / "vkeys")
    assert verdict.erased
    assert verdict.statement is None
    with pytest.raises(UnknownName):
        ledger.open(3)


@pytest.fixture
def given_receipt(ledger, tmp_path):
    add(ledger, 20)
    out = ledger.receipt(7, tmp_path / "r7.tlog-proof")
    shutil.copy(ledger.folder / "vkeys", tmp_path / "vkeys")
    return out


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda r: r.update(leaf=r["leaf"].replace("commitment", "kommitment")), BadProof),
        (lambda r: r.update(salt="00" * 32), BadProof),
        (lambda r: r.update(salt="zz"), BadProof),
        (lambda r: r.update(key=r["key"][:-6] + "AAAAA="), BadProof),
        (lambda r: r.update(schema="other"), BadProof),
        (lambda r: r["envelope"].update(payload="e30="), BadProof),
        (lambda r: r.update(more=1), BadProof),
    ],
)
def test_a_changed_record_does_not_verify(given_receipt, change, error):
    path = record_path(given_receipt)
    body = json.loads(path.read_bytes())
    change(body)
    path.write_bytes(json.dumps(body).encode())
    with pytest.raises(error):
        verify_receipt(given_receipt)


def test_a_receipt_for_another_entry_does_not_verify(given_receipt, ledger):
    other = ledger.receipt(8, given_receipt.with_name("r8.tlog-proof"))
    shutil.copy(record_path(other), record_path(given_receipt))
    with pytest.raises(BadProof):
        verify_receipt(given_receipt)


def test_a_receipt_from_an_unknown_log_does_not_verify(given_receipt, tmp_path):
    stranger = open_ledger(tmp_path / "stranger")
    stranger.publish()
    with pytest.raises(BadSignature):
        verify_receipt(given_receipt, vkeys=stranger.folder / "vkeys")


def test_missing_witnesses_are_counted(given_receipt):
    with pytest.raises(InvalidInput, match="quorum"):
        verify_receipt(given_receipt, quorum=1)


def test_no_keys_no_verdict(given_receipt):
    given_receipt.with_name("vkeys").unlink()
    with pytest.raises(ProofError, match="no keys"):
        verify_receipt(given_receipt)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mutation_of_a_proof_proves_something_else(tmp_path_factory, data):
    ledger = _mutated_ledger(tmp_path_factory)
    proof, entry = ledger.prove(5)
    raw = bytearray(proof.text().encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        changed = Proof.parse(bytes(raw))
        tree = changed.verify(entry)
        signers = changed.checkpoint.verified(ledger.log_keys())
    except HelioError:
        return
    assert not signers or (tree == proof.tree() and changed.index == 5)


_LEDGERS: list[Ledger] = []


def _mutated_ledger(factory):
    if not _LEDGERS:
        ledger = open_ledger(factory.mktemp("home"))
        add(ledger, 20)
        ledger.publish()
        _LEDGERS.append(ledger)
    return _LEDGERS[0]


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_proof_parser(raw):
    for prefix in (b"", b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\nindex 0\n"):
        with pytest.raises(HelioError):
            Proof.parse(prefix + raw)


def test_unpublished_entries_have_no_proof_yet(ledger):
    add(ledger, 2)
    with pytest.raises(ProofError, match="not published"):
        ledger.prove(1)
    with pytest.raises(UnknownName, match="no run record of nobody"):
        ledger.find("nobody")


def test_entries_too_large_for_a_bundle_are_refused_before_they_get_a_number(ledger):
    with pytest.raises(ProofError, match="65536 bytes"), ledger.store.write() as tx:
        ledger.append(tx, [b"fine", bytes(65_536)])
    assert ledger.size() == 0


def test_the_stores_tree_is_rfc_6962s_at_every_size(ledger):
    leaves = [merkle.leaf_hash(b"%d" % i) for i in range(600)]
    for i in range(0, 600, 50):
        with ledger.store.write() as tx:
            ledger.append(tx, [b"%d" % j for j in range(i, i + 50)])
    with ledger.store.read() as tx:
        for size in (1, 2, 255, 256, 257, 511, 512, 513, 600):
            assert sequencer.root(tx, size) == merkle.fold(leaves[:size])
        assert publisher.newest(tx) is None
