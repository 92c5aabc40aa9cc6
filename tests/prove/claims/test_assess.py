"""The rules of honest minting, each broken once."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_programme import END_S, START_S, evidence, jobs, programme
from heliotrope.errors import InvalidInput
from heliotrope.prove.claims.assess import assess
from heliotrope.prove.claims.evidence import Action, Evidence, Outcome
from heliotrope.units import MICRO

change = msgspec.structs.replace


@pytest.fixture
def honest():
    return evidence(jobs("honest", 150, np.random.default_rng(5), spread=0.8))[0]


def with_job(whole, number, **changes):
    rows = list(whole.jobs)
    rows[number] = change(rows[number], **changes)
    return change(whole, jobs=tuple(rows))


def with_outcome(whole, number, **changes):
    return with_job(whole, number, outcome=change(whole.jobs[number].outcome, **changes))


def test_honest_work_earns_less_than_it_saved(honest):
    assessed = assess(honest)
    assert 0 < assessed.grams < assessed.average.value_g
    assert assessed.held_out + assessed.shifted == 150
    assert assess(honest) == assessed


def test_leakage_and_the_ledger_are_paid_for(honest):
    plain = assess(honest)
    leaky = assess(change(honest, programme=change(honest.programme, leakage=500)))
    assert leaky.grams == int(plain.average.low_g - 0.05 * plain.average.value_g)
    dear = assess(change(honest, ledger_ug=1000 * MICRO))
    assert dear.grams == int(plain.average.low_g - 1000)
    dearest = assess(change(honest, ledger_ug=10**6 * MICRO))
    assert dearest.grams == 0
    assert "below one gram" in dearest.reasons[-1]


def test_the_smaller_of_average_and_marginal_counts(honest):
    rows = tuple(
        change(
            job,
            marginal_ug=job.marginal_ug // 2,
            outcome=change(
                job.outcome,
                marginal_low_ug=job.outcome.marginal_low_ug // 2,
                marginal_high_ug=job.outcome.marginal_high_ug // 2,
            ),
        )
        for job in honest.jobs
    )
    half = assess(change(honest, jobs=rows))
    assert half.grams == pytest.approx(assess(honest).grams / 2, abs=1)
    assert "the marginal saving is the smaller one and counts" in half.reasons


def test_without_marginal_intensity_nothing_is_earned(honest):
    for broken in (
        with_job(honest, 3, marginal_ug=None),
        with_outcome(honest, 3, marginal_low_ug=None, marginal_high_ug=None),
    ):
        assessed = assess(broken)
        assert (assessed.grams, assessed.marginal) == (0, None)
        assert any("no marginal intensity" in reason for reason in assessed.reasons)


@pytest.mark.parametrize("action", [Action.DEFAULT, Action.MANDATED])
def test_what_would_have_happened_anyway_earns_nothing(honest, action):
    rows = tuple(change(job, action=action) for job in honest.jobs)
    assessed = assess(change(honest, jobs=rows))
    assert (assessed.grams, assessed.not_voluntary) == (0, 150)


def test_a_late_job_may_only_cost(honest):
    """Starts are the operator's word: were late jobs dropped, it could drop those that came out badly."""
    number = held_number(honest, held=False)
    plain = assess(honest)
    for started_us in (honest.jobs[number].registered_us - 1, honest.epochs[0].revealed_us - 1):
        late = assess(with_outcome(honest, number, started_us=started_us))
        assert late.late == 1
        assert late.average.value_g < plain.average.value_g
    bad_ug = 10 * honest.jobs[number].average_ug
    bad = with_outcome(honest, number, average_low_ug=bad_ug, average_high_ug=bad_ug)
    assert assess(with_outcome(bad, number, started_us=0)).average == assess(bad).average


def test_a_late_job_that_was_held_out_still_speaks(honest):
    number = held_number(honest, held=True)
    late = assess(with_outcome(honest, number, started_us=0))
    assert (late.late, late.average) == (1, assess(honest).average)


