"""Rotation and erasure: new keys are announced, old signatures stay good, what is erased is gone and nothing breaks."""

from __future__ import annotations

import functools
import json
import sqlite3

import pytest
from click.testing import CliRunner

import forked
from heliotrope.cli.root import helio
from heliotrope.config import ProveSettings
from heliotrope.errors import ProofError, UnknownName
from heliotrope.prove import Ledger, Statement, plan_statement, upkeep, verify_receipt
from heliotrope.prove.formats.note import Note
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.log.check import check_all
from heliotrope.prove.records import record
from heliotrope.store import Store
from prove_stories import PLAN, WORKLOAD, story


@pytest.fixture
def ledger(tmp_path):
    home = tmp_path / "home"
    return Ledger(Store(home / "helio.db"), home, ProveSettings())


def add(ledger, name, **predicate):
    with ledger.store.write() as tx:
        return ledger.add(tx, Statement("run", name, record.statement("run", name, "00", predicate)))


@pytest.mark.parametrize("role", ["log", "site"])
def test_a_rotation_is_announced_overlaps_and_loses_nothing(ledger, tmp_path, role):
    add(ledger, "before")
    old_vkeys = tmp_path / "old-vkeys"
    ledger.publish()
    old_vkeys.write_bytes((ledger.folder / "vkeys").read_bytes())
    index = upkeep.rotate(ledger, role)
    said = ledger.open(index).body["predicate"]
    keys = ledger.log_keys() if role == "log" else ledger.site_keys()
    assert (said["old"], said["new"]) == (str(keys[1]), str(keys[0]))
    add(ledger, "between")
    out = ledger.receipt(ledger.find("between"), tmp_path / "r.tlog-proof")
    verify_receipt(out, vkeys=old_vkeys)  # whoever knows only the old key can still check
    verify_receipt(out, vkeys=ledger.folder / "vkeys")

    upkeep.retire(ledger, role)
    add(ledger, "after")
    out = ledger.receipt(ledger.find("after"), tmp_path / "s.tlog-proof")
    verify_receipt(out, vkeys=ledger.folder / "vkeys")
    if role == "log":
        with pytest.raises(ProofError):
            verify_receipt(out, vkeys=old_vkeys)
        signed = Trust(ledger.log_keys()).check(Note.parse(str(ledger.checkpoint()).encode())).logs
        assert signed == (keys[0],)
    assert check_all(ledger).records == 4
    again = Ledger(ledger.store, ledger.home, ProveSettings())
    assert again.secret == ledger.secret


def test_a_controller_that_is_running_takes_the_new_keys(ledger):
    add(ledger, "before")
    elsewhere = Ledger(Store(ledger.home / "helio.db"), ledger.home, ProveSettings())
    upkeep.rotate(elsewhere, "site")
    upkeep.rotate(elsewhere, "log")
    upkeep.retire(elsewhere, "log")
    index = add(ledger, "after")
    assert ledger.open(index).key == elsewhere.site_keys()[0]
    note = ledger.publish()
    assert Trust(ledger.log_keys()[:1]).check(note).tree.size == 4
    elsewhere.store.close()


def test_what_is_erased_is_gone_from_the_file_too(ledger):
    secret = "a-number-nobody-should-know"
    index = add(ledger, "r1", told=secret)
    add(ledger, "r2")
    ledger.publish()
    envelope = ledger.record_file(index)
    upkeep.erase(ledger, index)
    checked = check_all(ledger)
    assert (checked.records, checked.erased) == (1, 1)
    ledger.store.close()
    connection = sqlite3.connect(ledger.store.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    payload = json.loads(envelope)["envelope"]["payload"].encode()
    assert payload not in ledger.store.path.read_bytes()
    with pytest.raises(UnknownName, match="erased already"):
        upkeep.erase(ledger, index)


def test_evidence_goes_with_the_last_record_that_needs_it(ledger):
    said = story()
    with ledger.store.write() as tx:
        first, second = ledger.add(tx, said), ledger.add(tx, said)
    upkeep.erase(ledger, first)
    assert ledger.evidence(record.digest(said.evidence)) == said.evidence
    upkeep.erase(ledger, second)
    with pytest.raises(UnknownName):
        ledger.evidence(record.digest(said.evidence))


def test_from_the_command_line(home, tmp_path):
    helio = functools.partial(forked.told, "log")
    helio("append", "--stdin", stdin='{"n":1}\n{"n":2}\n')
    first = helio("rotate", "log")[0]["key"]
    assert helio("rotate", "log", "--retire")[0]["key"] == first
    assert helio("erase", "0") == [{"erased": 0}]
    assert helio("verify", "--all")[0]["erased"] == 1
    assert helio("witnesses") == []


def test_a_record_is_opened_to_one_auditor_alone(tmp_path):
    """The log is public and shows commitments only; what is revealed later is judged later."""
    home, shown, opened = tmp_path / "log", tmp_path / "shown", tmp_path / "opened"
    ledger = Ledger(Store(home / "helio.db"), home, ProveSettings())
    with ledger.store.write() as tx:
        ledger.add(tx, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
        index = ledger.add(tx, story())
    add(ledger, "somebody else's")

    def say(*words):
        result = CliRunner().invoke(helio, [*map(str, words), "--json"], standalone_mode=False)
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    say("log", "export", shown, "--home", home)
    blind = say("log", "audit", shown, "--home", tmp_path / "auditor")
    assert (blind["agreed"], blind["unseen"]) == (0, 3)
    assert say("log", "reveal", index, "--out", opened, "--home", home)["revealed"] == [0, index]
    for expected in (2, 0):
        seen = say("log", "audit", shown, "--revealed", opened, "--home", tmp_path / "auditor")
        assert (seen["agreed"], seen["disagreements"]) == (expected, [])
    upkeep.erase(ledger, index)
    with pytest.raises(UnknownName):
        say("log", "reveal", index, "--out", opened, "--home", home)
