"""The bytes that log and contract share: one claim, one leaf, and no other reading of it."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import InvalidInput
from heliotrope.prove.claims.leaf import (
    LEAF_BYTES,
    MAX_LIFE_S,
    TAG,
    Claim,
    check_address,
    claim_id,
    leaf_data,
    parse_leaf,
    serial_of,
)
from heliotrope.units import S_PER_DAY

digests = st.binary(min_size=32, max_size=32)
addresses = st.integers(1, 2**160 - 1).map(lambda n: f"0x{n:040x}")


@st.composite
def claims(draw):
    start_s = draw(st.integers(0, 2**32))
    end_s = start_s + draw(st.integers(1, 400 * S_PER_DAY))
    expiry_s = end_s + draw(st.integers(1, MAX_LIFE_S))
    method = draw(digests)
    serial = serial_of(draw(st.text(max_size=20)), start_s, end_s)
    return Claim(
        claim_id(method, end_s, expiry_s, serial),
        draw(st.integers(1, 2**128 - 1)),
        draw(addresses),
        method,
        start_s,
        end_s,
        expiry_s,
        draw(digests),
    )


@given(claims(), st.integers(1, 2**63), addresses)
def test_a_leaf_reads_back_as_what_was_written(claim, chain_id, contract):
    data = leaf_data(claim, chain_id, contract)
    assert len(data) == LEAF_BYTES == 352
    assert data.startswith(TAG)
    assert parse_leaf(data) == (claim, chain_id, contract)


@given(st.binary(max_size=400))
def test_no_other_bytes_are_a_leaf(noise):
    for data in (noise, TAG + noise, (TAG + noise).ljust(LEAF_BYTES, b"\xff")[:LEAF_BYTES]):
        with pytest.raises(InvalidInput, match="not a claim's leaf"):
            parse_leaf(data)


@given(claims(), st.integers(32, LEAF_BYTES - 1), st.integers(1, 255))
def test_a_changed_byte_is_another_claim_or_none(claim, at, change):
    data = leaf_data(claim, 1, "0x" + "11" * 20)
    other = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
    try:
        read = parse_leaf(other)
    except InvalidInput:
        return
    assert read != (claim, 1, "0x" + "11" * 20)
    assert leaf_data(*read) == other


@given(claims())
def test_the_buffer_is_a_fifth_rounded_up(claim):
    assert 5 * claim.buffer_grams >= claim.grams > 5 * (claim.buffer_grams - 1)


@given(claims())
def test_the_id_says_method_vintage_and_expiry(claim):
    raw = claim.id.to_bytes(32, "big")
    assert raw[:4] == claim.method[:4]
    assert int.from_bytes(raw[4:8], "big") == claim.end_s // S_PER_DAY
    assert int.from_bytes(raw[8:12], "big") == claim.expiry_s // S_PER_DAY
    with pytest.raises(ValueError, match="the id does not say"):
        msgspec.structs.replace(claim, id=claim.id ^ (1 << 255))


def test_programmes_and_periods_do_not_share_serials():
    names, periods = ("a", "b", "a\0", ""), ((0, 1), (1, 2), (0, 2))
    serials = {serial_of(name, *period) for name in names for period in periods}
    assert len(serials) == len(names) * len(periods)


@pytest.mark.parametrize(
    "changes",
    [{"grams": 0}, {"grams": 2**128}, {"method": b"short"}, {"evidence": b""}, {"start_s": 2**33}, {"owner": "0x12"}],
)
def test_a_claim_that_cannot_be_is_refused(changes):
    method = hashlib.sha256(b"m").digest()
    fields = {
        "id": claim_id(method, S_PER_DAY, 2 * S_PER_DAY, 1),
        "grams": 1,
        "owner": "0x" + "11" * 20,
        "method": method,
        "start_s": 0,
        "end_s": S_PER_DAY,
        "expiry_s": 2 * S_PER_DAY,
        "evidence": bytes(32),
    }
    Claim(**fields)
    with pytest.raises((ValueError, InvalidInput)):
        Claim(**fields | changes)


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "0" * 40, "11" * 20, "0x" + "g" * 40, "0x" + "1" * 41, "0x" + "1" * 40 + "\n"]
)
def test_what_is_no_address(text):
    with pytest.raises(InvalidInput, match="not an address"):
        check_address(text, field="to")


def test_the_committed_contract_is_about_the_same_tag():
    from heliotrope.prove.chain import artifact

    assert TAG.hex() in artifact.source()
