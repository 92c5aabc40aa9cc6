"""Auditors: an honest log is agreed with; each way of lying is found, named and signed."""

from __future__ import annotations

import shutil

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope import footprint
from heliotrope.config import GridSettings, ProveSettings
from heliotrope.errors import BadNote, HelioError, ProofError, ProviderDown, SplitView
from heliotrope.grid import Grid
from heliotrope.model import Estimate, Provenance
from heliotrope.prove import Ledger, plan_statement, run_statement, verify_receipt
from heliotrope.prove.audit.attestation import Attestation
from heliotrope.prove.audit.auditor import Auditor
from heliotrope.prove.audit.own import model_signal
from heliotrope.prove.audit.source import Folder
from heliotrope.prove.formats import tiles
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.log import sequencer
from heliotrope.prove.log.export import export
from heliotrope.prove.overview import overview
from heliotrope.prove.records import record
from heliotrope.store import Store
from prove_stories import ENERGY, LYON, MEASUREMENT, PLAN, READINGS, SIGNALS, START_S, WORKLOAD, half, run, story

AUDITOR = SecretKey.generate("auditor-one")


@pytest.fixture
def ledger(tmp_path):
    home = tmp_path / "log"
    return Ledger(Store(home / "helio.db"), home, ProveSettings(auditors=(str(AUDITOR.key),)))


class Shown(Folder):
    """The exported files, and the private records and evidence as `helio log serve --records` gives them."""

    def __init__(self, ledger, root):
        super().__init__(root)
        self.ledger = ledger
        self.hidden = set()

    def fetch(self, paths):
        return [self._private(path) if path.startswith(("record/", "evidence/")) else super(Shown, self).fetch([path])[0] for path in paths]  # fmt: skip

    def _private(self, path):
        kind, name = path.split("/")
        if path in self.hidden:
            return None
        try:
            return self.ledger.record_file(int(name)) if kind == "record" else self.ledger.evidence(name)
        except HelioError:
            return None


def look(ledger, tmp_path, name="a", source=None):
    ledger.publish()
    auditor = Auditor(tmp_path / name, AUDITOR, Trust(ledger.log_keys()), model_signal)
    return auditor, auditor.look(source or Shown(ledger, ledger.folder), time_s=1_800_000_000)


def log(ledger, *statements):
    with ledger.store.write() as tx:
        return [ledger.add(tx, statement) for statement in statements]


def test_an_honest_run_is_agreed_with_from_plan_to_gram(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    auditor, seen = look(ledger, tmp_path)
    assert (seen.judged, seen.agreed, seen.unseen) == (2, 2, 0), seen.disagreements
    again = auditor.look(Shown(ledger, ledger.folder), time_s=1_800_000_001)
    assert again.judged == 0, "each entry is judged once"


@pytest.mark.parametrize("zone", ["", "fra", "aws/eu-west-3", "gcp/nowhere-1"])
def test_a_site_may_name_its_zone_as_the_settings_do(ledger, tmp_path, zone):
    """Nothing at all is the world; the signal bears the zone's own name."""
    site = msgspec.structs.replace(LYON, zone=zone)
    carbon = Grid(GridSettings()).history(zone, START_S, START_S + 24 * 3600)
    assert carbon.zone != zone
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story(site=site, carbon=carbon))
    _, seen = look(ledger, tmp_path)
    assert (seen.judged, seen.agreed) == (2, 2), seen.disagreements


def flattered(made):
    return msgspec.structs.replace(
        made,
        carbon_operational_g=msgspec.structs.replace(made.carbon_operational_g, provenance=Provenance.MEASURED),
    )


def cleaner_signal():
    return msgspec.structs.replace(SIGNALS[0], values=SIGNALS[0].values * 0.5, low=SIGNALS[0].low * 0.5)


def more_energy():
    return msgspec.structs.replace(MEASUREMENT, energy_j=Estimate.exact(ENERGY * 1.5))


def elsewhen():
    late = tuple(msgspec.structs.replace(r, start_s=r.start_s + 3600, end_s=r.end_s + 3600) for r in READINGS)
    return msgspec.structs.replace(MEASUREMENT, readings=late)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda: story(lie=half), "carbon_operational_ug (value) is"),
        (lambda: story(lie=flattered), "is said to be measured"),
        (lambda: story(now_times=3.0), "run_now_ug (value) is"),
        (lambda: story(carbon=cleaner_signal()), "is not what the model gives"),
        (lambda: story(measurement=more_energy()), "more energy is claimed"),
        (lambda: story(measurement=elsewhen()), "outside the measured window"),
        (lambda: story(plan=msgspec.structs.replace(PLAN, bound_g=0.5)), "not registered before the run"),
        (lambda: run_statement(WORKLOAD, PLAN, run(), MEASUREMENT, footprint.compute(MEASUREMENT, LYON, SIGNALS[0]),
                               Estimate.exact(1.0), SIGNALS, clock_factor=1.0), "names no evidence"),
    ],
)  # fmt: skip
def test_each_lie_is_found_and_named(ledger, tmp_path, lie, reason):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), lie())
    _, seen = look(ledger, tmp_path)
    (against,) = seen.disagreements
    assert against.index == 1
    assert any(reason in line for line in against.reasons), against.reasons


