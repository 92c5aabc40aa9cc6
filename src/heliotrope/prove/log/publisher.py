"""Turns the store's log into static files that any web server can serve: bundles, then tiles, then the checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath

from heliotrope.errors import SplitView
from heliotrope.files import put_all, sync_folders, write_whole
from heliotrope.prove.formats import tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note, SecretKey
from heliotrope.prove.log import sequencer
from heliotrope.store import Store, Transaction

_AT_ONCE = 64  # files open together


def prepare(store: Store, folder: Path, origin: str, keys: Sequence[SecretKey], *, time_s: int) -> Note:
    """Writes the tiles that the files lack and signs the newest tree; the caller holds the folder.

    The files and every checkpoint ever signed must be prefixes of the store's tree; anything else stops here.
    """
    with store.read() as tx:
        size = sequencer.size(tx)
        tree = Checkpoint(origin, size, sequencer.root(tx, size))
        _refuse_rollback(tx, tree)
        shown = shown_tree(folder)
        _refuse_split(tx, tree, shown)
        write_tiles(tx, folder, shown.size if shown else 0, size)
    return _sign_once(store, tree, keys, time_s)


def show(folder: Path, note: Note) -> None:
    """Makes `note` what the world sees, once its tiles are there; what it has seen is never taken back."""
    before, size = shown_tree(folder), Checkpoint.parse(note.text).size
    if before is not None and before.size > size:
        return
    write_whole(folder / "checkpoint", str(note).encode())
    if before is not None:
        _drop_partials(folder, before.size, size)


def newest(tx: Transaction, *, quorum: int = 0) -> Note | None:
    """The largest checkpoint that enough witnesses cosigned."""
    row = tx.one("SELECT note FROM log_checkpoint WHERE witnesses >= ? ORDER BY size DESC LIMIT 1", (quorum,))
    return None if row is None else Note.parse(row[0].encode())


def write_tiles(tx: Transaction, folder: Path, old: int, new: int) -> None:
    """The files a tree of `new` has beyond one of `old`, durable when this returns."""
    folders: set[Path] = set()
    files = _files(tx, old, new)
    while some := list(islice(files, _AT_ONCE)):
        put_all((folder / path, raw) for path, raw in some)
        # Every folder whose entries must be made durable: from the file's up to the log's own.
        folders.update(folder / above for path, _ in some for above in PurePath(path).parents)
    sync_folders(sorted(folders))


def _files(tx: Transaction, old: int, new: int) -> Iterator[tuple[str, bytes]]:
    """Bundles of entries, then tiles, from the leaves up."""
    todo = sorted(tiles.tiles_between(old, new), key=lambda tile: tile[0])
    for level, n, width in todo:
        if level == 0:
            start = n * tiles.WIDTH
            bundle = tiles.encode_bundle(sequencer.read_entries(tx, start, start + width))
            yield tiles.tile_path("entries", n, width), bundle
    for level, n, width in todo:
        yield tiles.tile_path(level, n, width), sequencer.read_tile(tx, level, n, width)


def shown_tree(folder: Path) -> Checkpoint | None:
    path = folder / "checkpoint"
    return Checkpoint.parse(Note.parse(path.read_bytes()).text) if path.exists() else None


def _refuse_rollback(tx: Transaction, tree: Checkpoint) -> None:
    """The newest checkpoint we ever signed must be a prefix of the tree; else the store went back or was rewritten."""
    row = tx.one("SELECT size, root FROM log_checkpoint ORDER BY size DESC LIMIT 1")
    if row is None:
        return
    _refuse(tx, tree, int(row[0]), bytes(row[1]), "a checkpoint in the store")


def _refuse_split(tx: Transaction, tree: Checkpoint, shown: Checkpoint | None) -> None:
    if shown is None:
        return
    if shown.origin != tree.origin:
        raise SplitView(
            f"the published log is {shown.origin}, not {tree.origin}",
            hint="set prove.origin back, or use another --home for another log",
        )
    _refuse(tx, tree, shown.size, shown.root, "the published checkpoint")


def _refuse(tx: Transaction, tree: Checkpoint, size: int, root: bytes, what: str) -> None:
    if size > tree.size:
        raise SplitView(
            f"{what} has {size} entries, the store only {tree.size}",
            cause="the store was rolled back, as by restoring an old copy",
            hint="restore the newest store; the log publishes nothing until then",
        )
    if sequencer.root(tx, size) != root:
        raise SplitView(
            f"{what} of size {size} is not a prefix of the store's log",
            cause="entries that were already signed have changed",
            hint="restore the store as it was; the log publishes nothing until then",
        )


def _sign_once(store: Store, tree: Checkpoint, keys: Sequence[SecretKey], time_s: int) -> Note:
    """One checkpoint a size: what was signed first is kept, with the cosignatures it gained."""
    with store.write() as tx:
        row = tx.one("SELECT note FROM log_checkpoint WHERE size = ?", (tree.size,))
        if row is not None:
            return Note.parse(row[0].encode())
        note = tree.signed(*keys, time_s=time_s)
        tx.execute("INSERT INTO log_checkpoint (size, root, note) VALUES (?, ?, ?)", (tree.size, tree.root, str(note)))
        return note


def _drop_partials(folder: Path, old: int, new: int) -> None:
    """Partial tiles whose full tile is there now; readers fall back to it."""
    for level, n, width in tiles.tiles_between(old, new):
        if width == tiles.WIDTH:
            for kind in (level, "entries") if level == 0 else (level,):
                shutil.rmtree(folder / f"{tiles.tile_path(kind, n)}.p", ignore_errors=True)
