"""Who lent a run its room, and what everyone used."""

from __future__ import annotations

import msgspec

from heliotrope.store.database import Transaction


class Ended(msgspec.Struct, frozen=True):
    """One attempt that is over and accounted, its carbon operational.

    `lent_by`: lender to the share of the room that it gave.
    """

    organisation: str
    ended_s: float
    energy_j: float
    carbon_g: float
    lent_by: dict[str, float]


def put_lent(tx: Transaction, run_id: str, lent_by: dict[str, float]) -> None:
    """As its newest start found it."""
    tx.execute("DELETE FROM lent WHERE run = ?", (run_id,))
    for lender, share in lent_by.items():
        tx.execute("INSERT INTO lent (run, lender, share) VALUES (?, ?, ?)", (run_id, lender, share))


def ended(tx: Transaction, since_s: float) -> list[Ended]:
    """Everything accounted that was begun since then, oldest first."""
    rows = tx.all(
        "SELECT run.id, organisation, coalesce(run.ended_s, run.created_s), energy_j, carbon_g"
        " FROM run JOIN workload ON workload.id = run.workload JOIN footprint ON footprint.run = run.id"
        " WHERE run.created_s >= ? ORDER BY run.created_s, run.id",
        (since_s,),
    )
    lent: dict[str, dict[str, float]] = {}
    for run, lender, share in tx.all(
        "SELECT run, lender, share FROM lent JOIN run ON run.id = lent.run WHERE run.created_s >= ?", (since_s,)
    ):
        lent.setdefault(run, {})[lender] = share
    return [Ended(row[1], float(row[2]), float(row[3]), float(row[4]), lent.get(row[0], {})) for row in rows]
