"""Tiles and bundles: paths, widths, and trees read back from files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.errors import BadProof
from heliotrope.prove.formats import merkle, tiles


def test_paths():
    assert tiles.index_path(1234067) == "x001/x234/067"
    assert tiles.tile_path(0, 0) == "tile/0/000"
    assert tiles.tile_path("entries", 1, 1) == "tile/entries/001.p/1"
    assert tiles.tile_path(15, 123456789, 41) == "tile/15/x123/x456/789.p/41"


@given(st.integers(0, 2**54), st.integers(0, 63) | st.none(), st.integers(1, 256))
def test_a_path_reads_back(n, level, width):
    path = tiles.tile_path("entries" if level is None else level, n, width)
    assert tiles.parse_path(path) == (level, n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/64/000",
        "tile/00/000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/../../etc/passwd",
        "tile/0/000/",
        "tile/entries/\u0661\u0661\u0661",
        "checkpoint",
    ],
)
def test_what_is_not_a_path(path):
    with pytest.raises(BadProof):
        tiles.parse_path(path)


def test_the_tiles_of_seventy_thousand():
    found = list(tiles.tiles_between(0, 70_000))
    assert sum(level == 0 and width == 256 for level, _, width in found) == 273
    assert {t for t in found if t[2] != 256} == {(0, 273, 112), (1, 1, 17), (2, 0, 1)}
    assert list(tiles.tiles_between(0, 256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles.tiles_between(5, 5)) == []


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_what_is_between_completes_what_was(a, b):
    old, new = sorted((a, b))
    latest = {(level, n): width for level, n, width in tiles.tiles_between(0, old)}
    latest |= {(level, n): width for level, n, width in tiles.tiles_between(old, new)}
    assert latest == {(level, n): width for level, n, width in tiles.tiles_between(0, new)}


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_survive(entries):
    raw = tiles.encode_bundle(entries)
    assert tiles.decode_bundle(raw, len(entries)) == entries
    for wrong in (raw[:-1], raw + b"\x00", raw + b"\x00\x05ab"):
        with pytest.raises(BadProof):
            tiles.decode_bundle(wrong, len(entries))


def test_an_oversized_entry_is_refused():
    assert tiles.encode_bundle([bytes(65_535)])
    with pytest.raises(BadProof, match="65536 bytes"):
        tiles.encode_bundle([bytes(65_536)])


def test_a_tree_reads_the_same_from_tiles():
    leaves = [merkle.leaf_hash(str(i).encode()) for i in range(66_000)]
    levels = [leaves, [merkle.fold(leaves[i : i + 256]) for i in range(0, 257 * 256, 256)]]
    levels.append([merkle.fold(levels[1][:256])])
    size = len(leaves)
    fetched = []

    def fetch(level, n, width):
        fetched.append((level, n))
        return b"".join(levels[level][n * 256 : n * 256 + width])

    node = tiles.node_reader(fetch, size)
    root = merkle.root(size, node)
    assert root == merkle.fold(leaves)
    assert fetched == list(dict.fromkeys(fetched)), "no tile is fetched twice"
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        path = merkle.inclusion(index, size, tiles.node_reader(fetch, size))
        merkle.verify_inclusion(index, size, leaves[index], path, root)
    merkle.verify_consistency(300, size, merkle.fold(leaves[:300]), root, merkle.consistency(300, size, node))


def test_a_truncated_tile_is_refused():
    node = tiles.node_reader(lambda _level, _n, width: bytes(32 * width - 1), 10)
    with pytest.raises(BadProof, match="a tile of 319 bytes"):
        node(0, 0)
