"""What a page may show of a log at a glance: how far each party is, without asking anybody."""

from __future__ import annotations

import msgspec

from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.ledger import Ledger


class AuditorState(msgspec.Struct, frozen=True):
    """`lag`: run and plan records after the last that it judged; `name` as its key says, also of one never heard of."""

    name: str
    judged: int
    disagreed: int
    last_index: int | None
    last_at_s: int | None
    lag: int


class Overview(msgspec.Struct, frozen=True):
    """Entries: `size` in the log, `published` under the shown checkpoint, `anchored` as last mined from here."""

    size: int
    published: int
    anchored: int | None
    auditors: tuple[AuditorState, ...]
    programmes: tuple[str, ...]

    @property
    def unpublished(self) -> int:
        return self.size - self.published

    @property
    def unanchored(self) -> int | None:
        return None if self.anchored is None else self.size - self.anchored


def overview(ledger: Ledger) -> Overview:
    """One read of the store; no network, no chain."""
    note = ledger.checkpoint()
    with ledger.store.read() as tx:
        judged = {
            str(row[0]): row
            for row in tx.all(
                "SELECT auditor, count(*), sum(1 - agrees), max(idx), max(at_s) FROM audit GROUP BY auditor"
            )
        }
        wanted = [
            int(row[0])
            for row in tx.all("SELECT idx FROM log_record WHERE kind IN ('plan', 'run') AND kind <> 'entry'")
        ]
        anchors = tx.all("SELECT purpose FROM chain_tx WHERE purpose LIKE 'anchor %' AND state IN ('mined', 'final')")
        programmes = tx.all("SELECT subject FROM log_record WHERE kind = 'programme' ORDER BY idx")
    named = [key.name for key in ledger.auditors]
    states = []
    for name in dict.fromkeys((*named, *judged)):
        _, count, against, last, at_s = judged.get(name, (name, 0, 0, None, None))
        lag = sum(index > (-1 if last is None else last) for index in wanted)
        states.append(AuditorState(name, int(count), int(against), last, at_s, lag))
    return Overview(
        size=ledger.size(),
        published=Checkpoint.parse(note.text).size if note else 0,
        # A purpose reads `anchor CONTRACT SIZE ROOT`.
        anchored=max((int(str(row[0]).split()[2]) for row in anchors), default=None),
        auditors=tuple(states),
        programmes=tuple(str(row[0]) for row in programmes),
    )
