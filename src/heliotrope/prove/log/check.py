"""Checks a whole log, its own or a copy: every hash, every checkpoint, every record that is still there."""

from __future__ import annotations

import msgspec

from heliotrope.errors import BadProof, ProofError
from heliotrope.prove.formats import merkle, tiles
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.log import sequencer
from heliotrope.prove.records import record
from heliotrope.store import Transaction


class Checked(msgspec.Struct, frozen=True):
    """`records`: envelopes whose signature and commitment hold; `erased`: entries without one."""

    entries: int
    records: int
    erased: int
    checkpoints: int
    root: str


def check_all(ledger: Ledger) -> Checked:
    """From the entries up: nothing that is stored is believed."""
    trust = Trust(ledger.log_keys(), ledger.witness_keys())
    signers = {record.key_id(key.public): key for key in ledger.site_keys()}
    with ledger.store.read() as tx:
        size = sequencer.size(tx)
        _check_tiles(tx, size)
        node = sequencer.node(tx, size)
        checkpoints = tx.all("SELECT note FROM log_checkpoint ORDER BY size")
        for row in checkpoints:
            tree = trust.check(Note.parse(row[0].encode())).tree
            if tree.size > size or merkle.root(tree.size, node) != tree.root:
                raise BadProof(f"the checkpoint of size {tree.size} is not a prefix of the log")
        records = 0
        for row in tx.all("SELECT r.idx, r.salt, r.envelope, e.leaf FROM log_record r JOIN log_entry e USING (idx)"):
            entry = bytes(row[3])
            signer = signers.get(msgspec.json.decode(entry)["keyid"])
            if signer is None or record.leaf(bytes(row[1]), bytes(row[2]), record.key_id(signer.public)) != entry:
                raise BadProof(f"record {row[0]} is not the one the log committed to")
            record.open_envelope(bytes(row[2]), signer)
            records += 1
        root = merkle.root(size, node)
    _check_files(ledger, size)
    return Checked(size, records, size - records, len(checkpoints), root.hex())


def _check_tiles(tx: Transaction, size: int) -> None:
    """Every stored tile against what the entries hash to."""
    level, hashes = 0, [merkle.leaf_hash(entry) for entry in sequencer.read_entries(tx, 0, size)]
    while hashes:
        above = []
        for n in range(0, len(hashes), tiles.WIDTH):
            part = hashes[n : n + tiles.WIDTH]
            if sequencer.read_tile(tx, level, n // tiles.WIDTH, len(part)) != b"".join(part):
                raise BadProof(f"tile {n // tiles.WIDTH} of level {level} is not what its entries hash to")
            if len(part) == tiles.WIDTH:
                above.append(merkle.fold(part))
        level, hashes = level + 1, above


def _check_files(ledger: Ledger, size: int) -> None:
    """The published checkpoint's tiles and bundles, as a stranger would read them."""
    path = ledger.folder / "checkpoint"
    if not path.exists():
        return
    tree = Checkpoint.parse(Note.parse(path.read_bytes()).text)
    if tree.size > size:
        raise BadProof(f"the published checkpoint has {tree.size} entries, the store only {size}")
    for level, n, width in tiles.tiles_between(0, tree.size):
        kinds: tuple[int | str, ...] = (level, "entries") if level == 0 else (level,)
        for kind in kinds:
            file = ledger.folder / tiles.tile_path(kind, n, width)
            if not file.is_file():
                raise ProofError(f"{file}: missing", hint="`helio log export` writes every file again")
            raw = file.read_bytes()
            with ledger.store.read() as tx:
                if kind == "entries":
                    start = n * tiles.WIDTH
                    expected = tiles.encode_bundle(sequencer.read_entries(tx, start, start + width))
                else:
                    expected = sequencer.read_tile(tx, level, n, width)
            if raw != expected:
                raise BadProof(f"{file}: differs from the log")
