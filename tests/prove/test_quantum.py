"""ML-DSA-44: signatures that outlive Ed25519, beside it and where somebody asks for them."""

from __future__ import annotations

import contextlib
import struct
import sys
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

import forked
from heliotrope.config import ProveSettings
from heliotrope.errors import BadNote, BadSignature, InvalidInput, MissingExtra, UsageError
from heliotrope.prove import Ledger, upkeep, verify_receipt
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note, SecretKey, Signature
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import encode
from heliotrope.prove.formats.trust import Trust
from heliotrope.store import Store

TREE = Checkpoint("example.org/log", 7, b"\x01" * 32)
WITNESS = SecretKey("witness.example/w", Algorithm.ML_DSA_44, bytes(range(32)))
PUBLIC = MLDSA44PrivateKey.from_seed_bytes(WITNESS.seed).public_key().public_bytes_raw()
TIME_S = 1_700_000_000


def cosigned(tree=TREE, secret=WITNESS):
    text = tree.text()
    return Note(text, (secret.sign(text, time_s=TIME_S),))


def moved(note, blob):
    return Note(note.text, (Signature(WITNESS.name, WITNESS.key.id, blob),))


def test_the_bytes_are_those_of_the_specification():
    """Written out here from its structures, and checked with the library alone."""
    assert WITNESS.key.id == sha256(b"witness.example/w\n\x06" + PUBLIC).digest()[:4]
    material = encode(b"\x06" + PUBLIC)
    assert str(WITNESS.key) == f"witness.example/w+{WITNESS.key.id.hex()}+{material}"
    (signature,) = cosigned().signatures
    (time_s,) = struct.unpack(">Q", signature.blob[:8])
    message = b"subtree/v1\n\0" + bytes([17]) + b"witness.example/w" + struct.pack(">Q", TIME_S)
    message += bytes([15]) + b"example.org/log" + struct.pack(">QQ", 0, 7) + b"\x01" * 32
    MLDSA44PublicKey.from_public_bytes(PUBLIC).verify(signature.blob[8:], message)
    assert (time_s, len(signature.blob), len(str(signature).split()[2])) == (TIME_S, 8 + 2420, 3244)


def test_keys_and_notes_survive_their_text_form():
    assert SecretKey.parse(WITNESS.text()) == WITNESS
    assert Key.parse(str(WITNESS.key)) == WITNESS.key
    note = Note.parse(str(cosigned()).encode())
    assert note.verified([WITNESS.key]) == {WITNESS.key: TIME_S}


def test_sixteen_of_them_fit_a_note():
    secrets = [SecretKey(f"w{i}", Algorithm.ML_DSA_44, bytes([i]) * 32) for i in range(16)]
    note = Note.parse(str(cosigned().with_signatures([s.sign(TREE.text(), time_s=TIME_S) for s in secrets])).encode())
    assert len(note.verified([s.key for s in secrets])) == 16


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: Checkpoint("example.org/lag", tree.size, tree.root),
        lambda tree: Checkpoint(tree.origin, 8, tree.root),
        lambda tree: Checkpoint(tree.origin, tree.size, b"\x02" * 32),
    ],
    ids=["origin", "size", "root"],
)
def test_a_signature_of_another_tree_is_refused(change):
    with pytest.raises(BadSignature, match="does not verify"):
        Note(change(TREE).text(), cosigned().signatures).verified([WITNESS.key])


def test_extension_lines_are_not_signed_and_the_signers_name_is():
    extended = Checkpoint(TREE.origin, TREE.size, TREE.root, ("more",))
    assert Note(extended.text(), cosigned().signatures).verified([WITNESS.key]) == {WITNESS.key: TIME_S}
    other = Key("another.example/w", Algorithm.ML_DSA_44, PUBLIC)
    renamed = Note(TREE.text(), (Signature(other.name, other.id, cosigned().signatures[0].blob),))
    with pytest.raises(BadSignature, match=r"another\.example/w"):
        renamed.verified([other])


@pytest.mark.parametrize("size", [1, 8, 64, 72, 2420, 2427, 2429, 5000])
def test_a_blob_of_another_size_is_refused_before_the_library_sees_it(size):
    with pytest.raises(BadSignature, match=f"{size} bytes, not 2428"):
        moved(cosigned(), bytes(size)).verified([WITNESS.key])


@pytest.mark.parametrize("time_s", [0, 2**63, TIME_S + 1])
def test_another_time_is_refused(time_s):
    blob = struct.pack(">Q", time_s) + cosigned().signatures[0].blob[8:]
    with pytest.raises(BadSignature, match=r"impossible time|does not verify"):
        moved(cosigned(), blob).verified([WITNESS.key])


