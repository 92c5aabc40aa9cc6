"""What a claim is computed from: a programme, its draws and every registered job, in the integers of records."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.prove.claims.draw import PARTS
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.records import record

Index = Annotated[int, msgspec.Meta(ge=0)]
Grams = Annotated[int, msgspec.Meta(ge=0, le=record.MAX_INTEGER)]  # µg
Share = Annotated[int, msgspec.Meta(ge=0, le=PARTS)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Action(StrEnum):
    """Why a job was shifted. What law, contract or a default setting would have done anyway earns nothing."""

    VOLUNTARY = "voluntary"
    DEFAULT = "default"
    MANDATED = "mandated"


class Programme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Declared once, before its first job. `holdout` and `leakage` are parts in ten thousand.

    `leakage`: the part of a saving that turns up elsewhere (displaced work, rebound), with the reason for the number.
    `commitments`: each auditor's end of a seed chain.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    method: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    holdout: Annotated[int, msgspec.Meta(ge=500, le=5000)]
    leakage: Share
    leakage_reason: Annotated[str, msgspec.Meta(min_length=1)]
    commitments: dict[str, Digest]

    def __post_init__(self) -> None:
        if not self.commitments:
            raise ValueError("a programme needs at least one auditor's commitment: who else draws the hold-outs?")


class Epoch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Registrations below log index `closed_at` are drawn by `seeds`, which came after, at `revealed_at`."""

    number: Index
    closed_at: Index
    revealed_at: Index
    revealed_us: Index
    seeds: dict[str, Digest]


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job emitted, µg, at both ends of its interval, by average and by marginal intensity.

    `shifted`: it ran elsewhere or later than at once. A job that was cancelled before it ran has zeros; unless
    `completed`, the work is still to be done, and a saving cannot be made by not doing it.
    """

    index: Index
    started_us: Index
    shifted: bool
    average_low_ug: Grams
    average_high_ug: Grams
    marginal_low_ug: Grams | None = None
    marginal_high_ug: Grams | None = None
    completed: bool = True

    def __post_init__(self) -> None:
        if self.average_low_ug > self.average_high_ug or (self.marginal_low_ug is None) != (
            self.marginal_high_ug is None
        ):
            raise ValueError("an outcome needs low <= high, and both marginal ends or none")
        if (self.marginal_low_ug or 0) > (self.marginal_high_ug or 0):
            raise ValueError("an outcome needs low <= high")


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered baseline (what running at once was forecast to emit) and what came of it."""

    index: Index
    leaf: Digest
    job: str
    epoch: Index
    registered_us: Index
    action: Action
    average_ug: Grams
    marginal_ug: Grams | None
    outcome: Outcome | None


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every job registered over [start_s, end_s), whatever became of it. `ledger_ug`: what proving it all emitted."""

    programme: Programme
    declared_at: Index
    start_s: Index
    end_s: Index
    epochs: tuple[Epoch, ...]
    jobs: tuple[Job, ...]
    ledger_ug: Grams

    def canonical(self) -> bytes:
        return record.canonical(msgspec.to_builtins(self))

    @classmethod
    def parse(cls, raw: bytes, *, file: str = "") -> Evidence:
        """Only the canonical bytes: another spelling of the same content would have another digest."""
        try:
            found = msgspec.json.decode(bounded(raw), type=cls)
        except UNREADABLE as error:
            raise InvalidInput("not a claim's evidence", file=file, cause=str(error)) from error
        if found.canonical() != raw:
            raise InvalidInput("evidence that is not in canonical form", file=file)
        return found
