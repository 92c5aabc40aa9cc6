"""Opens chosen records to whoever asks, and to nobody else: salt, envelope and evidence, as an auditor reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heliotrope.files import write_whole
from heliotrope.prove.ledger import Ledger


def reveal(ledger: Ledger, indices: Sequence[int], directory: Path) -> tuple[int, ...]:
    """Writes `record/N` and `evidence/HEX`; for a run its plans' records too, without which it cannot be judged."""
    wanted = sorted({*indices, *(plan for index in indices for plan in _plans_of(ledger, index))})
    for index in wanted:
        write_whole(directory / "record" / str(index), ledger.record_file(index))
        digest = _evidence_of(ledger, index)
        if digest:
            write_whole(directory / "evidence" / digest, ledger.evidence(digest))
    return tuple(wanted)


def _plans_of(ledger: Ledger, index: int) -> tuple[int, ...]:
    opened = ledger.open(index)
    if opened.kind != "run":
        return ()
    with ledger.store.read() as tx:
        workload = opened.body["predicate"]["workload"]["id"]
        rows = tx.all("SELECT idx FROM log_record WHERE subject = ? AND kind = 'plan'", (workload,))
    return tuple(int(row[0]) for row in rows)


def _evidence_of(ledger: Ledger, index: int) -> str:
    with ledger.store.read() as tx:
        row = tx.one("SELECT evidence FROM log_record WHERE idx = ?", (index,))
    return str(row[0]) if row is not None and row[0] else ""