@pytest.mark.parametrize("size", [0, 31, 32, 1311, 1313, 100_000])
def test_a_key_of_another_size_is_refused(size):
    public = bytes(size)
    name = Key("n", Algorithm.ML_DSA_44, public)
    with pytest.raises(BadNote, match=f"{size} bytes, not 1312"):
        Key.parse(str(name))
    with pytest.raises(BadNote, match=r"seed|unknown type"):
        SecretKey.parse(f"PRIVATE+KEY+n+{name.id.hex()}+{encode(bytes([6]) + bytes(size + 33))}")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("w", "not a checkpoint\n", "checkpoint"),
        ("w" * 256, TREE.text(), "256 bytes"),
        ("w", Checkpoint("o" * 300, 7, bytes(32)).text(), "300 bytes"),
    ],
)
def test_what_cannot_be_cosigned_is_refused_in_words(name, text, fault):
    with pytest.raises(BadNote, match=fault):
        SecretKey(name, Algorithm.ML_DSA_44, bytes(32)).sign(text, time_s=TIME_S)


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    for act in (lambda: WITNESS.key, lambda: cosigned().verified([Key(WITNESS.name, WITNESS.algorithm, PUBLIC)])):
        with pytest.raises(MissingExtra) as caught:
            act()
        assert "heliotrope[quantum]" in caught.value.hint


def test_only_logs_and_witnesses_may_hold_such_keys():
    for role in ("site", "auditor"):
        with pytest.raises(InvalidInput, match=f"a {role} key of the wrong type"):
            Trust.parse(f"{role} {WITNESS.key}\n")
    assert Trust.parse(f"log {WITNESS.key}\nwitness {WITNESS.key}\n").witnesses == (WITNESS.key,)


def test_one_witness_with_two_keys_counts_once_and_a_policy_may_need_both(tmp_path):
    home = tmp_path / "log"
    plain = Ledger(Store(home / "helio.db"), home, ProveSettings())
    vkeys = tmp_path / "log.vkeys"
    vkeys.write_text("".join(f"log {key}\n" for key in plain.log_keys()), encoding="utf-8")
    words = ("log", "witness", "--name", "w.example", "--key-type", "ed25519", "--key-type", "ml-dsa-44")
    with contextlib.closing(forked.Started(*words, "--vkeys", vkeys, "--home", tmp_path / "w")) as witness:
        peers = tuple(f"{key} {witness.said['url']}" for key in witness.said["keys"])
        ledger = Ledger(plain.store, home, ProveSettings(witnesses=peers, quorum=1))
        with ledger.store.write() as tx:
            ledger.append(tx, [b"entry"] * 5)
        out = ledger.receipt(2, tmp_path / "r.tlog-proof")
    assert [peer["fault"] for peer in ledger.witnesses()] == ["", ""]
    assert verify_receipt(out, vkeys=ledger.folder / "vkeys", quorum=1).witnesses == ("w.example",)
    with pytest.raises(InvalidInput, match="never be met"):
        verify_receipt(out, vkeys=ledger.folder / "vkeys", quorum=2)

    first, second = witness.said["keys"]
    policy = tmp_path / "policy"
    policy.write_text(
        f"{vkeys.read_text()}witness a {first}\nwitness b {second}\ngroup both all a b\nquorum both\n", encoding="utf-8"
    )
    assert verify_receipt(out, vkeys=policy).witnesses == ("w.example",)
    text = out.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if len(line) < 3000]
    out.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(BadSignature, match="quorum both"):
        verify_receipt(out, vkeys=policy)


def test_a_witness_keeps_one_name_whatever_it_signs_with(tmp_path):
    log_key = SecretKey("example.org/log", Algorithm.ED25519, bytes(32)).key

    def keys_of(*words):
        words = ("log", "witness", "--log", log_key, "--home", tmp_path, *words)
        with contextlib.closing(forked.Started(*words)) as witness:
            return [Key.parse(text) for text in witness.said["keys"]]

    (first,) = keys_of("--key-type", "ml-dsa-44")
    both = keys_of("--key-type", "ed25519", "--key-type", "ml-dsa-44")
    assert [key.algorithm for key in both] == [Algorithm.COSIGNATURE, Algorithm.ML_DSA_44]
    assert both[1] == first
    assert both[0].name == first.name
    refused = forked.run("log", "witness", "--log", log_key, "--home", tmp_path, "--name", "other", code=2)
    assert f"this home's witness is {first.name}" in refused.stderr


def test_a_log_signs_with_both_and_either_alone_convinces(tmp_path):
    ledger = Ledger(Store(tmp_path / "helio.db"), tmp_path, ProveSettings())
    (old,) = ledger.log_keys()
    upkeep.rotate(ledger, "log", Algorithm.ML_DSA_44)
    upkeep.rotate(ledger, "log")
    note = ledger.publish()
    keys = ledger.log_keys()
    assert sorted(key.algorithm for key in keys) == [1, 1, 6]
    for key in keys:
        assert Trust((key,)).check(Note.parse(str(note).encode())).logs == (key,)
    upkeep.retire(ledger, "log")
    with ledger.store.write() as tx:
        ledger.append(tx, [b"entry"])
    signed = ledger.publish().verified(keys)
    assert sorted(key.algorithm for key in signed) == [1, 6]
    assert old not in signed
    with pytest.raises(UsageError, match="always Ed25519"):
        upkeep.rotate(ledger, "site", Algorithm.ML_DSA_44)
