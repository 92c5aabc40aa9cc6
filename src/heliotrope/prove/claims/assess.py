"""How much may be minted: the rules that evidence must keep, and the smaller of two lower bounds, less what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.prove.claims import draw, estimate
from heliotrope.prove.claims.draw import PARTS
from heliotrope.prove.claims.estimate import Saving
from heliotrope.prove.claims.evidence import Action, Epoch, Evidence, Job, Outcome
from heliotrope.units import MICRO


class Assessment(msgspec.Struct, frozen=True):
    """`grams`: whole, rounded down, never below nothing. `reasons` say what lowered it."""

    grams: int
    average: Saving
    marginal: Saving | None
    leakage_g: float
    ledger_g: float
    held_out: int
    shifted: int
    late: int
    unfinished: int
    not_voluntary: int
    reasons: tuple[str, ...]


def assess(evidence: Evidence) -> Assessment:
    """Breaks of the rules raise; what is honest but earns nothing comes back as zero grams with reasons."""
    epochs = _check(evidence)
    counted = [job for job in evidence.jobs if job.action is Action.VOLUNTARY]
    held = [is_held_out(evidence, job, epochs) for job in counted]
    late = [not _in_time(job, epochs) for job in counted]
    unfinished = [not _outcome(job).completed for job in counted]
    _check_kept(counted, held)
    groups = _Groups(held, late, unfinished)
    average = _saving([_average(job) for job in counted], groups)
    marginal = _marginal_saving(counted, groups)
    smaller = min((average, marginal), key=lambda s: s.earned_g) if marginal else estimate.NOTHING
    leakage_g = max(0.0, smaller.value_g) * evidence.programme.leakage / PARTS
    ledger_g = evidence.ledger_ug / MICRO
    left_g = smaller.earned_g - leakage_g - ledger_g
    assessment = Assessment(
        grams=int(left_g) if left_g >= 1 else 0,
        average=average,
        marginal=marginal,
        leakage_g=leakage_g,
        ledger_g=ledger_g,
        held_out=sum(held),
        shifted=len(held) - sum(held),
        late=sum(late),
        unfinished=sum(unfinished),
        not_voluntary=len(evidence.jobs) - len(counted),
        reasons=(),
    )
    return msgspec.structs.replace(assessment, reasons=tuple(_reasons(assessment)))


def is_held_out(evidence: Evidence, job: Job, epochs: Mapping[int, Epoch]) -> bool:
    seeds = {name: bytes.fromhex(seed) for name, seed in epochs[job.epoch].seeds.items()}
    programme = evidence.programme
    return draw.held_out(programme.name, bytes.fromhex(job.leaf), seeds, programme.holdout)


def _check(evidence: Evidence) -> dict[int, Epoch]:
    """Order in the log, honest draws, nothing twice, nothing missing. The epochs by number."""
    epochs = {epoch.number: epoch for epoch in evidence.epochs}
    if len(epochs) != len(evidence.epochs):
        raise InvalidInput("an epoch is given twice", field="epochs")
    for epoch in evidence.epochs:
        _check_epoch(evidence, epoch)
    _check_seeds(evidence)
    _once((job.index for job in evidence.jobs), "registration")
    _once((job.job for job in evidence.jobs), "job")
    _once((job.outcome.index for job in evidence.jobs if job.outcome), "outcome")
    for job in evidence.jobs:
        if job.index <= evidence.declared_at:
            raise InvalidInput("registered before its programme was declared", field=job.job)
        if not evidence.start_s * MICRO <= job.registered_us < evidence.end_s * MICRO:
            raise InvalidInput("registered outside the claim's period", field=job.job, found=job.registered_us)
        if job.outcome is None:
            raise InvalidInput(
                "a registered job has no outcome",
                field=job.job,
                hint="log what it emitted, or that it was cancelled: no job may be left out once it was drawn",
            )
        if job.epoch not in epochs or job.index >= epochs[job.epoch].closed_at:
            raise InvalidInput("registered after its epoch was closed", field=job.job, found=job.epoch)
    return epochs


def _check_epoch(evidence: Evidence, epoch: Epoch) -> None:
    if epoch.revealed_at <= epoch.closed_at:
        raise InvalidInput("seeds revealed before their epoch was closed", field=f"epochs.{epoch.number}")
    commitments = evidence.programme.commitments
    if epoch.seeds.keys() != commitments.keys():
        missing = ", ".join(sorted(commitments.keys() ^ epoch.seeds.keys()))
        raise InvalidInput(
            "every auditor's seed is needed, and no other", field=f"epochs.{epoch.number}", found=missing
        )


def _check_seeds(evidence: Evidence) -> None:
    for name, commitment in evidence.programme.commitments.items():
        seeds = {epoch.number: bytes.fromhex(epoch.seeds[name]) for epoch in evidence.epochs}
        wrong = draw.check_seeds(bytes.fromhex(commitment), seeds)
        if wrong is not None:
            raise InvalidInput(
                f"the seed of epoch {wrong} is not the one committed to",
                field=f"epochs.{wrong}.{name}",
                hint="the auditor reveals the link it promised",
            )


def _in_time(job: Job, epochs: Mapping[int, Epoch]) -> bool:
    """In time and in the log: the baseline before the start, the draw before the outcome.

    Starts are the operator's word, so a late job is not dropped, which could be chosen: it may only cost.
    """
    outcome, epoch = _outcome(job), epochs[job.epoch]
    return job.registered_us <= epoch.revealed_us <= outcome.started_us and epoch.revealed_at < outcome.index


def _check_kept(jobs: list[Job], held: list[bool]) -> None:
    for job, out in zip(jobs, held, strict=True):
        if out and _outcome(job).shifted:
            raise InvalidInput(
                "a held-out job was shifted",
                field=job.job,
                hint="held-out jobs run at once: without them nothing is known",
            )


class _Micrograms(NamedTuple):
    baseline: int
    low: int
    high: int


def _average(job: Job) -> _Micrograms:
    outcome = _outcome(job)
    return _Micrograms(job.average_ug, outcome.average_low_ug, outcome.average_high_ug)


class _Groups(NamedTuple):
    held: list[bool]
    late: list[bool]
    unfinished: list[bool]


def _marginal_saving(jobs: list[Job], groups: _Groups) -> Saving | None:
    """None where a job lacks this basis: a missing number is no zero."""
    rows = []
    for job in jobs:
        low, high = _outcome(job).marginal_low_ug, _outcome(job).marginal_high_ug
        if job.marginal_ug is None or low is None or high is None:
            return None
        rows.append(_Micrograms(job.marginal_ug, low, high))
    return _saving(rows, groups)


def _saving(rows: list[_Micrograms], groups: _Groups) -> Saving:
    import numpy as np

    baseline_g, low_g, high_g = np.array(rows, dtype=float).reshape(-1, 3).T / MICRO
    held, late, unfinished = (np.array(group, dtype=bool) for group in groups)
    return estimate.saving(baseline_g, low_g, high_g, held, late, unfinished)


def _outcome(job: Job) -> Outcome:
    assert job.outcome is not None
    return job.outcome


def _reasons(found: Assessment) -> Iterator[str]:
    average, marginal = found.average, found.marginal
    if found.late:
        yield f"{found.late} jobs started before their baseline was logged or their draw was known: they earn nothing"
    if found.unfinished:
        yield f"{found.unfinished} jobs did not end well: their work is still to be done, and earns nothing"
    if found.not_voluntary:
        yield f"{found.not_voluntary} jobs were shifted by default or by mandate: they earn nothing"
    if found.held_out < estimate.FEWEST:
        yield f"{found.held_out} held-out jobs, {estimate.FEWEST} are needed to know what would have happened"
    elif not all(saving.sure for saving in (average, marginal) if saving):
        yield f"the saving is less than {estimate.SURE:g} standard errors: it may be chance"
    if marginal is None:
        yield "no marginal intensity: the smaller of two savings cannot be known"
    elif marginal.low_g < average.low_g:
        yield "the marginal saving is the smaller one and counts"
    if average.too_large:
        yield f"{average.too_large} jobs are larger than any held out: they earn nothing"
    if not found.grams:
        yield "the lower bound, less leakage and the ledger's own emissions, is below one gram"


def _once(names: Iterable[int | str], what: str) -> None:
    seen: set[int | str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"a {what} is counted twice", found=name)
        seen.add(name)
