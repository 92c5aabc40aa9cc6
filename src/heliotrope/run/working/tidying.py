"""What moved work saved is kept at each site as long as anything may resume, and in the end where it ended alone."""

from __future__ import annotations

from heliotrope.run.choosing import sharing
from heliotrope.run.working.moving import Mover
from heliotrope.store import Store, runs


def tidy(store: Store, mover: Mover, workload_id: str) -> None:
    """Nothing is done before it is over for good; done twice, it is the same."""
    with store.read() as tx:
        attempts = runs.attempts(tx, workload_id)
        if not attempts or not attempts[-1].state.ended:
            return
        fleet = sharing.case_of(tx, attempts[-1].id).fleet
    mover.tidy(workload_id, attempts, fleet)
