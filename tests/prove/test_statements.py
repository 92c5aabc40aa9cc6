"""What is said of a plan and of a run: enough to compute it again, nothing secret, integers throughout."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from heliotrope import footprint
from heliotrope.config import ProveSettings
from heliotrope.errors import BadProof
from heliotrope.model import CARBON, Device, Estimate, Quality, QualityKind, Signal
from heliotrope.prove import Ledger, Training, plan_statement, run_statement
from heliotrope.prove.records import evidence, record
from heliotrope.store import Store
from prove_stories import HOME, LYON, MEASUREMENT, PLAN, START_S, WORKLOAD, run


def carbon(zone, base):
    values = base + 10.0 * np.arange(48) / 3
    return Signal(
        CARBON, zone, START_S, 3600, values, values * 0.9, values * 1.1,
        Quality(QualityKind.MODELLED, "embedded model", "CC0", flags=("shaped",)),
    )  # fmt: skip


def story():
    """That of `prove_stories`, by somebody with secrets."""
    workload = replace(
        WORKLOAD,
        command=("python", "train.py", "--token", "s3cret"),
        environment={"API_KEY": "s3cret"},
        working_directory="/home/someone/secret",
    )
    plan = replace(PLAN, run_now=replace(PLAN.run_now, carbon_g=3.0))
    measurement = replace(MEASUREMENT, journal="/home/someone/j")
    lyon = replace(LYON, devices=(Device("h", "x", max_w=200.0, embodied_g=Estimate(1e5, 5e4, 2e5)),))
    return workload, plan, run(), measurement, lyon, HOME, [carbon("FR", 50.0), carbon("DE", 400.0)]


def run_story():
    workload, plan, run, measurement, lyon, home, signals = story()
    made = footprint.compute(measurement, lyon, signals[0])
    now = footprint.compute(footprint.at_once(measurement, START_S), home, signals[1]).carbon_g
    said = run_statement(
        workload, plan, run, measurement, made, now, signals, clock_factor=1.0, site=lyon, home=home,
        training=Training(seed=7, data_digest="ab" * 32, hyper_parameters={"lr": "0.1"}),
    )  # fmt: skip
    return said, made


def test_a_run_can_be_computed_again_from_its_evidence_to_the_last_bit():
    said, made = run_story()
    kept = evidence.decode(said.evidence)
    again = footprint.compute(kept.measurement, kept.site, kept.signals[0], device_s=kept.device_s)
    assert again == made
    assert kept.submitted_s == START_S
    assert kept.home.name == "home"
    assert said.body["predicate"]["evidence"] == record.digest(said.evidence)
    assert evidence.encode(kept) == said.evidence


def test_a_statement_holds_integers_and_no_secret():
    workload, plan, *_ = story()
    for said in (run_story()[0], plan_statement(workload, plan, clock_factor=3600.0)):
        raw = record.canonical(said.body) + (said.evidence or b"")
        for secret in (b"s3cret", b"API_KEY", b"/home/someone", b"--token"):
            assert secret not in raw


def test_a_run_names_the_plan_and_baseline_that_were_logged_before_it():
    workload, plan, *_ = story()
    before = plan_statement(workload, plan, clock_factor=1.0).body
    after = run_story()[0].body
    assert after["predicate"]["plan"]["digest"] == before["subject"][0]["digest"]["sha256"]
    assert before["predicate"]["baseline"]["expected"]["carbon_ug"] == 3_000_000


def test_numbers_are_millionths_with_their_provenance():
    said, made = run_story()
    numbers = said.body["predicate"]["footprint"]
    assert numbers["energy_uj"]["value"] == round(made.energy_j.value * 1e6)
    assert numbers["carbon_operational_ug"]["provenance"] == made.carbon_operational_g.provenance.value
    assert said.body["predicate"]["measurement"]["readings"]["count"] == 10
    assert [s["zone"] for s in said.body["predicate"]["signals"]] == ["FR", "DE"]
    assert said.body["predicate"]["training"]["seed"] == 7


def test_without_a_site_there_is_no_evidence_and_the_record_says_so():
    workload, plan, run, measurement, lyon, _, signals = story()
    made = footprint.compute(measurement, lyon, signals[0])
    said = run_statement(workload, plan, run, measurement, made, made.carbon_g, signals, clock_factor=1.0)
    assert said.evidence is None
    assert said.body["predicate"]["evidence"] is None


def test_evidence_is_kept_once_and_read_back(tmp_path):
    ledger = Ledger(Store(tmp_path / "helio.db"), tmp_path, ProveSettings())
    said, _ = run_story()
    with ledger.store.write() as tx:
        ledger.add(tx, said)
        ledger.add(tx, said)
    assert ledger.evidence(record.digest(said.evidence)) == said.evidence
    with ledger.store.read() as tx:
        assert tx.one("SELECT count(*) FROM log_evidence")[0] == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema":"heliotrope/evidence/v1"}',
        b'{"schema":"heliotrope/evidence/v1","measurement":{},"site":{},"signals":[],"home":null}',
    ],
)
def test_bad_evidence(raw):
    with pytest.raises(BadProof, match="evidence"):
        evidence.decode(raw)


def test_evidence_with_a_hole_in_a_signal_is_refused():
    said, _ = run_story()
    holed = said.evidence.replace(b'"values":["50.0"', b'"values":["nan"')
    assert holed != said.evidence
    with pytest.raises(BadProof, match="evidence that cannot be read"):
        evidence.decode(holed)
