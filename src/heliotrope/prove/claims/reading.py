"""Where a programme's records are read: this home's log, or somebody else's, believed only as far as it proves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from heliotrope.errors import BadSignature, InvalidInput, ProofError, UnknownName
from heliotrope.prove.audit import follow
from heliotrope.prove.audit.source import Source, open_source
from heliotrope.prove.claims.history import KINDS, Entry
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.log import sequencer
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.prove.records.record import Opened


def from_ledger(ledger: Ledger, kinds: Sequence[str] = KINDS) -> Iterator[Entry]:
    """The records of these kinds in this home's own log, in its order."""
    marks = ", ".join("?" * len(kinds))
    with ledger.store.read() as tx:
        rows = tx.all(f"SELECT idx FROM log_record WHERE kind IN ({marks}) ORDER BY idx", kinds)
        leaves = {row["idx"]: sequencer.read_entries(tx, row["idx"], row["idx"] + 1)[0] for row in rows}
    for index, leaf in leaves.items():
        yield _entry(index, leaf, ledger.open(index))


def own_evidence(ledger: Ledger, digest: str) -> bytes | None:
    try:
        return ledger.evidence(digest)
    except UnknownName:
        return None


def has_programme(ledger: Ledger, name: str) -> bool:
    with ledger.store.read() as tx:
        return tx.one("SELECT 1 FROM log_record WHERE kind = 'programme' AND subject = ?", (name,)) is not None


class Elsewhere:
    """Another's log: its checkpoint signed as `trust` asks, each entry under it, each record signed by a known site."""

    def __init__(self, where: str, *, vkeys: Path | None, quorum: int) -> None:
        self._source: Source = open_source(where)
        if vkeys is None:
            (shown,) = self._source.fetch(["vkeys"])
            if shown is None:
                raise InvalidInput("the log shows no keys", hint="give them with --vkeys")
            self._trust = Trust.parse(shown.decode(), file=f"{where}/vkeys", quorum=quorum)
        else:
            self._trust = Trust.read(vkeys, quorum=quorum)
        (raw,) = self._source.fetch(["checkpoint"])
        if raw is None:
            raise ProofError(f"{where} shows no checkpoint")
        self.tree: Checkpoint = self._trust.check(Note.parse(raw)).tree
        self.leaves = tuple(follow.entries(self._source, self.tree, 0))

    def entries(self, kinds: Sequence[str] = KINDS) -> Iterator[Entry]:
        shown = self._source.fetch([f"record/{index}" for index, _ in self.leaves])
        for (index, leaf), raw in zip(self.leaves, shown, strict=True):
            if raw is None:
                continue
            kept = RecordFile.parse(raw)
            if kept.entry != leaf:
                raise ProofError(f"the record shown for entry {index} is another's")
            opened = kept.open()
            if opened is None or opened.kind not in kinds:
                continue
            if self._trust.sites and opened.key not in self._trust.sites:
                raise BadSignature(f"entry {index} is signed by an unknown site", cause=str(opened.key))
            yield _entry(index, leaf, opened)

    def evidence(self, digest: str) -> bytes | None:
        (raw,) = self._source.fetch([f"evidence/{digest}"])
        return raw


def _entry(index: int, leaf: bytes, opened: Opened) -> Entry:
    body = opened.body.get("predicate")
    return Entry(index, opened.kind, merkle.leaf_hash(leaf), body if isinstance(body, dict) else {})
