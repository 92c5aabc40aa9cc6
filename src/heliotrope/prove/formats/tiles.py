"""C2SP tlog-tiles: where hashes and entries lie in static files, and how to read a tree from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from heliotrope.errors import BadProof
from heliotrope.prove.formats.merkle import HASH_BYTES, Node, fold

WIDTH = 256
HEIGHT = 8
MAX_ENTRY_BYTES = 65_535
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


def index_path(n: int) -> str:
    """1234067 to `x001/x234/067`."""
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.append(f"x{n % 1000:03d}")
    return "/".join(reversed(groups))


def tile_path(level: int | str, n: int, width: int = WIDTH) -> str:
    """`level` is a number, or `entries` for bundles."""
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{index_path(n)}{suffix}"


def parse_path(path: str) -> tuple[int | None, int, int]:
    """(level, n, width); level None for a bundle of entries. The inverse of `tile_path`; nothing else is a path."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise BadProof("not a tile's path", cause=f"found {path[:80]!r}")
    level = None if match[1] == "entries" else int(match[1])
    n = int(match[2].replace("x", "").replace("/", ""))
    width = int(match[3]) if match[3] else WIDTH
    if (match[3] and width >= WIDTH) or (level or 0) > 63 or tile_path(match[1], n, width) != path:
        raise BadProof("not a tile's path", cause=f"found {path[:80]!r}")
    return level, n, width


def width_at(size: int, level: int, n: int) -> int:
    """How many hashes of tile n at that level a tree of `size` has; 0 when there is none."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - n * WIDTH))


def tiles_between(old: int, new: int) -> Iterator[tuple[int, int, int]]:
    """(level, n, width) of each tile that a tree of `new` has and one of `old` lacks or has narrower."""
    level = 0
    while new >> (HEIGHT * level):
        first = (old >> (HEIGHT * level)) // WIDTH
        last = ((new >> (HEIGHT * level)) - 1) // WIDTH
        for n in range(first, last + 1):
            width = width_at(new, level, n)
            if width > width_at(old, level, n):
                yield level, n, width
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise BadProof(f"an entry of {len(entry)} bytes", hint=f"at most {MAX_ENTRY_BYTES}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    entries = []
    place = 0
    while place < len(raw):
        start = place + 2
        place = start + int.from_bytes(raw[place:start], "big")
        if start > len(raw) or place > len(raw):
            raise BadProof("a truncated bundle of entries")
        entries.append(raw[start:place])
    if len(entries) != width:
        raise BadProof(f"a bundle of {len(entries)} entries, not {width}")
    return entries


def split_tile(raw: bytes, width: int) -> list[bytes]:
    if len(raw) != width * HASH_BYTES:
        raise BadProof(f"a tile of {len(raw)} bytes", cause=f"{width} hashes are {width * HASH_BYTES} bytes")
    return [raw[i : i + HASH_BYTES] for i in range(0, len(raw), HASH_BYTES)]


def node_reader(fetch: Callable[[int, int, int], bytes], size: int) -> Node:
    """Nodes of a tree of `size` from its tiles; `fetch(level, n, width)` gives a tile's bytes, kept once read."""
    held: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, above = divmod(level, HEIGHT)
        n, first = divmod(index << above, WIDTH)
        if (tile_level, n) not in held:
            width = width_at(size, tile_level, n)
            held[tile_level, n] = split_tile(fetch(tile_level, n, width), width)
        hashes = held[tile_level, n][first : first + (1 << above)]
        if len(hashes) != 1 << above:
            raise BadProof(f"a tree of {size} has no node {index} at level {level}")
        return fold(hashes)

    return node
