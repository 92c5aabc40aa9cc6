"""The one durable store: SQLite in the home, or PostgreSQL; numbered migrations, one transaction a change. No logic."""

from heliotrope.store.database import Row, Store, Transaction

__all__ = ["Row", "Store", "Transaction"]
