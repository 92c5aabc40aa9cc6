"""Records: one canonical form, integers alone, and commitments that give nothing away."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadProof, BadSignature, HelioError, InvalidInput
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.records import record
from heliotrope.prove.records.signing import entry_payload

SEALER = record.Sealer(SecretKey.generate("site-test"))
KEYS = st.text(st.characters(max_codepoint=127), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785(value):
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        return  # lone surrogates have none
    assert record.canonical(value) == expected
    assert json.loads(record.canonical(value)) == value


@pytest.mark.parametrize(
    ("value", "where"),
    [(1.5, ""), ({"a": {"b": 0.0}}, "a.b"), ([1, 2.0], "[1]"), (2**53, ""), ({"é": 1}, ""), ({1: 2}, ""), (b"x", "")],
)
def test_what_has_no_place_in_a_record(value, where):
    with pytest.raises(InvalidInput) as refused:
        record.canonical(value)
    assert where in refused.value.field


@pytest.mark.parametrize(("value", "expected"), [(1.5, 1_500_000), (1e12, "1000000000000000000"), (-2e-7, 0)])
def test_millionths(value, expected):
    assert record.micro(value) == expected
    assert record.from_record(record.micro(value)) == pytest.approx(value, abs=5e-7)


def body(**predicate):
    return record.statement("run", "r1", "00", predicate)


def test_a_sealed_record_opens_and_only_as_it_was():
    sealed = SEALER.seal(record.canonical(body(energy_uj=5)))
    opened = record.open_envelope(sealed.envelope, SEALER.key)
    assert (opened.kind, opened.subject) == ("run", "r1")
    assert opened.body["predicate"] == {"energy_uj": 5}
    for wrong in (
        sealed.envelope + b" ",
        sealed.envelope.replace(b'"payloadType"', b' "payloadType"'),
        sealed.envelope.replace(b"in-toto", b"in-tata"),
    ):
        with pytest.raises(BadProof):
            record.open_envelope(wrong, SEALER.key)


def test_a_swapped_payload_is_refused():
    ours, theirs = (SEALER.seal(record.canonical(body(energy_uj=n))).envelope for n in (5, 6))
    payload, _, signature = ours.partition(b'","payloadType"')
    with pytest.raises(BadSignature):
        record.open_envelope(payload + b'","payloadType"' + theirs.partition(b'","payloadType"')[2], SEALER.key)
    assert signature


def test_another_sites_key_does_not_open_it():
    other = record.Sealer(SecretKey.generate("site-test"))
    sealed = other.seal(record.canonical(body()))
    with pytest.raises(BadProof, match="another key"):
        record.open_envelope(sealed.envelope, SEALER.key)


def test_the_leaf_says_nothing_of_the_number():
    """The same record twice gives two unrelated leaves, so that no joule figure can be searched for."""
    payload = record.canonical(body(energy_uj=5))
    first, second = SEALER.seal(payload), SEALER.seal(payload)
    assert first.envelope == second.envelope
    assert first.leaf != second.leaf
    assert set(json.loads(first.leaf)) == {"commitment", "keyid", "schema"}
    assert len(first.salt) == record.SALT_BYTES


def test_the_envelope_is_canonical_and_is_dsse():
    sealed = SEALER.seal(record.canonical(body()))
    assert rfc8785.dumps(json.loads(sealed.envelope)) == sealed.envelope
    assert rfc8785.dumps(json.loads(sealed.leaf)) == sealed.leaf
    # The example of the DSSE specification.
    assert record.pre_authentication(b"hello world").startswith(b"DSSEv1 28 application/vnd.in-toto+json 11 hello")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_envelope_parser(raw):
    with pytest.raises(HelioError):
        record.open_envelope(raw, SEALER.key)


@given(st.data())
def test_no_mutation_of_an_envelope_opens(data):
    envelope = bytearray(SEALER.seal(record.canonical(body(energy_uj=5))).envelope)
    place = data.draw(st.integers(0, len(envelope) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != envelope[place]))
    envelope[place] = changed
    with pytest.raises(HelioError):
        record.open_envelope(bytes(envelope), SEALER.key)


@given(VALUES | st.floats(-1e6, 1e6) | st.dictionaries(st.text(max_size=5), st.floats(-1e3, 1e3)))
def test_others_lines_are_recorded_in_their_canonical_form_too(value):
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        return
    try:
        line = json.dumps(value).encode()
        said = json.loads(entry_payload(line))
    except InvalidInput:
        return
    assert rfc8785.dumps(said) == entry_payload(line)
    assert rfc8785.dumps(said["predicate"]["entry"]) == expected
    assert said["subject"][0]["digest"]["sha256"] == record.digest(expected)
