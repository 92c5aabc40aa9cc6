"""Trees: the recursive definition of RFC 6962 against what the code does, for every pair of sizes."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadProof
from heliotrope.prove.formats import merkle

LEAVES = [merkle.leaf_hash(bytes([i])) for i in range(40)]


def mth(hashes):
    """Section 2.1, word for word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


ROOTS = [mth(LEAVES[:n]) for n in range(len(LEAVES) + 1)]
NODE = merkle.reader(LEAVES)


def test_roots_are_those_of_the_definition():
    for n, expected in enumerate(ROOTS):
        assert merkle.root(n, NODE) == merkle.fold(LEAVES[:n]) == expected


def test_every_inclusion_proof_verifies_and_only_there():
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            path = merkle.inclusion(index, size, NODE)
            merkle.verify_inclusion(index, size, LEAVES[index], path, ROOTS[size])
            for wrong in (index - 1, index + 1, size):
                with pytest.raises(BadProof):
                    merkle.verify_inclusion(wrong, size, LEAVES[index], path, ROOTS[size])


def test_every_consistency_proof_verifies_and_only_there():
    for new in range(len(LEAVES) + 1):
        for old in range(new + 1):
            path = merkle.consistency(old, new, NODE)
            merkle.verify_consistency(old, new, ROOTS[old], ROOTS[new], path)
            if 0 < old < new:
                for a, b in ((ROOTS[old - 1], ROOTS[new]), (ROOTS[old], ROOTS[new - 1])):
                    with pytest.raises(BadProof):
                        merkle.verify_consistency(old, new, a, b, path)


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root", "reason"),
    [
        (0, 5, ROOTS[1], ROOTS[5], "an empty tree is not the empty root"),
        (0, 0, ROOTS[0], ROOTS[1], "an empty tree is not the empty root"),
        (3, 3, ROOTS[3], ROOTS[4], "two trees of 3 with different roots"),
        (5, 3, ROOTS[5], ROOTS[3], "a tree of 3 cannot extend one of 5"),
        (-1, 3, ROOTS[0], ROOTS[3], "a tree of 3 cannot extend one of -1"),
        (3, 5, ROOTS[3], ROOTS[5], "too short"),
        (4, 5, ROOTS[4], ROOTS[5], "too short"),
    ],
)
def test_size_rules(old, new, old_root, new_root, reason):
    with pytest.raises(BadProof, match=reason):
        merkle.verify_consistency(old, new, old_root, new_root, [])


def test_anything_follows_the_empty_tree_and_needs_no_proof():
    assert merkle.consistency(0, 5, NODE) == []
    merkle.verify_consistency(0, 5, ROOTS[0], ROOTS[5], [])
    with pytest.raises(BadProof, match="should be empty"):
        merkle.verify_consistency(0, 5, ROOTS[0], ROOTS[5], [ROOTS[1]])


@given(st.integers(2, 40), st.data())
def test_a_changed_bit_never_verifies(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, NODE)
    place = data.draw(st.integers(0, len(path) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(path[place], "big") ^ (1 << bit)).to_bytes(32, "big")
    with pytest.raises(BadProof):
        merkle.verify_inclusion(index, size, LEAVES[index], [*path[:place], flipped, *path[place + 1 :]], ROOTS[size])


@given(st.integers(1, 40), st.data())
def test_a_proof_cut_short_or_stretched_never_verifies(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, NODE)
    changed = path[:-1] if path and data.draw(st.booleans()) else [*path, ROOTS[1]]
    with pytest.raises(BadProof):
        merkle.verify_inclusion(index, size, LEAVES[index], changed, ROOTS[size])


def test_a_proof_at_two_to_the_thirty_is_thirty_hashes():
    """Nodes of a huge tree of equal leaves: one hash a level, so the reader needs no leaves."""
    levels = [merkle.leaf_hash(b"x")]
    for _ in range(31):
        levels.append(merkle.node_hash(levels[-1], levels[-1]))
    size = (1 << 30) - 5
    node = lambda level, _index: levels[level]  # noqa: E731
    for index in (0, 12345, size - 1):
        path = merkle.inclusion(index, size, node)
        assert len(path) <= 30
        merkle.verify_inclusion(index, size, levels[0], path, merkle.root(size, node))
    merkle.verify_consistency(
        1000, size, merkle.root(1000, node), merkle.root(size, node), merkle.consistency(1000, size, node)
    )