def test_no_job_may_be_left_out_once_drawn(honest):
    with pytest.raises(InvalidInput, match="has no outcome"):
        assess(with_job(honest, 3, outcome=None))


def held_number(whole, *, held):
    """The first job that was, or was not, held out."""
    return next(i for i, job in enumerate(whole.jobs) if job.outcome.shifted is not held)


def test_a_held_out_job_that_was_shifted_spoils_the_claim(honest):
    number = held_number(honest, held=True)
    with pytest.raises(InvalidInput, match="a held-out job was shifted"):
        assess(with_outcome(honest, number, shifted=True))


def test_a_shifted_job_may_run_at_once(honest):
    number = held_number(honest, held=False)
    assert assess(with_outcome(honest, number, shifted=False)).grams == assess(honest).grams


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda e: change(e, jobs=(*e.jobs, e.jobs[0])), "registration is counted twice"),
        (lambda e: with_job(e, 0, job="job 1"), "job is counted twice"),
        (lambda e: with_outcome(e, 0, index=e.jobs[1].outcome.index), "outcome is counted twice"),
        (lambda e: change(e, declared_at=5), "before its programme was declared"),
        (lambda e: with_job(e, 0, registered_us=END_S * MICRO), "outside the claim's period"),
        (lambda e: with_job(e, 0, registered_us=START_S * MICRO - 1), "outside the claim's period"),
        (lambda e: with_job(e, 0, index=e.epochs[0].closed_at), "after its epoch was closed"),
        (lambda e: with_job(e, 0, epoch=4), "after its epoch was closed"),
        (lambda e: change(e, epochs=e.epochs * 2), "an epoch is given twice"),
        (lambda e: change(e, epochs=(change(e.epochs[0], revealed_at=3),)), "before their epoch was closed"),
        (lambda e: change(e, epochs=(change(e.epochs[0], seeds={}),)), "every auditor's seed"),
        (
            lambda e: change(e, epochs=(change(e.epochs[0], seeds=e.epochs[0].seeds | {"one": "00" * 32}),)),
            "not the one committed to",
        ),
        (lambda e: change(e, epochs=(change(e.epochs[0], number=1),)), "not the one committed to"),
    ],
)
def test_what_breaks_the_rules_is_refused_by_name(honest, broken, said):
    with pytest.raises(InvalidInput, match=said):
        assess(broken(honest))


# The document


def test_evidence_has_one_spelling(honest):
    raw = honest.canonical()
    assert Evidence.parse(raw) == honest
    for other in (raw + b" ", raw.replace(b":", b": ", 1), b"{}", b"", b"\xff", b"[1,2"):
        with pytest.raises(InvalidInput):
            Evidence.parse(other)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_upset_the_parser(raw):
    with pytest.raises(InvalidInput):
        Evidence.parse(raw)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_cut_and_stirred_evidence_is_read_or_refused(data):
    whole = evidence(jobs("honest", 3, np.random.default_rng(1)))[0].canonical()
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    stirred = whole[:start] + data.draw(st.binary(max_size=5)) + whole[end:]
    try:
        read = Evidence.parse(stirred)
    except InvalidInput:
        return
    assert read.canonical() == stirred


@pytest.mark.parametrize(
    "changes", [{"holdout": 100}, {"holdout": 9000}, {"leakage": 20_000}, {"leakage_reason": ""}, {"commitments": {}}]
)
def test_a_programme_that_cannot_be_honest_is_refused(changes):
    body = msgspec.to_builtins(programme()) | changes
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, type(programme()))


def test_an_outcome_has_two_ends_in_order():
    with pytest.raises(ValueError, match="low <= high"):
        Outcome(1, 1, False, 2, 1)
    with pytest.raises(ValueError, match="both marginal ends"):
        Outcome(1, 1, False, 1, 1, 1, None)
    with pytest.raises(ValueError, match="low <= high"):
        Outcome(1, 1, False, 1, 1, 2, 1)
