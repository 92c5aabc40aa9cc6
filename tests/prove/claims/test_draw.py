"""Nobody chooses who is held out."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadProof
from heliotrope.prove.claims.draw import PARTS, check_seed, held_out, seed_chain

secrets = st.binary(min_size=32, max_size=32)


@given(secrets, st.integers(1, 20))
def test_each_epoch_reveals_a_link_that_was_committed_to(secret, epochs):
    commitment, seeds = seed_chain(secret, epochs)
    assert len(seeds) == epochs
    for epoch, seed in enumerate(seeds):
        check_seed(commitment, epoch, seed)
        for other in range(epochs):
            if other != epoch:
                with pytest.raises(BadProof):
                    check_seed(commitment, other, seed)


@given(secrets, secrets, secrets)
def test_the_draw_is_the_same_for_everybody(registration, one, two):
    drawn = held_out("p", registration, {"a": one, "b": two}, 2000)
    assert drawn == held_out("p", registration, {"b": two, "a": one}, 2000)
    assert not held_out("p", registration, {"a": one}, 0)
    assert held_out("p", registration, {"a": one}, PARTS)


def test_the_share_is_kept_and_every_input_matters():
    def leaf(i):
        return hashlib.sha256(b"%d" % i).digest()

    def drawn(**changes):
        given = {"programme": "p", "seeds": {"a": b"1" * 32, "b": b"2" * 32}} | changes
        return [held_out(given["programme"], leaf(i), given["seeds"], 2000) for i in range(4000)]

    first = drawn()
    assert 0.17 < sum(first) / 4000 < 0.23
    for other in (
        drawn(programme="q"),
        drawn(seeds={"a": b"1" * 32, "b": b"3" * 32}),
        drawn(seeds={"a": b"1" * 32}),
        drawn(seeds={"a": b"2" * 32, "b": b"1" * 32}),
        drawn(seeds={"ab": b"1" * 32, "": b"2" * 32}),
    ):
        agree = sum(x == y for x, y in zip(first, other, strict=True)) / 4000
        assert 0.62 < agree < 0.74  # 0.2² + 0.8² = 0.68 for independent draws
