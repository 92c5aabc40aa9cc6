"""Other implementations' test vectors. They are theirs, so they are read beside the checkout and none is copied."""

from __future__ import annotations

import json

import pytest

from heliotrope.prove.formats import merkle, tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note, SecretKey, parse_signatures
from heliotrope.prove.formats.schemes import Algorithm


@pytest.fixture(scope="module")
def vectors(shared_data):
    path = shared_data / "vectors" / "tlog.json"
    if not path.is_file():
        pytest.skip("the log formats' vectors are not beside this checkout")
    return json.loads(path.read_text(encoding="utf-8"))


def test_notes_verify_and_sign_to_the_same_bytes(vectors):
    for case in vectors["note"]:
        key = Key.parse(case["vkey"])
        note = Note.parse(case["note"].encode())
        assert key in note.verified([key])
        if "skey" in case:
            secret = SecretKey.parse(case["skey"])
            assert secret.key == key
            assert str(Note(note.text, (secret.sign(note.text),))) == case["note"]


def test_a_real_checkpoint_with_cosignatures(vectors):
    case = vectors["real_checkpoint_with_cosignature_v1"]
    note = Note.parse(case["note"].encode())
    tree = Checkpoint.parse(note.text)
    keys = [Key.parse(text) for text in case["vkeys"]]
    signed = note.verified(keys)
    assert set(signed) == set(keys)
    assert [signed[key] > 1_700_000_000 for key in keys] == [False, True, True], "the log's own has no time"
    assert tree.size == 1432088532


def test_a_cosignatures_time(vectors):
    case = vectors["cosignature_timestamp"]
    (signature,) = parse_signatures(f"— n {case['base64']}\n")
    assert int.from_bytes(signature.blob[:8], "big") == case["time"]
    assert len(signature.blob) == 72


def test_merkle_roots(vectors):
    case = vectors["merkle_roots"]
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in case["leaves_hex"]]
    for size, root in case["roots_hex"].items():
        assert merkle.root(int(size), merkle.reader(leaves)).hex() == root


def test_a_whole_foreign_log(vectors):
    """Every checkpoint from nothing to fifteen entries: its root rebuilt, its signature made again byte for byte."""
    case = vectors["tessera_log"]
    key, secret = Key.parse(case["vkey"]), SecretKey.parse(case["skey"])
    leaves = [merkle.leaf_hash(entry.encode()) for entry in case["entries"]]
    for size, text in enumerate(case["checkpoints"]):
        note = Note.parse(text.encode())
        tree = Checkpoint.parse(note.text)
        assert key in note.verified([key])
        assert tree == Checkpoint(key.name, size, merkle.root(size, merkle.reader(leaves)))
        assert str(tree.signed(secret)) == text


def test_tile_paths(vectors):
    cases = dict(vectors["tile_paths"]["cases"])
    assert cases["index 1234067"] == tiles.index_path(1234067)
    assert cases["level 15 index 455667"] == tiles.tile_path(15, 455667)
    assert cases["level 15 index 123456789 partial 41"] == tiles.tile_path(15, 123456789, 41)
    assert cases["entries seq 256 size 257"] == tiles.tile_path("entries", 1, tiles.width_at(257, 0, 1))
    assert cases["entries seq 251 size 255"] == tiles.tile_path("entries", 0, tiles.width_at(255, 0, 0))


def test_foreign_cosignature_keys_are_of_the_cosigning_type(vectors):
    for text in vectors["real_checkpoint_with_cosignature_v1"]["vkeys"][1:]:
        assert Key.parse(text).algorithm is Algorithm.COSIGNATURE
