"""Reads from the store and the log what pages and API show, without what nobody else may see."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from heliotrope import footprint
from heliotrope.errors import InvalidInput, MeterError, ProofError
from heliotrope.model import Measurement, Run
from heliotrope.run import Clock, accounting, views
from heliotrope.run.views import JobRow, RunView
from heliotrope.run.working import logs, segments
from heliotrope.store import runs
from heliotrope.units import S_PER_HOUR, show_duration
from heliotrope.web.chainwatch import ChainState
from heliotrope.web.house import House
from heliotrope.web.pages.screens import ACTIVE, ClaimRow, Entry, LedgerState, Saying, Witness

TAIL_LINES = 24
# An agent sends what is asked for within seconds; what is older is said to be.
TOLD_S = 10.0
# While something runs, its meter writes on; pages look again this often.
RUNNING_LOOK_S = 2


def view(house: House, name: str) -> RunView:
    """One run, whole but for its environment (that can hold secrets); while it runs, with what was measured so far."""
    found = views.run_view(house.store, name)
    found = msgspec.structs.replace(found, workload=msgspec.structs.replace(found.workload, environment={}))
    if found.measurement is None and found.run is not None and found.run.state in ACTIVE:
        found = msgspec.structs.replace(found, measurement=_so_far(house, found.run))
    return found


def _so_far(house: House, run: Run) -> Measurement | None:
    """From the journal that its meter keeps, on the run's own clock; nothing where that cannot be read yet."""
    try:
        raw = accounting.measured(segments.of(house.store, run.id))
    except (MeterError, InvalidInput):
        return None
    if raw is None:
        return None
    with house.store.read() as tx:
        clock = Clock(*runs.clock(tx, run.workload))
    return footprint.shift(raw, clock.at(raw.start_s) - raw.start_s, stretch=clock.factor)


def output(house: House, run: Run | None) -> tuple[str, str]:
    """The end of what the command itself said, and how fresh that is; a site's agent is asked for what is new."""
    if run is None:
        return "", ""
    said = logs.read(house.store, run.id)
    lines = said.text.splitlines()[1 if said.start else 0 :]
    note = "the end of its own output"
    if said.age_s is not None and said.age_s > TOLD_S and not (said.over and said.complete):
        note = f"as {said.site} told it {show_duration(said.age_s)} ago"
    return "\n".join(lines[-TAIL_LINES:]), note


def jobs(house: House, *, limit: int) -> tuple[JobRow, ...]:
    return views.jobs(house.store, limit)


def ledger_state(house: House, *, last: int = 50) -> LedgerState:
    from heliotrope.prove.formats.checkpoint import Checkpoint
    from heliotrope.prove.overview import overview

    ledger = house.ledger
    note = ledger.checkpoint()
    tree = Checkpoint.parse(note.text) if note else None
    stands = overview(ledger)
    claims = _claims(house)
    chain = house.chain.state() if claims else ChainState()
    return LedgerState(
        origin=ledger.settings.origin,
        size=stands.size,
        published=stands.published,
        root=tree.root.hex() if tree else "",
        note=str(note) if note else "",
        witnesses=tuple(msgspec.convert(row, Witness) for row in ledger.witnesses()),
        quorum=ledger.settings.quorum,
        records=tuple(_entry(house, row) for row in ledger.records(last=last)),
        claims=tuple(msgspec.structs.replace(claim, on_chain=chain.states.get(claim.name, "")) for claim in claims),
        halted=_halted(house),
        auditors=stands.auditors,
        anchored=stands.anchored,
        chain_fault=chain.fault,
    )


def _entry(house: House, row: dict[str, Any]) -> Entry:
    said = house.ledger.opinions(row["index"])
    return Entry(
        row["index"], row["kind"], row["subject"], tuple(Saying(o.auditor, o.agrees, o.reasons, o.at_s) for o in said)
    )


def _claims(house: House) -> tuple[ClaimRow, ...]:
    """From the log's own leaves."""
    from heliotrope.prove.claims import leaf

    with house.store.read() as tx:
        rows = tx.all("SELECT leaf, leaf_index FROM claim ORDER BY leaf_index DESC LIMIT 100")
    found = [(leaf.parse_leaf(bytes(row["leaf"]))[0], int(row["leaf_index"])) for row in rows]
    return tuple(ClaimRow(c.name, c.grams, c.start_s, c.end_s, c.expiry_s, index) for c, index in found)


def _halted(house: House) -> str:
    """Two histories were seen: everything stops, and says so here too."""
    from heliotrope.prove import halt

    try:
        halt.refuse_if_stopped(house.home)
    except ProofError as error:
        return f"{error.what}: {error.cause}" if error.cause else error.what
    return ""


def version(house: House) -> tuple[int, ...]:
    """Changes whenever a page might: commits by any process, the meter of what runs, and the hour."""
    with house.store.read() as tx:
        marks = tx.one(
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM log_entry), (SELECT count(*) FROM plan)"
        )
        live = any(run.state in ACTIVE for run in runs.live(tx))
        seen = tx.one("SELECT coalesce(sum(witnesses), 0), (SELECT count(*) FROM audit) FROM log_checkpoint")
    assert marks is not None
    assert seen is not None
    return (*marks, *seen, int(time.time() // (RUNNING_LOOK_S if live else S_PER_HOUR)))
