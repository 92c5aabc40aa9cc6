"""Reads from the store and the log what pages and API show, without what nobody else may see."""

from __future__ import annotations

from typing import Any

import msgspec

from heliotrope.errors import ProofError
from heliotrope.run import views
from heliotrope.run.views import JobRow, RunView
from heliotrope.web.house import House
from heliotrope.web.screens import Entry, LedgerState, Saying, Witness


def view(house: House, name: str) -> RunView:
    """One run, whole but for its environment: that can hold secrets."""
    found = views.run_view(house.store, name)
    return msgspec.structs.replace(found, workload=msgspec.structs.replace(found.workload, environment={}))


def jobs(house: House, *, limit: int) -> tuple[JobRow, ...]:
    return views.jobs(house.store, limit)


def ledger_state(house: House, *, last: int = 50) -> LedgerState:
    from heliotrope.prove.checkpoint import Checkpoint

    ledger = house.ledger
    note = ledger.checkpoint()
    tree = Checkpoint.parse(note.text) if note else None
    return LedgerState(
        origin=ledger.settings.origin,
        size=ledger.size(),
        published=tree.size if tree else 0,
        root=tree.root.hex() if tree else "",
        note=str(note) if note else "",
        witnesses=tuple(msgspec.convert(row, Witness) for row in ledger.witnesses()),
        quorum=ledger.settings.quorum,
        records=tuple(_entry(house, row) for row in ledger.records(last=last)),
        halted=_halted(house),
    )


def _entry(house: House, row: dict[str, Any]) -> Entry:
    said = house.ledger.opinions(row["index"])
    return Entry(
        row["index"], row["kind"], row["subject"], tuple(Saying(o.auditor, o.agrees, o.reasons, o.at_s) for o in said)
    )


def _halted(house: House) -> str:
    """Two histories were seen: everything stops, and says so here too."""
    from heliotrope.prove import halt

    try:
        halt.refuse_if_stopped(house.home)
    except ProofError as error:
        return f"{error.what}: {error.cause}" if error.cause else error.what
    return ""


def version(house: House) -> tuple[int, ...]:
    """Changes whenever a page might: commits by any process, and the hour."""
    import time

    with house.store.read() as tx:
        marks = tx.one(
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM log_entry), (SELECT count(*) FROM plan)"
        )
        seen = tx.one("SELECT coalesce(sum(witnesses), 0), (SELECT count(*) FROM audit) FROM log_checkpoint")
    assert marks is not None
    assert seen is not None
    return (*marks, *seen, int(time.time() // 3600))
