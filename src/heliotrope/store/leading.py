"""Terms: each who begins to lead has a larger one than anybody before."""

from __future__ import annotations

from heliotrope.store.database import Transaction


def begin(tx: Transaction, name: str) -> int:
    """A new term; whoever had the one before has none from now on."""
    tx.execute(
        "INSERT INTO leader (name, term) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET term = leader.term + 1", (name,)
    )
    return term(tx, name)


def term(tx: Transaction, name: str) -> int:
    """The one that holds; 0 where nobody ever led."""
    row = tx.one("SELECT term FROM leader WHERE name = ?", (name,))
    return int(row[0]) if row else 0
