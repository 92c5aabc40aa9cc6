"""Notes, keys and checkpoints: what must be refused is refused, and signing twice gives the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadNote, BadSignature, HelioError
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.merkle import EMPTY_ROOT
from heliotrope.prove.formats.note import Key, Note, SecretKey, parse_signatures
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.text import encode
from hostile import came_back

LOG = SecretKey("example.org/log", Algorithm.ED25519, bytes(range(32)))
WITNESS = SecretKey("witness.example/w", Algorithm.COSIGNATURE, bytes(range(1, 33)))
TREE = Checkpoint("example.org/log", 7, b"\x01" * 32)


def mutations(text):
    """One character of `text` is another."""
    return st.builds(lambda at, char: text[:at] + char + text[at + 1 :], st.integers(0, len(text) - 1), st.characters())


def signed():
    note = TREE.signed(LOG)
    return Note(note.text, (*note.signatures, WITNESS.sign(note.text, time_s=1_700_000_000)))


def test_keys_survive_their_text_form():
    for secret in (LOG, WITNESS):
        assert SecretKey.parse(secret.text()) == secret
        assert Key.parse(str(secret.key)) == secret.key


def test_a_signing_key_never_shows_its_seed():
    assert encode(LOG.seed) not in repr(LOG)
    assert repr(LOG) == "SecretKey(example.org/log)"


def test_a_note_survives_its_text_form_and_verifies():
    note = Note.parse(str(signed()).encode())
    assert note == signed()
    assert note.verified([LOG.key, WITNESS.key]) == {LOG.key: 0, WITNESS.key: 1_700_000_000}


def test_unknown_signatures_are_ignored():
    stranger = SecretKey("stranger", Algorithm.ED25519, b"\x07" * 32)
    assert signed().verified([stranger.key]) == {}


def test_a_known_key_that_fails_refuses_the_note():
    note = signed()
    forged = Note(note.text.replace("7\n", "8\n"), note.signatures)
    with pytest.raises(BadSignature, match=r"example\.org/log"):
        forged.verified([LOG.key])


def test_a_replayed_cosignature_of_another_time_is_refused():
    note = signed()
    blob = bytearray(note.signatures[1].blob)
    blob[7] ^= 1
    moved = Note(note.text, (parse_signatures(f"— {WITNESS.name} {encode(WITNESS.key.id + bytes(blob))}\n")))
    with pytest.raises(BadSignature):
        moved.verified([WITNESS.key])


def test_the_same_signer_twice_counts_once():
    note = signed()
    twice = Note(note.text, (*note.signatures, note.signatures[1]))
    assert list(twice.verified([WITNESS.key])) == [WITNESS.key]


def test_merging_replaces_a_keys_older_signature():
    note = signed()
    newer = WITNESS.sign(note.text, time_s=1_700_000_999)
    assert note.with_signatures([newer]).verified([WITNESS.key]) == {WITNESS.key: 1_700_000_999}
    assert len(note.with_signatures([newer]).signatures) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\xe2\x80\x94 name\n",
        b"text\n\n\xe2\x80\x94 name AAAA\n",  # too short to hold a signature
        b"text\n\n\xe2\x80\x94 na+me AAAAAAAAAA==\n",
        b"text\n\n\xe2\x80\x94  AAAAAAAAAA==\n",
        b"text\n\n- name AAAAAAAAAA==\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAAAA==",  # no final newline
        b"te\txt\n\n\xe2\x80\x94 name AAAAAAAAAA==\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAAAAA==\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAAAA\n",  # no padding
        b"x" * 1_000_001,
    ],
)
def test_malformed_notes(raw):
    with pytest.raises(BadNote):
        Note.parse(raw)


def test_a_hundred_signatures_are_enough():
    line = f"— name {encode(bytes(68))}\n"
    assert len(Note.parse(f"t\n\n{line * 100}".encode()).signatures) == 100
    with pytest.raises(BadNote):
        Note.parse(f"t\n\n{line * 101}".encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+abc+AAAA",
        "name+0000000G+AAAA",
        "na me+" + str(LOG.key).split("+", 1)[1],
        str(LOG.key).replace("example.org/log", "example.org/lag"),  # another name hashes to another id
        f"n+00000000+{encode(bytes([9]) + bytes(32))}",
        f"n+00000000+{encode(bytes([1]) + bytes(31))}",
    ],
)
def test_malformed_keys(text):
    with pytest.raises(BadNote):
        Key.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n" + encode(bytes(32)),
        "o\n01\n" + encode(bytes(32)) + "\n",
        "o\n-1\n" + encode(bytes(32)) + "\n",
        "o\n+1\n" + encode(bytes(32)) + "\n",
        "o\n\u0661\n" + encode(bytes(32)) + "\n",  # a digit, but not an ASCII one
        f"o\n{2**63}\n" + encode(bytes(32)) + "\n",
        "o\n1\n" + encode(bytes(31)) + "\n",
        "o\n1\n\n" + encode(bytes(32)) + "\n",
        "\n1\n" + encode(bytes(32)) + "\n",
        "o\n0\n" + encode(bytes(32)) + "\n",
        "o\n1\n",
    ],
)
def test_malformed_checkpoints(text):
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


def test_checkpoints_survive_their_text_form():
    for tree in (TREE, Checkpoint("o", 0, EMPTY_ROOT), Checkpoint("o", 2**63 - 1, bytes(32), ("ext", "more"))):
        assert Checkpoint.parse(tree.text()) == tree


def test_a_cosignature_needs_a_time():
    for time_s in (0, -1, 2**63):
        with pytest.raises(BadSignature):
            WITNESS.sign(TREE.text(), time_s=time_s)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_crash_the_note_parser(raw):
    try:
        note = Note.parse(raw)
    except HelioError:
        return
    assert Note.parse(str(note).encode()) == note


@given(st.text(max_size=120) | mutations(str(LOG.key)) | mutations(LOG.text()))
def test_no_text_crashes_the_key_parser(text):
    for parse, written in ((Key.parse, str), (SecretKey.parse, SecretKey.text)):
        key = came_back(lambda: parse(text))  # noqa: B023
        if isinstance(key, BadNote):
            assert "key" in str(key) or "base64" in str(key)
        else:
            assert written(key) == text.strip("\n")


@given(st.data())
def test_no_mutation_of_a_good_note_verifies_as_another_text(data):
    raw = bytearray(str(signed()).encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        note = Note.parse(bytes(raw))
        signers = note.verified([LOG.key, WITNESS.key])
    except HelioError:
        return
    assert not signers or note.text == signed().text
