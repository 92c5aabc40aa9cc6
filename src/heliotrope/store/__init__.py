"""The one durable store: SQLite in WAL mode, numbered migrations, one transaction a change. Holds no logic."""

from heliotrope.store.database import Store, Transaction

__all__ = ["Store", "Transaction"]
