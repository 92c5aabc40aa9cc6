"""A programme's life as the log tells it: pure, so that operator and auditors come to the same evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from heliotrope import facts
from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.prove.claims import draw
from heliotrope.prove.claims.evidence import Action, Epoch, Evidence, Job, Outcome, Programme
from heliotrope.units import J_PER_KWH, MICRO

KINDS = ("programme", "registration", "close", "reveal", "outcome")
_TRANSACTIONS = 2  # one anchor, one mint
T = TypeVar("T", bound=msgspec.Struct)


class Entry(msgspec.Struct, frozen=True):
    """One record of the log, its signature and commitment checked. `leaf` is its hash in the tree."""

    index: int
    kind: str
    leaf: bytes
    predicate: Mapping[str, Any]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The forecast of running at once, µg, before anything runs.

    `recorded`: a job of this log's own controller. What it emitted is in the log's run records, and nobody's word.
    """

    programme: str
    job: str
    epoch: int
    registered_us: int
    action: Action
    average_ug: int
    marginal_ug: int | None
    recorded: bool = False


class Close(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Registrations after this record belong to a later epoch. Auditors reveal only once they see it in the log."""

    programme: str
    epoch: int


class Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    programme: str
    epoch: int
    revealed_us: int
    seeds: dict[str, str]


class Emitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`registration`: the log index of the job's baseline."""

    programme: str
    registration: int
    started_us: int
    shifted: bool
    average_low_ug: int
    average_high_ug: int
    marginal_low_ug: int | None
    marginal_high_ug: int | None
    completed: bool = True


class History:
    """Only records of the named programme count; others in the same log are passed over."""

    def __init__(self, name: str, entries: Iterable[Entry]) -> None:
        self.name = name
        kept: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
        self._elsewhere: dict[str, int] = {}
        for entry in entries:
            named = entry.predicate.get("name" if entry.kind == "programme" else "programme")
            if entry.kind in kept and named == name:
                kept[entry.kind].append(entry)
            elif entry.kind == "registration":
                self._elsewhere.setdefault(str(entry.predicate.get("job")), entry.index)
        if not kept["programme"]:
            raise UnknownName(f"no programme named {name} in the log")
        self.declared_at = kept["programme"][0].index
        self.programme = _read(kept["programme"][0], Programme)
        self._registered = {entry.index: (entry, _read(entry, Registration)) for entry in kept["registration"]}
        self._closed = _first((entry.index, _read(entry, Close)) for entry in kept["close"])
        self._revealed = _first((entry.index, _read(entry, Reveal)) for entry in kept["reveal"])
        self._emitted = [(entry.index, _read(entry, Emitted)) for entry in kept["outcome"]]

    @cached_property
    def epochs(self) -> dict[int, Epoch]:
        """Those whose draw is known: closed, and revealed after that."""
        return {
            number: Epoch(number, self._closed[number][0], index, reveal.revealed_us, reveal.seeds)
            for number, (index, reveal) in self._revealed.items()
            if number in self._closed
        }

    def held_out(self, registration: int) -> bool:
        """Whether the job must run at once; known only once its epoch's seeds are."""
        entry, job = self.registration(registration)
        epoch = self.epochs.get(job.epoch)
        if epoch is None or not registration < epoch.closed_at < epoch.revealed_at:
            raise UnknownName(
                f"the draw of {job.job} is not known yet", hint="it is once its epoch is closed and its seeds revealed"
            )
        seeds = {name: bytes.fromhex(seed) for name, seed in epoch.seeds.items()}
        return draw.held_out(self.name, entry.leaf, seeds, self.programme.holdout)

    def registrations(self) -> dict[int, Registration]:
        """By log index."""
        return {index: found for index, (_, found) in self._registered.items()}

    def settled(self) -> frozenset[int]:
        """The registrations that have an outcome."""
        return frozenset(body.registration for _, body in self._emitted)

    def undrawn(self) -> dict[int, int]:
        """Closed epochs whose seeds were never logged, with the index of their close."""
        return {number: index for number, (index, _) in self._closed.items() if number not in self._revealed}

    def registration(self, index: int) -> tuple[Entry, Registration]:
        if index not in self._registered:
            raise UnknownName(f"entry {index} registers no job of {self.name}")
        return self._registered[index]

    def gather(self, start_s: int, end_s: int, *, before: int | None = None, only_settled: bool = False) -> Evidence:
        """What the log knew of the period below an index, whatever came after.

        `only_settled` leaves out jobs that are not over: enough for an estimate, never for a claim.
        """
        outcomes = self.outcomes(before)
        for index, (_, found) in self._registered.items():
            if self._elsewhere.get(found.job, index) < index:
                raise InvalidInput("a job was registered by another programme before", field=found.job)
        jobs = tuple(
            Job(
                index,
                entry.leaf.hex(),
                found.job,
                found.epoch,
                found.registered_us,
                found.action,
                found.average_ug,
                found.marginal_ug,
                outcomes.get(index),
            )
            for index, (entry, found) in self._registered.items()
            if start_s * MICRO <= found.registered_us < end_s * MICRO
            and (before is None or index < before)
            and (index in outcomes or not only_settled)
        )
        drawn = {job.epoch for job in jobs}
        epochs = tuple(
            epoch
            for number, epoch in sorted(self.epochs.items())
            if number in drawn and (before is None or epoch.revealed_at < before)
        )
        records = 1 + 2 * len(epochs) + 2 * len(jobs)
        ledger_ug = round(ledger_g(records) * MICRO)
        return Evidence(self.programme, self.declared_at, start_s, end_s, epochs, jobs, ledger_ug)

    def outcomes(self, before: int | None = None) -> dict[int, Outcome]:
        """By registration; a second outcome of one job is refused, whichever was the kinder."""
        found: dict[int, Outcome] = {}
        for index, body in self._emitted:
            if before is not None and index >= before:
                continue
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
                body.completed,
            )
        return found


def ledger_g(records: int) -> float:
    """What logging, anchoring and minting emit at most: they must pay for themselves."""
    record_j = facts.fact("ledger", "log_record").value
    dirtiest = facts.fact("ledger", "dirtiest_grid").value
    transaction_g = facts.fact("ledger", "ethereum_transaction").value
    return records * record_j / J_PER_KWH * dirtiest + _TRANSACTIONS * transaction_g


E = TypeVar("E", Close, Reveal)


def _first(found: Iterable[tuple[int, E]]) -> dict[int, tuple[int, E]]:
    """By epoch; a second word about an epoch changes nothing."""
    by_epoch: dict[int, tuple[int, E]] = {}
    for index, body in found:
        by_epoch.setdefault(body.epoch, (index, body))
    return by_epoch


def _read(entry: Entry, struct: type[T]) -> T:
    try:
        return msgspec.convert(entry.predicate, struct)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"entry {entry.index} is no {entry.kind} of a programme", cause=str(error)) from error
