"""The seam to the controller: jobs are drawn before they run, and what they emitted is read from the log alone."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import forked
from heliotrope import footprint
from heliotrope.cli.root import helio
from heliotrope.config import ClaimSettings, ProveSettings
from heliotrope.errors import BadProof, ConfigError, HelioError, InvalidInput, ProofError, ProviderDenied, ProviderDown
from heliotrope.model import (
    CARBON,
    Length,
    Outlook,
    Plan,
    Quality,
    QualityKind,
    Reading,
    Run,
    RunState,
    Signal,
    SignalKind,
    Slot,
    Workload,
    WorkloadKind,
)
from heliotrope.prove import Ledger, plan_statement, run_statement
from heliotrope.prove.claims import outcomes
from heliotrope.prove.claims.assess import assess
from heliotrope.prove.claims.enrolment import ARRIVAL_S, Enrolment
from heliotrope.prove.claims.evidence import Programme
from heliotrope.prove.claims.outcomes import Runs
from heliotrope.prove.claims.programme import Office
from heliotrope.prove.claims.reading import from_ledger, own_evidence
from heliotrope.prove.claims.seeds import client
from heliotrope.prove.claims.seeds.keeper import Closing, Keeper
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.store import Store, runs
from heliotrope.units import J_PER_KWH, MICRO, S_PER_HOUR, from_epoch
from prove_stories import HOME, START_S, measured

NAME = "night shift"
MARGINAL = SignalKind.parse("carbon/marginal/direct")


def signal(kind, day_g, night_g):
    """Days of twelve dirty hours and twelve clean ones."""
    values = np.where(np.arange(24 * 40) % 24 < 12, day_g, night_g).astype(float)
    quality = Quality(QualityKind.MEASURED, "made up", "CC0-1.0")
    return Signal(kind, "DE", START_S, S_PER_HOUR, values, values, values, quality)


AVERAGE_G, MARGINAL_G = signal(CARBON, 600.0, 200.0), signal(MARGINAL, 800.0, 300.0)


class House:
    """A controller in small: it plans, stores, runs and records as the real one does, on a clock that it is told."""

    def __init__(self, home, settings=None):
        self.store = Store(home / "helio.db")
        self.ledger = Ledger(self.store, home, ProveSettings())
        self.now_s = START_S + 60.0
        self.settings = settings or ClaimSettings(programme=NAME)
        self.enrolment = Enrolment(self.ledger, self.settings, clock_s=lambda: self.now_s)
        self.dice = np.random.default_rng(4)

    def declare(self, commitments=None, holdout=5000):
        keeper = Keeper(self.ledger.home)
        own = {keeper.name: keeper.commitment(NAME).hex()}
        Office(self.ledger, NAME).declare(Programme(NAME, "wait for the night", holdout, 200, "queues were short", commitments or own))  # fmt: skip

    def submit(self, name, *, marginal=MARGINAL_G):
        at = from_epoch(self.now_s)
        energy_j = float(self.dice.lognormal(0, 0.3)) * 50 * J_PER_KWH
        run_now = Outlook(energy_j, 1.0, 1.0, 1.0, 0.0, at + timedelta(hours=1))
        ticket = self.enrolment.draw(name, run_now, AVERAGE_G, marginal, now_s=self.now_s)
        wait_h = 0 if ticket.held_out else 14
        start = at + timedelta(hours=wait_h)
        workload = Workload(name, WorkloadKind.BATCH, ("true",), at, Length.known(3600.0))
        plan = Plan(name, at, (Slot("home", start, start + timedelta(hours=1)),), run_now, run_now, (), 1.0, 0.0, str(CARBON))  # fmt: skip
        run = Run(f"{name}-1", name, RunState.WAITING, at, site="home", zone="DE", started_at=start)
        with self.store.write() as tx:
            runs.add_workload(tx, workload, 1.0, 0.0, "home", (HOME,))
            runs.add_plan(tx, plan)
            self.ledger.add(tx, plan_statement(workload, plan, clock_factor=1.0))
            runs.put_run(tx, run)
        self.now_s += 60.0
        return ticket, (workload, plan, run, energy_j)

    def end(self, told, *, state=RunState.DONE, late_s=0.0, marginal=True):
        workload, plan, run, energy_j = told
        start_s = run.started_at.timestamp() + late_s
        run = msgspec.structs.replace(
            run, state=state, started_at=from_epoch(start_s), ended_at=from_epoch(start_s + 3600)
        )
        readings = (Reading("rapl", "package", start_s, start_s + 3600, energy_j, 0.0),)
        measurement = measured(run.id, readings)
        cost = footprint.compute(measurement, HOME, AVERAGE_G)
        at_once = footprint.at_once(measurement, workload.submitted_at.timestamp())
        once_g = footprint.compute(at_once, HOME, AVERAGE_G).carbon_g
        shown = [AVERAGE_G, MARGINAL_G] if marginal else [AVERAGE_G]
        said = run_statement(
            workload, plan, run, measurement, cost, once_g, shown, clock_factor=1.0, site=HOME, home=HOME
        )
        with self.store.write() as tx:
            runs.put_run(tx, run)
            self.ledger.add(tx, said)

    def evidence(self):
        return self.enrolment.office.history().gather(START_S, START_S + 86400)

    def recorded(self):
        return Runs(from_ledger(self.ledger, outcomes.KINDS), lambda name: own_evidence(self.ledger, name))


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.declare()
    yield house
    house.store.close()


def test_a_month_of_real_records_becomes_an_estimate(house):
    drawn = [house.submit(f"w{i}") for i in range(60)]
    held = [ticket.held_out for ticket, _ in drawn]
    assert 10 <= sum(held) <= 50
    assert {ticket.flag for ticket, _ in drawn} == {"drawn from this home's own seeds alone"}
    assert house.enrolment.settle() == 0, "nothing is over yet"
    for _, told in drawn:
        house.end(told)
    house.now_s += 86400
    assert house.enrolment.settle() == 60
    assert house.enrolment.settle() == 0
    assessed = assess(house.evidence())
    assert (assessed.held_out, assessed.shifted, assessed.late, assessed.unfinished) == (
        sum(held),
        60 - sum(held),
        0,
        0,
    )
    largest_j = max(told[3] for ticket, told in drawn if ticket.held_out)
    kwh = sum(told[3] for ticket, told in drawn if not ticket.held_out and told[3] <= largest_j) / J_PER_KWH
    assert assessed.average.value_g == pytest.approx(kwh * 1.1 * 400, rel=1e-6)
    assert assessed.marginal.value_g == pytest.approx(kwh * 1.1 * 500, rel=1e-6)
    assert 0 < assessed.grams <= 0.98 * assessed.average.value_g
    history = house.enrolment.office.history()
    assert outcomes.check(history, house.recorded(), before=house.ledger.size()) == 0


def test_the_draw_is_in_the_log_before_the_work_is(house):
    ticket, _ = house.submit("w0")
    kinds = [row["kind"] for row in reversed(house.ledger.records())]
    assert kinds == ["programme", "registration", "close", "reveal", "plan"]
    history = house.enrolment.office.history()
    assert history.held_out(ticket.registration) == ticket.held_out
    assert house.enrolment.enrolled("w0")
    assert not house.enrolment.enrolled("w1")


def test_every_draw_has_an_epoch_of_its_own(house):
    for i in range(5):
        house.submit(f"w{i}")
    assert sorted(house.enrolment.office.history().epochs) == list(range(5))


def test_another_programme_with_a_longer_name_keeps_its_own_epochs(house):
    keeper = Keeper(house.ledger.home)
    other = f"{NAME} 7"
    Office(house.ledger, other).declare(
        Programme(other, "m", 3000, 0, "none", {keeper.name: keeper.commitment(other).hex()})
    )
    second = Enrolment(house.ledger, ClaimSettings(programme=other), clock_s=lambda: house.now_s)
    house.submit("a")
    run_now = Outlook(1.0, 1.0, 1.0, 1.0, 0.0, from_epoch(house.now_s + 60))
    second.draw("b", run_now, AVERAGE_G, None, now_s=house.now_s)
    house.submit("c")
    assert sorted(house.enrolment.office.history().epochs) == [0, 1]
    assert sorted(second.office.history().epochs) == [0]


def test_a_crash_between_draw_and_acknowledgement_is_made_good(house):
    run_now = Outlook(J_PER_KWH, 1.0, 1.0, 1.0, 0.0, from_epoch(house.now_s + 3600))
    house.enrolment.draw("lost", run_now, AVERAGE_G, MARGINAL_G, now_s=house.now_s)
    house.enrolment.office.enter("lost earlier", registered_s=house.now_s, average_g=9.0, marginal_g=9.0)
    assert house.enrolment.settle() == 0, "it may still arrive"
    house.now_s += ARRIVAL_S + 1
    assert house.enrolment.settle() == 2
    for job in house.evidence().jobs:
        assert (job.outcome.average_high_ug, job.outcome.completed) == (0, False)
    assert assess(house.evidence()).unfinished == 2


def test_work_that_failed_is_not_finished_and_attempts_add_up(house):
    _, told = house.submit("w0")
    house.end(told, state=RunState.FAILED)
    house.enrolment.settle()
    (job,) = house.evidence().jobs
    assert not job.outcome.completed
    again = house.submit("w1")[1]
    house.end(again, state=RunState.LOST)
    second = msgspec.structs.replace(again[2], id="w1-2", attempt=2)
    house.end((*again[:2], second, again[3]))
    house.enrolment.settle()
    (_, job) = house.evidence().jobs
    assert job.outcome.completed
    once = house.recorded().outcome("w1", held_out=False, before=house.ledger.find("w1-1") + 1)
    assert job.outcome.average_low_ug == pytest.approx(2 * once.average_low_ug, rel=0.7)


def test_a_held_out_job_that_waited_for_room_gains_nothing(house):
    held = next(told for ticket, told in (house.submit(f"w{i}") for i in range(40)) if ticket.held_out)
    house.end(held, late_s=3600 * 13)
    waited = house.recorded().outcome(held[0].id, held_out=True)
    at_night_g = held[3] / J_PER_KWH * 1.1 * 200
    assert waited.average_low_ug == pytest.approx(at_night_g * MICRO)
    assert waited.average_high_ug == pytest.approx(3 * at_night_g * MICRO)


def test_without_marginal_signals_there_is_no_marginal_outcome(house):
    _, told = house.submit("w0", marginal=None)
    house.end(told, marginal=False)
    assert house.recorded().outcome("w0", held_out=False).marginal_low_ug is None


@pytest.mark.parametrize(
    "lie",
    [{"started_us": 1}, {"shifted": None}, {"average_low_ug": 0, "average_high_ug": 1}, {"completed": False}],
    ids=lambda lie: next(iter(lie)),
)
def test_an_auditor_finds_an_outcome_that_its_record_does_not_bear_out(house, lie):
    ticket, told = house.submit("w0")
    house.end(told)
    honest = house.recorded().outcome("w0", held_out=ticket.held_out)
    lie = {name: (not honest.shifted if value is None else value) for name, value in lie.items()}
    house.enrolment.office.outcome(ticket.registration, "w0", msgspec.structs.replace(honest, **lie))
    with pytest.raises(ProofError, match="not what its run's record comes to"):
        outcomes.check(house.enrolment.office.history(), house.recorded(), before=house.ledger.size())


def test_an_auditor_that_is_not_shown_the_evidence_does_not_agree(house):
    _, told = house.submit("w0")
    house.end(told)
    house.enrolment.settle()
    blind = Runs(from_ledger(house.ledger, outcomes.KINDS), lambda _: None)
    with pytest.raises(ProofError, match="is not to be had"):
        outcomes.check(house.enrolment.office.history(), blind, before=house.ledger.size())


def test_seeds_are_given_for_one_close_alone(tmp_path):
    keeper = Keeper(tmp_path, name="one")
    seed = keeper.seed(NAME, 0, b"a" * 32)
    assert keeper.seed(NAME, 0, b"a" * 32) == seed
    assert keeper.seed("another", 0, b"b" * 32) != seed
    with pytest.raises(BadProof, match="given for another close"):
        keeper.seed(NAME, 0, b"b" * 32)
    with pytest.raises(InvalidInput, match="no seed was committed to"):
        keeper.seed(NAME, 10**6, b"b" * 32)
    with pytest.raises(InvalidInput, match="kept by one"):
        Keeper(tmp_path, name="two")


def closing(house, index):
    house.ledger.publish()
    proof, _ = house.ledger.prove(index)
    return Closing(proof.text(), RecordFile.parse(house.ledger.record_file(index)))


def test_a_keeper_wants_the_proof_of_a_close(house):
    ticket, _ = house.submit("w0")
    trust = Trust(house.ledger.log_keys(), sites=house.ledger.site_keys())
    good = closing(house, ticket.registration + 1)
    assert good.verify(trust)[0].epoch == 0
    with pytest.raises(BadProof, match="closes no epoch"):
        closing(house, ticket.registration).verify(trust)
    with pytest.raises(HelioError):
        good.verify(Trust(()))
    with pytest.raises(BadProof):
        msgspec.structs.replace(good, record=closing(house, ticket.registration).record).verify(trust)
    for raw in (b"", b"{}", b"\xff", b'{"proof":1,"record":{}}'):
        with pytest.raises(BadProof):
            Closing.parse(raw)


def test_an_auditor_nobody_can_ask_is_named(tmp_path):
    house = House(tmp_path)
    house.declare(commitments={"faraway": "00" * 32})
    with pytest.raises(ConfigError, match="faraway"):
        house.submit("w0")
    down = House(tmp_path, ClaimSettings(programme=NAME, auditors=("faraway http://127.0.0.1:9",)))
    with pytest.raises(ProviderDown, match="faraway cannot be reached"):
        down.submit("w1")
    with pytest.raises(InvalidInput, match="not an auditor"):
        House(tmp_path, ClaimSettings(programme=NAME, auditors=("no address",)))


def say(*words):
    result = CliRunner().invoke(helio, [*map(str, words), "--json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_two_auditors_elsewhere_draw_each_job(tmp_path):
    """Real processes: each commits to its seeds, and gives one only for a close that the log's keys prove."""
    house = House(tmp_path / "log")
    house.ledger.publish()
    keys = house.ledger.folder / "vkeys"
    asked = {name: ("claims", "seeds", NAME, "--name", name, "--home", tmp_path / name) for name in ("one", "two")}
    options = []
    for words in asked.values():
        told = say(*words)
        options += ["--auditor", f"{told['auditor']} {told['commitment']}"]
    at_home = ("--home", tmp_path / "log")
    say("claims", "declare", NAME, "--leakage", 2, "--reason", "queues were short", *options, *at_home)
    with contextlib.ExitStack() as stack:
        urls = {
            name: stack.enter_context(contextlib.closing(forked.Started(*words, "--serve", "--vkeys", keys))).said[
                "url"
            ]
            for name, words in asked.items()
        }
        settings = ClaimSettings(NAME, auditors=tuple(f"{name} {url}" for name, url in urls.items()))
        house.enrolment = Enrolment(house.ledger, settings, clock_s=lambda: house.now_s)
        ticket, told = house.submit("w0")
        assert ticket.flag == ""
        history = house.enrolment.office.history()
        assert history.epochs[0].seeds.keys() == urls.keys()
        assert history.held_out(ticket.registration) == ticket.held_out
        with pytest.raises(ProviderDenied, match="gave no seed"):
            client.ask({"one": urls["one"]}, closing(house, ticket.registration))
    house.end(told)
    house.enrolment.settle()
    found = say("claims", "estimate", NAME, *at_home)
    assert (found["waiting"], found["held_out"] + found["shifted"], found["grams"]) == (0, 1, 0)
