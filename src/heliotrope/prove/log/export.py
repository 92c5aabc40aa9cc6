"""Copies of a log as plain files: for any web server, for a stranger's verifier, or for an auditor with no network."""

from __future__ import annotations

from pathlib import Path

from heliotrope.errors import ProofError
from heliotrope.files import held, write_whole
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.log import publisher


def export(ledger: Ledger, directory: Path, *, records: bool = False) -> int:
    """What is published, complete from the first tile on, the checkpoint last; returns its size.

    `records` adds what the log only commits to, under the paths that `helio log serve --records` gives it.
    """
    with held(ledger.folder / ".lock"):
        shown = publisher.shown_tree(ledger.folder)
        if shown is None:
            raise ProofError("nothing is published yet")
        with ledger.store.read() as tx:
            publisher.write_tiles(tx, directory, 0, shown.size)
        if records:
            _private(ledger, directory, shown.size)
        for name in ("vkeys", "parties", "checkpoint"):
            write_whole(directory / name, (ledger.folder / name).read_bytes())
    return shown.size


def _private(ledger: Ledger, directory: Path, size: int) -> None:
    with ledger.store.read() as tx:
        kept = [int(row[0]) for row in tx.all("SELECT idx FROM log_record WHERE idx < ?", (size,))]
        evidence = [str(row[0]) for row in tx.all("SELECT digest FROM log_evidence")]
    for index in kept:
        write_whole(directory / "record" / str(index), ledger.record_file(index))
    for digest in evidence:
        write_whole(directory / "evidence" / digest, ledger.evidence(digest))
