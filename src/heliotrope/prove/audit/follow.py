"""Follows a log as it grows: each new checkpoint must extend the last one seen, each entry must be under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from heliotrope.errors import BadNote, BadProof, ProofError
from heliotrope.prove import halt
from heliotrope.prove.audit.source import Source
from heliotrope.prove.formats import merkle, tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note
from heliotrope.prove.formats.trust import Trust


def advance(source: Source, trust: Trust, last: Note | None, home: Path) -> Note:
    """The newest checkpoint, proven to extend `last`. Anything else is two histories: evidence, and a stop."""
    (raw,) = source.fetch(["checkpoint"])
    if raw is None:
        raise ProofError("the log shows no checkpoint")
    note = Note.parse(raw)
    tree = trust.check(note).tree
    if last is None:
        return note
    before = Checkpoint.parse(last.text)
    if tree.origin != before.origin:
        raise ProofError(
            f"this was the log {before.origin} and is now {tree.origin}", hint="audit it from another --home"
        )
    if tree.size < before.size:
        raise halt.stop(home, f"{tree.origin} went back from {before.size} entries to {tree.size}", last, note)
    try:
        path = merkle.consistency(before.size, tree.size, node_reader(source, tree))
        merkle.verify_consistency(before.size, tree.size, before.root, tree.root, path)
    except (BadProof, BadNote) as error:
        if not _served_honestly(source, tree):
            raise ProofError(
                f"{tree.origin}: its tiles do not hash to its checkpoint of {tree.size}", cause=str(error)
            ) from error
        raise halt.stop(home, f"{tree.origin} of size {tree.size} does not extend {before.size}", last, note) from error
    return note


def entries(source: Source, tree: Checkpoint, start: int) -> Iterator[tuple[int, bytes]]:
    """Entries from `start` on, each proven to be under `tree`, a bundle at a time."""
    for n in range(start // tiles.WIDTH, -(-tree.size // tiles.WIDTH)):
        width = tiles.width_at(tree.size, 0, n)
        bundle = tiles.decode_bundle(_tile(source, "entries", n, width), width)
        hashes = [merkle.leaf_hash(entry) for entry in bundle]
        _prove_bundle(source, tree, n, hashes)
        for place, entry in enumerate(bundle):
            if n * tiles.WIDTH + place >= start:
                yield n * tiles.WIDTH + place, entry


def node_reader(source: Source, tree: Checkpoint, known: dict[int, list[bytes]] | None = None) -> merkle.Node:
    """Nodes from the served tiles; leaf tiles in `known` are taken from there."""

    def fetch(level: int, n: int, width: int) -> bytes:
        if level == 0 and known and n in known:
            return b"".join(known[n])
        return _tile(source, level, n, width)

    return tiles.node_reader(fetch, tree.size)


def _prove_bundle(source: Source, tree: Checkpoint, n: int, hashes: list[bytes]) -> None:
    """The first entry's proof, its lower part made of these hashes alone: it holds only if each of them is right."""
    first = n * tiles.WIDTH
    path = merkle.inclusion(first, tree.size, node_reader(source, tree, {n: hashes}))
    merkle.verify_inclusion(first, tree.size, hashes[0], path, tree.root)


def _served_honestly(source: Source, tree: Checkpoint) -> bool:
    """Whether the tiles make the signed root; else it is only a bad copy, not two histories."""
    try:
        return merkle.root(tree.size, node_reader(source, tree)) == tree.root
    except ProofError:
        return False


def _tile(source: Source, level: int | str, n: int, width: int) -> bytes:
    """The partial tile, or the start of the full one that has replaced it."""
    (raw,) = source.fetch([tiles.tile_path(level, n, width)])
    if raw is not None:
        return raw
    (full,) = source.fetch([tiles.tile_path(level, n)]) if width < tiles.WIDTH else (None,)
    if full is None:
        raise ProofError(f"the log lacks {tiles.tile_path(level, n, width)}")
    if level == "entries":
        return tiles.encode_bundle(tiles.decode_bundle(full, tiles.WIDTH)[:width])
    return full[: width * merkle.HASH_BYTES]
