"""A programme's life in the log: declared, jobs registered, draws revealed, outcomes recorded, evidence gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from heliotrope import facts
from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.prove import merkle, record
from heliotrope.prove.claims import draw
from heliotrope.prove.claims.evidence import Action, Epoch, Evidence, Job, Outcome, Programme, predicate
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.record import Opened, Statement
from heliotrope.units import J_PER_KWH, MICRO

T = TypeVar("T", bound=msgspec.Struct)
_TRANSACTIONS = 2  # one anchor, one mint


class _Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    programme: str
    job: str
    epoch: int
    registered_us: int
    action: Action
    average_ug: int
    marginal_ug: int | None


class _Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`closed_at`: registrations from this index on belong to a later epoch."""

    programme: str
    epoch: int
    closed_at: int
    revealed_us: int
    seeds: dict[str, str]


class _Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    programme: str
    registration: int
    started_us: int
    shifted: bool
    average_low_ug: int
    average_high_ug: int
    marginal_low_ug: int | None
    marginal_high_ug: int | None


class Office:
    """The operator's side of one programme. Every step is a record of the log; `gather` reads them back."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger = ledger
        self.name = name

    def declare(self, programme: Programme) -> int:
        if programme.name != self.name:
            raise InvalidInput("another programme's declaration", field="name", found=programme.name, allowed=self.name)
        if self._declared():
            raise InvalidInput("this programme was declared already", field="name", found=self.name)
        return self._add("programme", self.name, predicate(programme))

    def register(
        self,
        job: str,
        *,
        epoch: int,
        registered_s: float,
        average_g: float,
        marginal_g: float | None,
        action: Action = Action.VOLUNTARY,
    ) -> int:
        """The forecast of running at once, before anything runs. Returns the log index that the outcome refers to."""
        marginal_ug = None if marginal_g is None else round(marginal_g * MICRO)
        body = _Registration(
            self.name, job, epoch, round(registered_s * MICRO), action, round(average_g * MICRO), marginal_ug
        )
        return self._add("registration", job, predicate(body))

    def reveal(self, epoch: int, seeds: Mapping[str, bytes], *, revealed_s: float) -> int:
        """Closes an epoch: whatever is registered from here on is drawn by later seeds."""
        programme, _ = self.programme()
        if seeds.keys() != programme.commitments.keys():
            raise InvalidInput(
                "every auditor's seed is needed, and no other",
                field="seeds",
                found=", ".join(sorted(seeds)),
                allowed=", ".join(sorted(programme.commitments)),
            )
        for name, seed in seeds.items():
            draw.check_seed(bytes.fromhex(programme.commitments[name]), epoch, seed)
        last = max((index for index, _ in self._registered()), default=-1)
        named = {name: seed.hex() for name, seed in seeds.items()}
        body = _Reveal(self.name, epoch, last + 1, round(revealed_s * MICRO), named)
        return self._add("reveal", f"{self.name} {epoch}", predicate(body))

    def held_out(self, registration: int) -> bool:
        """Whether the job must run at once; known only once its epoch's seeds are."""
        found = self._decoded(registration, _Registration)
        for _, reveal in self._revealed():
            if reveal.epoch == found.epoch and registration < reveal.closed_at:
                programme, _ = self.programme()
                seeds = {name: bytes.fromhex(seed) for name, seed in reveal.seeds.items()}
                return draw.held_out(self.name, self._leaf(registration), seeds, programme.holdout)
        raise UnknownName(f"the draw of {found.job} is not known yet", hint="it is once its epoch's seeds are revealed")

    def outcome(self, registration: int, outcome: Outcome) -> int:
        """`outcome.index` is given by the log; whatever it holds is ignored."""
        body = _Outcome(
            self.name,
            registration,
            outcome.started_us,
            outcome.shifted,
            outcome.average_low_ug,
            outcome.average_high_ug,
            outcome.marginal_low_ug,
            outcome.marginal_high_ug,
        )
        return self._add("outcome", self._decoded(registration, _Registration).job, predicate(body))

    def programme(self) -> tuple[Programme, int]:
        """As declared, and where."""
        found = self._declared()
        if not found:
            raise UnknownName(f"no programme named {self.name} in the log")
        return self._decoded(found[0], Programme), found[0]

    def gather(self, start_s: int, end_s: int, *, before: int | None = None) -> Evidence:
        """What the log knew of the period below an index: operator and auditors come to the same bytes."""
        programme, declared_at = self.programme()
        outcomes = self._outcomes(before)
        jobs = tuple(
            self._job(index, found, outcomes.get(index))
            for index, found in self._registered(before)
            if start_s * MICRO <= found.registered_us < end_s * MICRO
        )
        drawn = {job.epoch for job in jobs}
        epochs = tuple(
            Epoch(reveal.epoch, reveal.closed_at, index, reveal.revealed_us, reveal.seeds)
            for index, reveal in self._revealed(before)
            if reveal.epoch in drawn
        )
        records = 1 + len(epochs) + 2 * len(jobs)
        return Evidence(programme, declared_at, start_s, end_s, epochs, jobs, round(ledger_g(records) * MICRO))

    def _job(self, index: int, found: _Registration, outcome: Outcome | None) -> Job:
        leaf = self._leaf(index).hex()
        return Job(
            index,
            leaf,
            found.job,
            found.epoch,
            found.registered_us,
            found.action,
            found.average_ug,
            found.marginal_ug,
            outcome,
        )

    def _registered(self, before: int | None = None) -> Iterator[tuple[int, _Registration]]:
        return self._all("registration", _Registration, before)

    def _revealed(self, before: int | None = None) -> Iterator[tuple[int, _Reveal]]:
        return self._all("reveal", _Reveal, before)

    def _outcomes(self, before: int | None) -> dict[int, Outcome]:
        """By registration; a second outcome of one job is refused, whichever was the kinder."""
        found: dict[int, Outcome] = {}
        for index, body in self._all("outcome", _Outcome, before):
            if body.registration in found:
                raise InvalidInput("a job has two outcomes in the log", found=body.registration)
            found[body.registration] = Outcome(
                index,
                body.started_us,
                body.shifted,
                body.average_low_ug,
                body.average_high_ug,
                body.marginal_low_ug,
                body.marginal_high_ug,
            )
        return found

    def _all(self, kind: str, struct: type[T], before: int | None) -> Iterator[tuple[int, T]]:
        with self.ledger.store.read() as tx:
            rows = tx.all("SELECT idx FROM log_record WHERE kind = ? ORDER BY idx", (kind,))
        for (index,) in rows:
            if before is None or index < before:
                body = _predicate(self.ledger.open(index))
                if body.get("programme") == self.name:
                    yield index, _convert(body, struct, index)

    def _declared(self) -> list[int]:
        with self.ledger.store.read() as tx:
            rows = tx.all(
                "SELECT idx FROM log_record WHERE kind = 'programme' AND subject = ? ORDER BY idx", (self.name,)
            )
        return [int(row[0]) for row in rows]

    def _decoded(self, index: int, struct: type[T]) -> T:
        return _convert(_predicate(self.ledger.open(index)), struct, index)

    def _leaf(self, index: int) -> bytes:
        from heliotrope.prove import sequencer

        with self.ledger.store.read() as tx:
            (entry,) = sequencer.read_entries(tx, index, index + 1)
        return merkle.leaf_hash(entry)

    def _add(self, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        digest = record.digest(record.canonical(dict(body)))
        with self.ledger.store.write() as tx:
            return self.ledger.add(tx, Statement(kind, subject, record.statement(kind, subject, digest, dict(body))))


def ledger_g(records: int) -> float:
    """What logging, anchoring and minting emit at most: they must pay for themselves."""
    record_j = facts.fact("ledger", "log_record").value
    dirtiest = facts.fact("ledger", "dirtiest_grid").value
    transaction_g = facts.fact("ledger", "ethereum_transaction").value
    return records * record_j / J_PER_KWH * dirtiest + _TRANSACTIONS * transaction_g


def _predicate(opened: Opened) -> dict[str, Any]:
    body = opened.body.get("predicate", opened.body)
    assert isinstance(body, dict)
    return body


def _convert(body: Mapping[str, Any], struct: type[T], index: int) -> T:
    try:
        return msgspec.convert(body, struct)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"entry {index} is not a {struct.__name__.strip('_').lower()}", cause=str(error)) from error
