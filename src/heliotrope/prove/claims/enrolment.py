"""Enters real work in a programme: before it runs, its baseline is logged and drawn; once it is over, its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from heliotrope.config import ClaimSettings
from heliotrope.errors import ConfigError
from heliotrope.model import Outlook, Signal
from heliotrope.prove.claims import draw, outcomes
from heliotrope.prove.claims.evidence import Outcome, Programme
from heliotrope.prove.claims.history import History, Registration
from heliotrope.prove.claims.outcomes import Runs
from heliotrope.prove.claims.programme import Office
from heliotrope.prove.claims.reading import from_ledger, own_evidence
from heliotrope.prove.claims.seeds import client
from heliotrope.prove.claims.seeds.keeper import Closing, Keeper
from heliotrope.prove.formats import merkle
from heliotrope.prove.ledger import Ledger
from heliotrope.prove.log import sequencer
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.store import runs
from heliotrope.units import J_PER_KWH, MICRO

# Between its draw and its acknowledgement a job is in nobody's store; later than this, it never came.
ARRIVAL_S = 60.0


class Ticket(msgspec.Struct, frozen=True):
    """What was drawn for a job. `held_out`: it must run at once at home. `flag` says whose word the draw is."""

    programme: str
    registration: int
    held_out: bool
    flag: str = ""


class Enrolment:
    """The one seam between a controller and a programme: `draw` before a job is planned for good, `settle` any time."""

    def __init__(self, ledger: Ledger, settings: ClaimSettings, *, clock_s: Callable[[], float] = time.time) -> None:
        self.ledger = ledger
        self._clock_s = clock_s
        self.office = Office(ledger, settings.programme)
        self._urls = client.addresses(settings.auditors)

    def draw(self, job: str, run_now: Outlook, average: Signal, marginal: Signal | None, *, now_s: float) -> Ticket:
        """Logs what running at once is forecast to emit, and draws; everything is durable when this returns.

        `run_now`: from `now_s` until its finish at home, where the signals' zone is. Work may only start afterwards.
        """
        programme = self.office.programme()
        kwh, span = run_now.energy_j / J_PER_KWH, (now_s, run_now.finish.timestamp())
        epoch, registration, closed = self.office.enter(
            job,
            registered_s=now_s,
            average_g=kwh * average.mean(*span)[0],
            marginal_g=None if marginal is None else kwh * marginal.mean(*span)[0],
        )
        seeds = self._reveal(programme, epoch, closed)
        held_out = draw.held_out(programme.name, self._leaf(registration), seeds, programme.holdout)
        own = programme.commitments.keys() - self._urls.keys()
        return Ticket(
            programme.name,
            registration,
            held_out,
            "drawn from this home's own seeds alone" if own == seeds.keys() else "",
        )

    def enrolled(self, job: str) -> bool:
        with self.ledger.store.read() as tx:
            return tx.one("SELECT 1 FROM log_record WHERE kind = 'registration' AND subject = ?", (job,)) is not None

    def settle(self) -> int:
        """Makes good what a crash left undone, and logs the outcome of each job that is over; how many were logged."""
        history = self.office.history()
        for epoch, closed in history.undrawn().items():
            self._reveal(history.programme, epoch, closed)
        if history.undrawn():
            history = self.office.history()
        owed = {i: r for i, r in history.registrations().items() if r.recorded and i not in history.settled()}
        over = {index: job for index, job in owed.items() if self._over(job)}
        if not over:
            return 0
        recorded = Runs(from_ledger(self.ledger, outcomes.KINDS), lambda name: own_evidence(self.ledger, name))
        for index, job in over.items():
            self.office.outcome(index, job.job, _outcome(history, recorded, index, job))
        return len(over)

    def _over(self, job: Registration) -> bool:
        """Its last attempt has ended; or it never came to be work."""
        with self.ledger.store.read() as tx:
            attempts = runs.attempts(tx, job.job)
        if attempts:
            return attempts[-1].state.ended
        return self._clock_s() - job.registered_us / MICRO > ARRIVAL_S

    def _reveal(self, programme: Programme, epoch: int, closed: int) -> Mapping[str, bytes]:
        """Asks every auditor of the programme, and logs what they said once it proves to be what they promised."""
        names = programme.commitments.keys()
        urls = {name: url for name, url in self._urls.items() if name in names}
        seeds = self._own_seeds(programme, epoch, closed) if len(urls) < len(names) else {}
        if urls:
            self.ledger.publish()
            proof, _ = self.ledger.prove(closed)
            kept = RecordFile.parse(self.ledger.record_file(closed))
            seeds |= client.ask(urls, Closing(proof.text(), kept))
        self.office.reveal(epoch, seeds, revealed_s=self._clock_s())
        return seeds

    def _own_seeds(self, programme: Programme, epoch: int, closed: int) -> dict[str, bytes]:
        keeper = Keeper(self.ledger.home)
        elsewhere = programme.commitments.keys() - self._urls.keys() - {keeper.name}
        if elsewhere:
            raise ConfigError(
                f"nobody to ask for the seeds of {', '.join(sorted(elsewhere))}",
                hint='name each in claims.auditors, as in auditors = ["NAME http://127.0.0.1:8561"]',
            )
        return {keeper.name: keeper.seed(programme.name, epoch, self._leaf(closed))}

    def _leaf(self, index: int) -> bytes:
        with self.ledger.store.read() as tx:
            (entry,) = sequencer.read_entries(tx, index, index + 1)
        return merkle.leaf_hash(entry)


def _outcome(history: History, recorded: Runs, index: int, job: Registration) -> Outcome:
    found = recorded.outcome(job.job, held_out=history.held_out(index))
    return found or outcomes.never_run(history.epochs[job.epoch].revealed_us)
