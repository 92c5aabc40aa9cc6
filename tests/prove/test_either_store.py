"""The log is the same log in either database: numbered, provable, erasable, whole."""

from __future__ import annotations

import pytest

from heliotrope.config import ProveSettings, Settings
from heliotrope.errors import UnknownName
from heliotrope.prove import Ledger, overview, upkeep, verify_receipt
from heliotrope.prove.log.check import check_all
from heliotrope.prove.records import record
from heliotrope.prove.records.record import Statement
from heliotrope.store import Store

ENTRIES = 20


def statement(name):
    evidence = f"evidence of {name}".encode()
    return Statement("plan", name, record.statement("plan", name, record.digest(evidence), {"name": name}), evidence)


def test_a_log_is_kept_proved_erased_from_and_checked(store_settings, tmp_path):
    store = Store.of(Settings(home=str(tmp_path), store=store_settings))
    ledger = Ledger(store, tmp_path, ProveSettings())
    with store.write() as tx:
        indices = [ledger.add(tx, statement(f"w{i}")) for i in range(ENTRIES)]
    assert indices == list(range(ENTRIES))
    proof = ledger.receipt(ledger.find("w7", "plan"), tmp_path / "receipts" / "w7.proof")
    verify_receipt(proof, vkeys=tmp_path / "log" / "vkeys")
    assert check_all(ledger).records == ENTRIES
    upkeep.erase(ledger, 7)
    with pytest.raises(UnknownName, match="erased already"):
        upkeep.erase(ledger, 7)
    upkeep.rotate(ledger, "site")
    ledger.publish()
    checked = check_all(ledger)
    assert (checked.entries, checked.records, checked.erased) == (ENTRIES + 1, ENTRIES, 1)
    assert overview.overview(ledger).unpublished == 0
    store.close()
