"""A programme from its declaration to a retired claim, through the log, two auditors and the command line."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from click.testing import CliRunner

from chain_world import key
from claim_month import CHAINS, NAME, declare, period, run_programme
from heliotrope.cli.root import helio
from heliotrope.config import ProveSettings, Settings
from heliotrope.errors import BadProof, ChainRefused, HelioError, InvalidInput, ProofError, UnknownName
from heliotrope.prove import Ledger
from heliotrope.prove.chain.book import Book, make_claim
from heliotrope.prove.chain.opening import Chain
from heliotrope.prove.chain.wallet import Wallet
from heliotrope.prove.claims.assess import assess
from heliotrope.prove.claims.evidence import Outcome
from heliotrope.prove.claims.leaf import leaf_data, serial_of
from heliotrope.store import Store
from heliotrope.units import MICRO, S_PER_DAY, from_epoch

BOB = Wallet(key("bob")).address


@pytest.fixture
def ledger(home):
    home.mkdir()
    ledger = Ledger(Store(home / "helio.db"), home, ProveSettings())
    yield ledger
    ledger.store.close()


def say(*words, fails=None):
    result = CliRunner().invoke(helio, [str(word) for word in words], standalone_mode=False)
    if fails:
        assert isinstance(result.exception, fails), result
        return str(result.exception)
    if result.exception:
        raise result.exception
    return [json.loads(line) for line in result.stdout.splitlines()] if "--json" in words else result.stdout


def test_from_declaration_to_retirement(ledger):
    told = run_programme(ledger)
    (minted,) = say("claims", "mint", NAME, *period(told), "--json")
    assert minted["state"] == "minted"
    assert minted["circulating"] + minted["buffer"] == minted["grams"] > 1000
    assert "private to this home" in minted["flag"]
    said = say("claims", "mint", NAME, *period(told), fails=ProofError)
    assert "minted already" in said

    name = minted["id"][-12:]
    (moved,) = say("claims", "transfer", name, 400, BOB, "--json")
    assert moved["circulating"] == minted["circulating"]
    (retired,) = say(
        "claims", "retire", name, 500, "--beneficiary", "Example Ltd", "--reason", "training in May", "--json"
    )
    assert retired["retired"] == 500
    assert retired["circulating"] == minted["circulating"] - 500
    assert "balance too low" in say(
        "claims", "retire", name, minted["grams"], "--beneficiary", "x", "--reason", "y", fails=ChainRefused
    )

    (listed,) = say("claims", "list", "--json")
    assert listed["id"] == minted["id"]
    (shown,) = say("claims", "show", name, "--json")
    assert shown["retirements"][0]["beneficiary"] == "Example Ltd"
    assert shown["assessment"]["grams"] == minted["grams"]
    assert "retired" in say("claims", "show", name)
    assert "offset" not in say("claims", "list")


def test_anchoring_twice_is_anchoring_once(ledger):
    run_programme(ledger, count=2)
    (first,) = say("log", "anchor", "--json")
    (second,) = say("log", "anchor", "--json")
    assert first["size"] == second["size"]
    assert first["gas"] > 0 == second["gas"]


def test_nothing_is_minted_where_nothing_was_saved(ledger):
    told = run_programme(ledger, saved=-0.1)
    said = say("claims", "mint", NAME, *period(told), fails=ProofError)
    assert "nothing may be minted" in said
    assert say("claims", "list", "--json") == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("grams", 10**9, "not what its evidence comes to"),
        ("evidence", bytes(32), "rests on other evidence"),
        ("start_s", -1, "an earlier claim covers some of this time"),
    ],
)
def test_an_auditor_recomputes_and_refuses_what_is_not_so(ledger, field, value, said):
    told = run_programme(ledger)
    contract = say("log", "anchor", "--deploy", "--json")[0]["contract"]
    chain = Chain(Settings(home=str(ledger.home)), ledger.store)
    evidence = told.office.history().gather(told.start_s, told.end_s)
    honest = make_claim(evidence, assess(evidence), BOB)
    if field == "start_s":
        earlier = honest.start_s - S_PER_DAY
        forged = msgspec.structs.replace(
            honest, start_s=earlier, id=honest.id - honest.serial + serial_of(NAME, earlier, honest.end_s)
        )
    else:
        forged = msgspec.structs.replace(honest, **{field: value})
    with ledger.store.write() as tx:
        ledger.append(tx, [leaf_data(forged, chain.registry.seal.chain_id, contract)])
    Book(ledger, chain.registry).issue(evidence, BOB)
    assert said in say("claims", "agree", NAME, *period(told), fails=ProofError)


def test_an_honest_claim_gets_its_auditors_signature(ledger):
    told = run_programme(ledger)
    say("claims", "mint", NAME, *period(told))
    (slip,) = say("claims", "agree", NAME, *period(told), "--json")
    assert set(slip) == {"digest", "v", "r", "s", "size"}


def test_a_job_belongs_to_the_programme_that_registered_it_first(ledger):
    told = run_programme(ledger, count=2)
    other = declare(ledger, "day shift")
    other.register("job 0", epoch=0, registered_s=told.start_s, average_g=1.0, marginal_g=1.0)
    told.office.history().gather(told.start_s, told.end_s)
    with pytest.raises(InvalidInput, match="registered by another programme before"):
        other.history().gather(told.start_s, told.end_s)


def test_a_job_that_vanished_stops_the_claim(ledger):
    told = run_programme(ledger)
    told.office.register("forgotten", epoch=1, registered_s=told.start_s + 5, average_g=1.0, marginal_g=1.0)
    assert "has no outcome" in say("claims", "mint", NAME, *period(told), fails=InvalidInput)


def test_periods_that_overlap_do_not_share_jobs(ledger):
    told = run_programme(ledger)
    say("claims", "mint", NAME, *period(told))
    overlap = ("--from", from_epoch(told.start_s - S_PER_DAY).isoformat(), *period(told)[2:])
    assert "a job is in two claims" in say("claims", "mint", NAME, *overlap, fails=InvalidInput)


def test_a_period_must_be_over(ledger):
    told = run_programme(ledger, count=2)
    soon = from_epoch(time.time() + 3600).isoformat()
    assert "must be over" in say("claims", "mint", NAME, *period(told)[:2], "--to", soon, fails=InvalidInput)


def test_the_draw_is_unknown_until_revealed_and_seeds_cannot_be_made_up(ledger):
    office = declare(ledger)
    registration = office.register("a", epoch=0, registered_s=time.time(), average_g=1.0, marginal_g=None)
    with pytest.raises(UnknownName, match="not known yet"):
        office.history().held_out(registration)
    office.close(0)
    for seeds, error in (
        ({"one": CHAINS["one"][1][0]}, InvalidInput),
        ({name: bytes(32) for name in CHAINS}, BadProof),
        ({name: seeds[1] for name, (_, seeds) in CHAINS.items()}, BadProof),
    ):
        with pytest.raises(error):
            office.reveal(0, seeds, revealed_s=time.time())


def test_a_job_registered_after_the_close_is_not_drawn(ledger):
    """Else the operator could choose among registrations once it knows the seeds."""
    told = run_programme(ledger, count=2)
    late = told.office.register("late", epoch=0, registered_s=told.start_s + 5, average_g=1.0, marginal_g=1.0)
    with pytest.raises(UnknownName, match="not known yet"):
        told.office.history().held_out(late)
    told.office.outcome(late, "late", Outcome(0, told.end_s * MICRO, True, 0, 0, 0, 0))
    with pytest.raises(InvalidInput, match="after its epoch was closed"):
        assess(told.office.history().gather(told.start_s, told.end_s))


def test_a_programme_is_declared_once_and_a_job_ends_once(ledger):
    told = run_programme(ledger, count=2)
    with pytest.raises(InvalidInput, match="declared already"):
        declare(ledger)
    told.office.outcome(told.registrations[0], "job 0", Outcome(0, told.start_s * MICRO, True, 0, 0, 0, 0))
    with pytest.raises(InvalidInput, match="two outcomes"):
        told.office.history().gather(told.start_s, told.end_s)


@pytest.mark.parametrize(
    "words",
    [
        ("claims", "show", "abc"),
        ("claims", "mint", "nobody's", "--from", "2026-01-01T00:00Z", "--to", "2026-02-01T00:00Z"),
        ("claims", "mint", NAME, "--from", "yesterday", "--to", "2026-02-01T00:00Z"),
        ("claims", "retire", "abc", "1", "--beneficiary", "", "--reason", "y"),
        ("claims", "transfer", "abc", "1", "0x12"),
        ("log", "anchor"),
    ],
)
def test_mistakes_get_words_not_tracebacks(home, words):
    home.mkdir()
    error = say(*words, fails=HelioError)
    assert error
