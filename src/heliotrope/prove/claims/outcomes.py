"""What a job emitted, reckoned from the log's own run records and their evidence: by operator and auditor alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from heliotrope import footprint
from heliotrope.errors import ProofError
from heliotrope.model import Basis, Measurement, Quantity, Signal, Site
from heliotrope.prove.claims.evidence import Outcome
from heliotrope.prove.claims.history import Entry, History
from heliotrope.prove.records import record
from heliotrope.prove.records.evidence import Evidence, decode, of_zone
from heliotrope.units import MICRO

KINDS = ("plan", "run")
# A start within a quarter of an hour is at once: a machine may be busy with another job.
AT_ONCE_US = 900 * MICRO
# What float arithmetic elsewhere may differ by, in µg and as a ratio.
TOLERANCE_UG, TOLERANCE = 2, 1e-9


class _Span(NamedTuple):
    """Grams, at both ends."""

    low_g: float
    high_g: float


class Runs:
    """A log's plans and runs. `evidence(digest)`: the bytes that a run's footprint was computed from, where shown."""

    def __init__(self, entries: Iterable[Entry], evidence: Callable[[str], bytes | None]) -> None:
        self._evidence = evidence
        self._plans: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._runs: dict[str, list[Entry]] = {}
        for entry in entries:
            said = entry.predicate
            if entry.kind == "plan":
                self._plans[said["workload"]["id"], record.digest(record.canonical(said["plan"]))] = said["plan"]
            elif entry.kind == "run":
                self._runs.setdefault(said["workload"]["id"], []).append(entry)

    def outcome(self, job: str, *, held_out: bool, before: int | None = None) -> Outcome | None:
        """None where no run of the job is recorded below that index; all of its attempts count."""
        found = [entry.predicate for entry in self._runs.get(job, ()) if before is None or entry.index < before]
        if not found:
            return None
        if len({said["run"]["id"] for said in found}) < len(found):
            raise ProofError(f"a run of {job} is recorded twice", hint="a replayed record counts nothing twice")
        kept = [self._kept(said) for said in found]
        average = _sum(_emitted(evidence, Basis.AVERAGE, held_out=held_out) for evidence in kept)
        marginal = _sum(_emitted(evidence, Basis.MARGINAL, held_out=held_out) for evidence in kept)
        if average is None:
            raise ProofError(f"the evidence of {job} holds no average carbon signal")
        return Outcome(
            0,
            min(int(said["run"]["started_us"]) for said in found),
            any(self._shifted(said, evidence) for said, evidence in zip(found, kept, strict=True)),
            round(average.low_g * MICRO),
            round(average.high_g * MICRO),
            None if marginal is None else round(marginal.low_g * MICRO),
            None if marginal is None else round(marginal.high_g * MICRO),
            completed=found[-1]["run"]["state"] == "done",
        )

    def _kept(self, said: Mapping[str, Any]) -> Evidence:
        digest = said["evidence"]
        raw = self._evidence(digest) if digest else None
        if raw is None or record.digest(raw) != digest:
            raise ProofError(f"the evidence of run {said['run']['id']} is not to be had")
        return decode(raw)

    def _shifted(self, said: Mapping[str, Any], evidence: Evidence) -> bool:
        """By the plan it followed: elsewhere, in parts, or later than at once."""
        plan = self._plans.get((said["workload"]["id"], said["plan"]["digest"]))
        if plan is None:
            raise ProofError(f"the plan of run {said['run']['id']} is not in the log")
        first, *more = plan["slots"]
        home = evidence.home or evidence.site
        return bool(more) or first["site"] != home.name or int(first["start_us"]) - int(plan["made_us"]) > AT_ONCE_US


def check(history: History, runs: Runs, *, before: int) -> int:
    """That outcomes logged below an index are what the run records come to; how many rest on the operator's word."""
    told = 0
    outcomes = history.outcomes(before)
    for index, job in history.registrations().items():
        logged = outcomes.get(index)
        if logged is None:
            continue
        mine = runs.outcome(job.job, held_out=history.held_out(index), before=logged.index)
        if mine is None and not job.recorded:
            told += 1
        elif not _same(logged, mine):
            raise ProofError(
                f"the outcome of {job.job} is not what its run's record comes to",
                cause=f"entry {logged.index}",
                hint="do not sign; publish both",
            )
    return told


def never_run(at_us: int) -> Outcome:
    return Outcome(0, at_us, False, 0, 0, 0, 0, completed=False)


def _same(logged: Outcome, mine: Outcome | None) -> bool:
    if mine is None:
        mine = never_run(logged.started_us)
    if (logged.shifted, logged.completed) != (mine.shifted, mine.completed):
        return False
    return all(map(_near, _numbers(logged), _numbers(mine)))


def _near(theirs: int | None, ours: int | None) -> bool:
    if theirs is None or ours is None:
        return theirs is ours
    return abs(theirs - ours) <= max(TOLERANCE_UG, TOLERANCE * abs(ours))


def _numbers(outcome: Outcome) -> tuple[int | None, ...]:
    return (
        outcome.started_us,
        outcome.average_low_ug,
        outcome.average_high_ug,
        outcome.marginal_low_ug,
        outcome.marginal_high_ug,
    )


def _emitted(evidence: Evidence, basis: Basis, *, held_out: bool) -> _Span | None:
    """A held-out job that had to wait for room counts as what it emitted or would have at once, whichever is less."""
    actual = _computed(evidence, evidence.measurement, evidence.site, basis)
    if actual is None or not held_out or evidence.home is None or evidence.submitted_s is None:
        return actual
    at_once = footprint.at_once(evidence.measurement, evidence.submitted_s)
    other = _computed(evidence, at_once, evidence.home, basis)
    return other and _Span(min(actual.low_g, other.low_g), max(actual.high_g, other.high_g))


def _computed(evidence: Evidence, measurement: Measurement, site: Site, basis: Basis) -> _Span | None:
    carbon = _signal(evidence.signals, site.zone, basis)
    if carbon is None:
        return None
    made = footprint.compute(measurement, site, carbon, device_s=evidence.device_s).carbon_operational_g
    return _Span(made.low, made.high)


def _signal(signals: Sequence[Signal], zone: str, basis: Basis) -> Signal | None:
    return next(
        (s for s in of_zone(signals, zone) if s.kind.quantity is Quantity.CARBON and s.kind.basis is basis), None
    )


def _sum(spans: Iterable[_Span | None]) -> _Span | None:
    low_g = high_g = 0.0
    for span in spans:
        if span is None:
            return None
        low_g, high_g = low_g + span.low_g, high_g + span.high_g
    return _Span(low_g, high_g)
