"""RFC 6962 trees as pure functions: roots and proofs from a reader of complete subtrees, and their verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from heliotrope.errors import BadProof

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_PROOF = 63

# node(level, index) is the hash over leaves [index << level, (index + 1) << level), which must all exist.
Node = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes that are all of one level."""
    if not hashes:
        return EMPTY_ROOT
    layer = list(hashes)
    while len(layer) > 1:
        odd = layer[-1:] if len(layer) % 2 else []
        layer = [node_hash(layer[i], layer[i + 1]) for i in range(0, len(layer) - 1, 2)] + odd
    return layer[0]


def reader(leaf_hashes: Sequence[bytes]) -> Node:
    """A node reader over leaf hashes held in memory."""
    return lambda level, index: fold(leaf_hashes[index << level : (index + 1) << level])


def root(size: int, node: Node) -> bytes:
    return _range(0, size, node) if size else EMPTY_ROOT


def _split(count: int) -> int:
    """The largest power of two below `count`, for count > 1."""
    return 1 << ((count - 1).bit_length() - 1)


def _range(begin: int, end: int, node: Node) -> bytes:
    """The hash over [begin, end), where begin is a multiple of the power of two at or above end - begin."""
    count = end - begin
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, begin >> level)
    middle = begin + _split(count)
    return node_hash(_range(begin, middle, node), _range(middle, end, node))


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[size]): from the leaf's sibling up."""
    if not 0 <= index < size:
        raise BadProof(f"entry {index} is not in a tree of {size}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]); empty where old is 0 or new."""
    if not 0 <= old <= new:
        raise BadProof(f"no tree of {new} can hold one of {old}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    begin, end, whole = 0, new, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(_range(begin, end, node))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected_root: bytes) -> None:
    """RFC 9162, 2.1.3.2. `leaf` is the leaf's hash."""
    _check_hashes(path)
    if not 0 <= index < size:
        raise BadProof(f"entry {index} is not in a tree of {size}")
    found = leaf
    for sibling, on_the_left in _climb(index, size - 1, path, "inclusion"):
        found = node_hash(sibling, found) if on_the_left else node_hash(found, sibling)
    if found != expected_root:
        raise BadProof("the inclusion proof leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """RFC 9162, 2.1.4.2; every tree extends the empty one, whose root must be the empty root."""
    _check_hashes(path)
    if not 0 <= old <= new:
        raise BadProof(f"a tree of {new} cannot extend one of {old}")
    if old in {0, new}:
        if path:
            raise BadProof("the consistency proof should be empty")
        if old == 0 and old_root != EMPTY_ROOT:
            raise BadProof("the root of an empty tree is not the empty root")
        if new == 0 and new_root != EMPTY_ROOT:
            raise BadProof("the root of an empty tree is not the empty root")
        if old == new and old_root != new_root:
            raise BadProof(f"two trees of {old} with different roots")
        return
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not hashes:
        raise BadProof("the consistency proof is too short")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = hashes[0]
    for sibling, on_the_left in _climb(place, last, hashes[1:], "consistency"):
        if on_the_left:
            older = node_hash(sibling, older)
        newer = node_hash(sibling, newer) if on_the_left else node_hash(newer, sibling)
    if older != old_root:
        raise BadProof("the consistency proof leads to another old root")
    if newer != new_root:
        raise BadProof("the consistency proof leads to another new root")


def _climb(place: int, last: int, path: Sequence[bytes], proof: str) -> Iterator[tuple[bytes, bool]]:
    """Each sibling from node `place` of a level up to the root, and whether it lies on the left.

    `last` is the level's last node: one that has no sibling of its own rises until it has.
    """
    for sibling in path:
        if last == 0:
            raise BadProof(f"the {proof} proof is too long")
        on_the_left = bool(place & 1) or place == last
        yield sibling, on_the_left
        while on_the_left and not place & 1 and place:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    if last:
        raise BadProof(f"the {proof} proof is too short")


def _check_hashes(path: Sequence[bytes]) -> None:
    if len(path) > MAX_PROOF:
        raise BadProof(f"a proof of {len(path)} hashes", hint=f"at most {MAX_PROOF} fit a tree of 2^63")
    if any(len(step) != HASH_BYTES for step in path):
        raise BadProof("a proof holds something that is not a SHA-256 hash")