def test_a_baseline_logged_after_the_run_is_no_baseline(ledger, tmp_path):
    log(ledger, story(), plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
    _, seen = look(ledger, tmp_path)
    assert "not registered before the run" in seen.disagreements[0].reasons[0]


def test_swapped_evidence_is_found(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    with ledger.store.write() as tx:
        import zlib

        tx.execute("UPDATE log_evidence SET body = ?", (zlib.compress(b"{}"),))
    _, seen = look(ledger, tmp_path)
    assert seen.disagreements[0].reasons == ("the evidence shown is not the one it names",)


def test_a_tampered_record_is_found(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    with ledger.store.write() as tx:
        tx.execute("UPDATE log_record SET envelope = (SELECT envelope FROM log_record WHERE idx = 0) WHERE idx = 1")
    _, seen = look(ledger, tmp_path)
    assert "not the one the log committed to" in seen.disagreements[0].reasons[0]


def test_a_withheld_record_is_counted_and_nothing_is_claimed_of_it(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    source = Shown(ledger, ledger.folder)
    source.hidden = {"record/1"}
    _, seen = look(ledger, tmp_path, source=source)
    assert (seen.agreed, seen.unseen) == (1, 1)


def test_a_broken_wire_is_no_disagreement(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    ledger.publish()

    class Cut(Shown):
        def _private(self, path):
            if path.startswith("evidence/"):
                raise ProviderDown("no route")
            return super()._private(path)

    auditor = Auditor(tmp_path / "a", AUDITOR, Trust(ledger.log_keys()), model_signal)
    with pytest.raises(ProviderDown):
        auditor.look(Cut(ledger, ledger.folder), time_s=1)
    assert len(auditor.unreported()) == 1
    again = auditor.look(Shown(ledger, ledger.folder), time_s=1)
    assert (again.judged, again.agreed) == (1, 1), "what was not judged is judged next time"


def test_a_disagreement_is_wherever_the_number_is(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story(lie=half))
    auditor, _ = look(ledger, tmp_path)
    for path in auditor.unreported():
        ledger.attest(path.read_bytes())
        auditor.reported(path)
    assert auditor.unreported() == []
    assert [o.agrees for o in ledger.opinions(0)] == [True]
    assert ledger.opinions(1)[0].auditor == AUDITOR.name
    out = ledger.receipt(1, tmp_path / "r.tlog-proof")
    verdict = verify_receipt(out, vkeys=ledger.folder / "vkeys")
    assert verdict.disputed
    assert "carbon_operational_ug" in verdict.opinions[0].reasons[0]


def test_an_opinion_counts_only_for_its_entry_and_its_log(ledger):
    (index,) = log(ledger, story())
    from heliotrope.prove.formats import merkle

    with ledger.store.read() as tx:
        leaf = merkle.leaf_hash(bytes(tx.one("SELECT leaf FROM log_entry")[0]))
    good = Attestation(ledger.settings.origin, index, leaf, False, 100, ("wrong",))
    ledger.attest(str(good.signed(AUDITOR)).encode())
    ledger.attest(str(msgspec.structs.replace(good, agrees=True, reasons=(), at_s=99).signed(AUDITOR)).encode())
    assert [o.agrees for o in ledger.opinions(index)] == [False], "an older opinion does not replace a newer one"
    for wrong in (
        msgspec.structs.replace(good, index=7),
        msgspec.structs.replace(good, origin="other.example/log"),
        msgspec.structs.replace(good, leaf=bytes(32)),
    ):
        with pytest.raises(BadNote):
            ledger.attest(str(wrong.signed(AUDITOR)).encode())
    with pytest.raises(BadNote, match="no auditor that is known"):
        ledger.attest(str(good.signed(SecretKey.generate("someone"))).encode())


def test_a_log_that_goes_back_is_caught_with_evidence(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
    ledger.publish()
    old = tmp_path / "old"
    export(ledger, old)
    log(ledger, story())
    auditor, _ = look(ledger, tmp_path)
    with pytest.raises(SplitView, match="went back from 2 entries to 1"):
        auditor.look(Folder(old), time_s=1)
    with pytest.raises(SplitView, match="has stopped"):
        auditor.look(Shown(ledger, ledger.folder), time_s=1)


def test_a_second_history_is_caught_with_evidence(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
    auditor, _ = look(ledger, tmp_path)
    other = tmp_path / "other"
    (other / "keys").mkdir(parents=True)
    shutil.copy(ledger.home / "keys" / "log.key", other / "keys" / "log.key")
    fork = Ledger(Store(other / "helio.db"), other, ProveSettings())
    log(fork, story(), story())
    fork.publish()
    with pytest.raises(SplitView, match="does not extend"):
        auditor.look(Folder(fork.folder), time_s=1)
    (evidence,) = (auditor.home / "split-view").iterdir()
    assert evidence.read_text().count("— heliotrope.local/log ") == 2


def test_a_bad_copy_is_not_called_a_second_history(ledger, tmp_path):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
    auditor, _ = look(ledger, tmp_path)
    log(ledger, story(), story())
    ledger.publish()
    copy = tmp_path / "copy"
    export(ledger, copy)
    path = copy / tiles.tile_path(0, 0, 3)
    path.write_bytes(bytes(96))
    with pytest.raises(ProofError, match="do not hash to its checkpoint") as refused:
        auditor.look(Folder(copy), time_s=1)
    assert not isinstance(refused.value, SplitView)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw[:-1] + b"!", lambda raw: raw + b"\0\0", lambda raw: b""]
)
def test_a_damaged_bundle_is_refused(ledger, tmp_path, damage):
    log(ledger, plan_statement(WORKLOAD, PLAN, clock_factor=1.0), story())
    ledger.publish()
    copy = tmp_path / "copy"
    export(ledger, copy)
    path = copy / tiles.tile_path("entries", 0, 2)
    path.write_bytes(damage(path.read_bytes()))
    auditor = Auditor(tmp_path / "a", AUDITOR, Trust(ledger.log_keys()), model_signal)
    with pytest.raises(ProofError):
        auditor.look(Folder(copy), time_s=1)


def test_many_bundles_are_each_proven(ledger, tmp_path):
    for start in range(0, 1200, 300):
        with ledger.store.write() as tx:
            ledger.append(tx, [b"%d" % i for i in range(start, start + 300)])
        _, seen = look(ledger, tmp_path)
        assert seen.judged == 300
    assert seen.size == 1200
    assert seen.unseen == 300


def test_a_shape_that_no_record_has_is_disagreed_with_not_crashed_on(ledger, tmp_path):
    from heliotrope.prove import Statement

    body = record.statement("run", "r9", "00", {"evidence": None})
    log(
        ledger, Statement("run", "r9", body), Statement("plan", "w9", record.statement("plan", "w9", "00", {"plan": 5}))
    )
    _, seen = look(ledger, tmp_path)
    assert len(seen.disagreements) == 2
    assert "lacks what every such record has" in seen.disagreements[0].reasons[0]


@given(st.text(max_size=200))
def test_no_text_crashes_the_attestation_parser(text):
    try:
        said = Attestation.parse(text)
    except HelioError:
        return
    assert said.text() == text


def test_own_model_is_compared_only_with_itself():
    series = SIGNALS[0]
    own = model_signal("FR", series.start_s, series.end_s, series.kind, series.quality)
    assert np.array_equal(own.values, series.values)
    other = msgspec.structs.replace(series.quality, source="someone's model")
    assert model_signal("FR", series.start_s, series.end_s, series.kind, other) is None


def test_a_page_sees_how_far_each_auditor_is(ledger, tmp_path):
    before = overview(ledger)
    assert (before.size, before.published, before.anchored, before.programmes) == (0, 0, None, ())
    assert [(a.name, a.judged, a.lag) for a in before.auditors] == [(AUDITOR.name, 0, 0)]
    with ledger.store.write() as tx:
        ledger.add(tx, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
        ledger.add(tx, story(lie=half))
    assert overview(ledger).unpublished == 2
    assert overview(ledger).auditors[0].lag == 2
    look(ledger, tmp_path)
    for path in sorted((tmp_path / "a" / "attestations").glob("*.note")):
        ledger.attest(path.read_bytes())
    (seen,) = overview(ledger).auditors
    assert (seen.judged, seen.disagreed, seen.last_index, seen.lag) == (2, 1, 1, 0)


def test_a_record_that_is_replayed_counts_nothing_twice(ledger, tmp_path):
    with ledger.store.write() as tx:
        ledger.add(tx, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
        ledger.add(tx, story())
    assert look(ledger, tmp_path)[1].agreed == 2
    with ledger.store.write() as tx:
        row = tx.one("SELECT kind, subject, salt, envelope, evidence FROM log_record WHERE idx = 1")
        (leaf,) = sequencer.read_entries(tx, 1, 2)
        again = sequencer.append(tx, [leaf])
        tx.execute(
            "INSERT INTO log_record (idx, kind, subject, salt, envelope, evidence) VALUES (?, ?, ?, ?, ?, ?)",
            (again, *tuple(row)),
        )
    (replayed,) = look(ledger, tmp_path)[1].disagreements
    assert (replayed.index, replayed.reasons) == (2, ("run r1 was recorded already, as entry 1",))


def test_records_in_another_order_are_other_records(ledger, tmp_path):
    """What is shown for an entry must be what that entry commits to, wherever else in the log it may be honest."""
    with ledger.store.write() as tx:
        ledger.add(tx, plan_statement(WORKLOAD, PLAN, clock_factor=1.0))
        ledger.add(tx, story())

    class Swapped(Shown):
        def _private(self, path):
            return super()._private({"record/0": "record/1", "record/1": "record/0"}.get(path, path))

    ledger.publish()
    _, seen = look(ledger, tmp_path, source=Swapped(ledger, ledger.folder))
    assert [opinion.reasons[0] for opinion in seen.disagreements] == [
        "the record shown is of another entry than the log's"
    ] * 2
