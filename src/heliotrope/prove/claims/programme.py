"""The operator's side of a programme: every step is a record of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.prove.claims import draw
from heliotrope.prove.claims.evidence import Action, Outcome, Programme
from heliotrope.prove.claims.history import Close, Emitted, History, Registration, Reveal
from heliotrope.prove.claims.reading import from_ledger, has_programme
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.records import record
from heliotrope.prove.records.record import Statement
from heliotrope.store import Transaction
from heliotrope.units import MICRO


class Office:
    """Declare, register, close, reveal, record outcomes; `history` reads all of it back."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger = ledger
        self.name = name

    def history(self) -> History:
        return History(self.name, from_ledger(self.ledger))

    def programme(self) -> Programme:
        index = self.ledger.find(self.name, "programme")
        return msgspec.convert(self.ledger.open(index).body["predicate"], Programme)

    def declare(self, programme: Programme) -> int:
        if programme.name != self.name:
            raise InvalidInput("another programme's declaration", field="name", found=programme.name, allowed=self.name)
        if has_programme(self.ledger, self.name):
            raise InvalidInput("this programme was declared already", field="name", found=self.name)
        return self._add("programme", self.name, programme)

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
        """The log index that the job's outcome refers to. Grams: the forecast of running at once."""
        body = Registration(
            self.name, job, epoch, _micro(registered_s), action, _micro(average_g), _micro_or_none(marginal_g)
        )
        return self._add("registration", job, body)

    def enter(
        self, job: str, *, registered_s: float, average_g: float, marginal_g: float | None
    ) -> tuple[int, int, int]:
        """A job of this log's own controller, in an epoch of its own: epoch, index of registration, index of close."""
        with self.ledger.store.write() as tx:
            epoch = self._next_epoch(tx)
            body = Registration(
                self.name,
                job,
                epoch,
                _micro(registered_s),
                Action.VOLUNTARY,
                _micro(average_g),
                _micro_or_none(marginal_g),
                recorded=True,
            )
            registration = self.ledger.add(tx, _statement("registration", job, body))
            closed = self.ledger.add(tx, self._close(epoch))
        return epoch, registration, closed

    def _next_epoch(self, tx: Transaction) -> int:
        first, last = f"{self.name} ", f"{self.name} :"  # the digits of an epoch sort in between
        rows = tx.all(
            "SELECT subject FROM log_record WHERE kind = 'close' AND subject > ? AND subject < ?", (first, last)
        )
        numbers = (str(row[0]).removeprefix(first) for row in rows)
        return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)

    def close(self, epoch: int) -> int:
        """Ends an epoch's registrations, before any auditor reveals its seed."""
        with self.ledger.store.write() as tx:
            return self.ledger.add(tx, self._close(epoch))

    def _close(self, epoch: int) -> Statement:
        return _statement("close", f"{self.name} {epoch}", Close(self.name, epoch))

    def reveal(self, epoch: int, seeds: Mapping[str, bytes], *, revealed_s: float) -> int:
        """What the auditors handed over after they saw the epoch closed."""
        promised = self.programme().commitments
        if seeds.keys() != promised.keys():
            raise InvalidInput(
                "every auditor's seed is needed, and no other",
                field="seeds",
                found=", ".join(sorted(seeds)),
                allowed=", ".join(sorted(promised)),
            )
        for name, seed in seeds.items():
            draw.check_seed(bytes.fromhex(promised[name]), epoch, seed)
        named = {name: seed.hex() for name, seed in seeds.items()}
        return self._add("reveal", f"{self.name} {epoch}", Reveal(self.name, epoch, _micro(revealed_s), named))

    def outcome(self, registration: int, job: str, outcome: Outcome) -> int:
        """What a job emitted. The log gives `outcome.index`; whatever it holds is ignored."""
        body = Emitted(
            self.name,
            registration,
            outcome.started_us,
            outcome.shifted,
            outcome.average_low_ug,
            outcome.average_high_ug,
            outcome.marginal_low_ug,
            outcome.marginal_high_ug,
            outcome.completed,
        )
        return self._add("outcome", job, body)

    def _add(self, kind: str, subject: str, struct: msgspec.Struct) -> int:
        with self.ledger.store.write() as tx:
            return self.ledger.add(tx, _statement(kind, subject, struct))


def _statement(kind: str, subject: str, struct: msgspec.Struct) -> Statement:
    body: dict[str, Any] = msgspec.to_builtins(struct)
    return Statement(kind, subject, record.statement(kind, subject, record.digest(record.canonical(body)), body))


def _micro(value: float) -> int:
    return round(value * MICRO)


def _micro_or_none(value: float | None) -> int | None:
    return None if value is None else _micro(value)
