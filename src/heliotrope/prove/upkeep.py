"""What an owner does to a log now and then: rotate its keys, retire old ones, erase a record."""

from __future__ import annotations

from heliotrope.errors import UnknownName, UsageError
from heliotrope.prove import keys
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.records import record
from heliotrope.prove.records.record import Statement


def rotate(ledger: Ledger, role: str, algorithm: Algorithm = Algorithm.ED25519) -> int:
    """A new `log` or `site` key, announced by a record that the old site key still signs; that record's index.

    Both log keys sign checkpoints from here on, until `retire`. Old signatures stay checkable for ever.
    The log's first ML-DSA-44 key replaces none: it signs beside the Ed25519 key.
    """
    if algorithm is not Algorithm.ED25519 and role != "log":
        raise UsageError(f"a {role} key is always Ed25519", hint="only the log signs with ML-DSA-44 too")
    announcer, file = ledger.sealer, keys.file_of(role, algorithm)
    if keys.exists(ledger.home, file):
        old = str(keys.load(ledger.home, file).current.key)
        new = keys.rotate(ledger.home, file).current
    else:
        old = ""
        new = keys.load_or_make(ledger.home, file, ledger.settings.origin, algorithm).current
    predicate = {"role": role, "old": old, "new": str(new.key)}
    body = record.statement("key", role, record.digest(new.key.public), predicate)
    ledger.take_keys()
    ledger.remember_keys()
    with ledger.store.write() as tx:
        return ledger.add_sealed(tx, [(Statement("key", role, body), announcer.seal(record.canonical(body)))])


def retire(ledger: Ledger, role: str) -> None:
    """The older keys of a rotation sign no more."""
    for file in {keys.file_of(role, algorithm) for algorithm in Algorithm}:
        if keys.exists(ledger.home, file):
            keys.retire(ledger.home, file)
    ledger.take_keys()


def erase(ledger: Ledger, index: int) -> None:
    """Forgets a record, its salt, and evidence that no other record needs. The log and its proofs stay valid."""
    with ledger.store.write() as tx:
        row = tx.one("SELECT evidence FROM log_record WHERE idx = ?", (index,))
        if row is None:
            raise UnknownName(f"entry {index} was erased already, or never was a record")
        tx.execute("DELETE FROM log_record WHERE idx = ?", (index,))
        tx.execute(
            "DELETE FROM log_evidence WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM log_record WHERE evidence = ?)",
            (row[0], row[0]),
        )
    ledger.store.shred("log_record", "log_evidence")
