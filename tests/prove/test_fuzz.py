"""Every parser against bytes that nobody meant: an error for people, or something that reads the same again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import HelioError, InvalidInput
from heliotrope.prove.chain.anchoring import read_slips
from heliotrope.prove.claims import evidence as claims_evidence
from heliotrope.prove.claims.seeds.keeper import Closing
from heliotrope.prove.files import bounded
from heliotrope.prove.formats import tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note, SecretKey, parse_signatures
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records import evidence, record, training
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.prove.witness.client import Peer
from hostile import came_back

KEY = str(SecretKey("a.example", 1, bytes(32)).key)
WORDS = st.sampled_from(["log", "witness", "site", "auditor", "#", KEY, KEY[:-3], "+", "\n", " ", "\t", "\x00", "é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(WORDS, max_size=12).map("".join) | st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=80))
def test_key_files(text):
    try:
        trust = Trust.parse(text, file="vkeys")
    except HelioError:
        return
    assert all(str(key) in text for key in (*trust.logs, *trust.witnesses, *trust.sites, *trust.auditors))


@given(st.binary(max_size=200), st.integers(0, 256))
def test_bundles(raw, width):
    try:
        entries = tiles.decode_bundle(raw, width)
    except HelioError:
        return
    assert tiles.encode_bundle(entries) == raw


@given(st.binary(max_size=100), st.integers(0, 256))
def test_tiles(raw, width):
    try:
        hashes = tiles.split_tile(raw, width)
    except HelioError:
        return
    assert b"".join(hashes) == raw


@given(st.text(max_size=60))
def test_paths(path):
    try:
        level, n, width = tiles.parse_path(path)
    except HelioError:
        return
    assert tiles.tile_path("entries" if level is None else level, n, width) == path


@given(st.text(max_size=120))
def test_checkpoints(text):
    try:
        tree = Checkpoint.parse(text)
    except HelioError:
        return
    assert tree.text() == text


@given(st.text(max_size=120) | st.text(max_size=60).map(lambda t: f"— {t}\n"))
def test_signature_lines(text):
    try:
        signatures = parse_signatures(text)
    except HelioError:
        return
    assert parse_signatures("".join(map(str, signatures))) == signatures


@given(st.text(max_size=60))
def test_peers(text):
    with pytest.raises(HelioError):
        Peer.parse(text)


@given(st.binary(max_size=120) | JSON.map(lambda value: json.dumps(value).encode()))
def test_records(raw):
    with pytest.raises(HelioError):
        RecordFile.parse(raw).open()


@given(st.fixed_dictionaries({"leaf": st.text(max_size=20), "key": st.sampled_from([KEY, ""]), "salt": st.text(max_size=8),
                              "envelope": st.dictionaries(st.text(max_size=5), JSON, max_size=3),
                              "schema": st.just("heliotrope/record/v1")}))  # fmt: skip
def test_records_of_the_right_shape(body):
    with pytest.raises(HelioError):
        RecordFile.parse(json.dumps(body).encode()).open()


@given(st.binary(max_size=120) | JSON.map(lambda value: json.dumps(value).encode()))
def test_evidence(raw):
    with pytest.raises(HelioError):
        evidence.decode(raw)


@pytest.mark.parametrize("depth", [101, 900, 60_000])
def test_nesting_without_end_is_refused_by_every_reader(depth):
    deep = "[" * depth + "]" * depth
    envelope = f'{{"payload":{deep},"payloadType":"","signatures":[]}}'
    kept = f'{{"leaf":"{{}}","key":"{KEY}","salt":"","envelope":{envelope},"schema":"heliotrope/record/v1"}}'.encode()
    payload = f'{{"_type":"{record.STATEMENT_TYPE}","subject":{deep}}}'.encode()
    for read in (
        lambda: RecordFile.parse(kept).open(),
        lambda: record.open_envelope(envelope.encode(), SecretKey("a.example", 1, bytes(32)).key),
        lambda: record.read_payload(payload, SecretKey("a.example", 1, bytes(32)).key),
        lambda: evidence.decode(f'{{"schema":"{evidence.SCHEMA}","measurement":{deep}}}'.encode()),
        lambda: Closing.parse(deep.encode()),
        lambda: read_slips(deep.encode(), file="slips"),
        lambda: claims_evidence.Evidence.parse(deep.encode()),
    ):
        with pytest.raises(HelioError):
            read()


@given(st.dictionaries(st.sampled_from(["measurement", "site", "signals", "home", "device_s", "submitted_s"]), JSON))
def test_evidence_of_the_right_schema(body):
    with pytest.raises(HelioError):
        evidence.decode(json.dumps({"schema": evidence.SCHEMA, **body}).encode())


@given(st.binary(max_size=200))
def test_notes(raw):
    try:
        note = Note.parse(raw)
    except HelioError:
        return
    assert Note.parse(str(note).encode()) == note


@given(
    st.binary() | st.dictionaries(st.sampled_from(["proof", "record"]), st.text()).map(lambda d: json.dumps(d).encode())
)
def test_receipts_of_a_close(raw):
    with pytest.raises(HelioError, match=r"proof|receipt"):
        Closing.parse(raw).verify(Trust(()))


LEFT_BEHIND = st.fixed_dictionaries(
    {}, optional={"seed": st.none() | st.integers() | st.text(max_size=3), "code_digest": st.text(max_size=8)}
)


@given(st.binary(max_size=80) | LEFT_BEHIND.map(lambda value: json.dumps(value).encode()))
def test_what_a_training_left(raw):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / training.FILE
        file.write_bytes(raw)
        left = came_back(lambda: training.read(Path(folder)))
        if isinstance(left, InvalidInput):
            assert left.file == str(file)
            return
    wrote = json.loads(raw)
    assert (left.seed, left.code_digest) == (wrote.get("seed"), wrote.get("code_digest", ""))


@given(JSON)
def test_what_is_nested_as_people_nest_is_read_as_it_is(value):
    for raw in (
        json.dumps(value).encode(),
        json.dumps([value] * 60).encode(),
        json.dumps({'"[{\\': "[" * 200}).encode(),
    ):
        assert bounded(raw) == raw
