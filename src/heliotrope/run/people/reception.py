"""Where everybody from elsewhere asks: who it is, whether the rule lets them, and only then the desk.

What is another organisation's and what is not there are refused in the same words. The home's owner needs none of this:
whoever may read the home's files asks the desk itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from heliotrope.errors import HelioError, InvalidInput, NotAllowed, SignInRefused, UnknownName
from heliotrope.model import Plan, Workload
from heliotrope.prove.records.receipt import record_path
from heliotrope.run import views
from heliotrope.run.desk import Desk, new_id
from heliotrope.run.people.members import Members
from heliotrope.run.people.policy import Act, Person, Work, may
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.people.wire import ASSUMED, MOST_BYTES, Accepted, Receipt, Submission
from heliotrope.run.views import JobRow, RunView
from heliotrope.run.working import logs
from heliotrope.run.working.logs import Said
from heliotrope.store import Transaction, people, runs
from heliotrope.units import from_epoch

# What a member's work may say of an engine: what it needs. Accounts, queues and flags are the house's to set.
ENGINE_OPTIONS = frozenset(
    {
        "kubernetes.image",
        "kubernetes.labels",
        "kubernetes.marks",
        "ray.labels",
        "slurm.constraint",
        "slurm.licenses",
        "slurm.partition",
        "slurm.signal",
        "slurm.time",
    }
)


class Visit(msgspec.Struct, frozen=True):
    """Somebody known, asking from an address."""

    who: Person
    address: str


class _AskedBefore(HelioError):
    """Raised within the transaction that would have taken the same work in twice."""


class Reception:
    """One home's. Calls may come from any thread."""

    def __init__(self, desk: Desk, refusals: Refusals) -> None:
        self.desk = desk
        self.store = desk.store
        self.members = Members(desk.store)
        self.refusals = refusals

    def enter(self, token: str, address: str) -> Visit:
        try:
            return Visit(self.members.known(token, time.time()), address)
        except SignInRefused as error:
            self.refusals.note("sign in", error.what, address=address)
            raise

    def submit(self, visit: Visit, body: bytes) -> Accepted:
        asked = _decoded(body)
        work = self._work_of(visit, asked)
        if asked.key and (before := self._before(visit, asked.key)):
            return before

        def by(tx: Transaction) -> None:
            if asked.key and people.by_key(tx, visit.who.name, asked.key):
                raise _AskedBefore("asked for before")
            people.put_submitter(tx, work.id, visit.who.name, asked.key or None)

        try:
            with _folder(Path(work.working_directory)):
                plan, _ = self.desk.submit(work, at_once=asked.at_once, also=by)
        except _AskedBefore:
            before = self._before(visit, asked.key)
            assert before is not None, "what was found in the transaction stays"
            return before
        return _accepted(work.id, plan)

    def lets(self, visit: Visit, job: str) -> frozenset[Act]:
        """What may be done with one of theirs, so that nothing is offered that would be refused."""
        with self.store.read() as tx:
            workload = runs.workload(tx, job)
            work = Work(workload.organisation, people.submitter(tx, job)) if workload else None
        return frozenset(act for act in Act if work and may(visit.who, act, work))

    def jobs(self, visit: Visit, limit: int) -> tuple[JobRow, ...]:
        self._must(visit, Act.SEE, Work(visit.who.organisation, ""), "jobs")
        return views.jobs_within(self.store, visit.who.organisation, limit)

    def show(self, visit: Visit, name: str) -> RunView:
        """Without its environment: that can hold secrets, and is shown to nobody."""
        self._theirs(visit, Act.SEE, name)
        view = views.run_view(self.store, name)
        return msgspec.structs.replace(view, workload=msgspec.structs.replace(view.workload, environment={}))

    def receipt(self, visit: Visit, name: str) -> Receipt:
        self._theirs(visit, Act.SEE, name)
        run = views.run_view(self.store, name).run
        if run is None or not run.receipt:
            raise UnknownName(f"{name} has no receipt yet", hint="one comes when it is over and was measured")
        proof = self.desk.receipt(run.id)
        return Receipt(run.id, proof.read_text(encoding="utf-8"), record_path(proof).read_text(encoding="utf-8"))

    def log(self, visit: Visit, name: str, after: int | None) -> Said:
        self._theirs(visit, Act.READ_LOG, name)
        return logs.read(self.store, name, after)

    def cancel(self, visit: Visit, name: str) -> str:
        """The job's name."""
        job = self._theirs(visit, Act.CANCEL, name)
        self.desk.cancel(name)
        return job

    def _theirs(self, visit: Visit, act: Act, name: str) -> str:
        """The job of that name, or its run's, where the rule lets them; else as if there were none."""
        with self.store.read() as tx:
            found = runs.run(tx, name)
            workload = runs.workload(tx, found.workload if found else name)
            work = Work(workload.organisation, people.submitter(tx, workload.id)) if workload else None
        if workload is None or work is None or not may(visit.who, Act.SEE, work):
            self._note(visit, act, name, "not theirs" if workload else "nothing is called so")
            raise UnknownName(f"no job or run is called {name}", hint="helio jobs lists them")
        self._must(visit, act, work, name)
        return workload.id

    def _must(self, visit: Visit, act: Act, work: Work, about: str) -> None:
        if may(visit.who, act, work):
            return
        self._note(visit, act, about, f"not as {visit.who.role.value} of {visit.who.organisation}")
        what = act.value.replace("_", " ")
        raise NotAllowed(
            f"{visit.who.name} may not {what} here",
            cause=f"{visit.who.role.value} of {visit.who.organisation}",
            hint="an operator of the organisation may, or whoever submitted it",
        )

    def _note(self, visit: Visit, act: Act, about: str, why: str) -> None:
        self.refusals.note(act.value, why, who=visit.who.name, address=visit.address, about=about)

    def _work_of(self, visit: Visit, asked: Submission) -> Workload:
        now_s = time.time()
        organisation = asked.organisation or visit.who.organisation
        self._must(visit, Act.SUBMIT, Work(organisation, visit.who.name), organisation)
        _check(asked)
        job = new_id(from_epoch(now_s))
        same = {
            field: getattr(asked, field)
            for field in asked.__struct_fields__
            if field not in {"length", "organisation", "environment", "working_directory", "at_once", "key"}
        }
        try:
            return Workload(
                **same,
                id=job,
                submitted_at=from_epoch(now_s),
                length=asked.length or ASSUMED,
                organisation=organisation,
                environment={"PATH": os.environ.get("PATH", os.defpath)} | asked.environment,
                working_directory=asked.working_directory or str(self.desk.home / "work" / job),
            )
        except ValueError as error:
            raise InvalidInput(str(error), field="deadline") from error

    def _before(self, visit: Visit, key: str) -> Accepted | None:
        """What this member was promised under this key, as it is planned now."""
        with self.store.read() as tx:
            job = people.by_key(tx, visit.who.name, key)
            plan = runs.newest_plan(tx, job) if job else None
        return _accepted(job, plan) if job and plan else None


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """There when the work is taken in, and gone again where it was not: being refused fills nothing."""
    fresh = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if fresh:
            path.rmdir()
        raise


def _accepted(job: str, plan: Plan) -> Accepted:
    return Accepted(job, plan.slots[0].site, plan.slots[0].start, plan.slots[-1].end)


def _decoded(body: bytes) -> Submission:
    if len(body) > MOST_BYTES:
        raise InvalidInput("too long", field="body", found=f"{len(body)} bytes", allowed=f"up to {MOST_BYTES}")
    try:
        return msgspec.json.decode(body, type=Submission)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("not a submission", field="body", cause=str(error)) from error


def _check(asked: Submission) -> None:
    texts = (*asked.command, asked.working_directory, *asked.environment, *asked.environment.values())
    if any("\0" in text for text in texts):
        raise InvalidInput("text that no program can be given", field="command", allowed="no zero byte")
    if not asked.command[0]:
        raise InvalidInput("nothing to run", field="command", found="", allowed="a program")
    if wrong := sorted(name for name in asked.environment if not name or "=" in name):
        raise InvalidInput("not a variable", field="environment", found=wrong[0], allowed="a name without =")
    if asked.working_directory and not asked.working_directory.startswith("/"):
        raise InvalidInput(
            "not a directory of the site",
            field="working_directory",
            found=asked.working_directory,
            allowed="/…, or none",
        )
    if other := sorted(set(asked.engine_options) - ENGINE_OPTIONS):
        raise InvalidInput(
            "not a member's to set", field="engine_options", found=other[0], allowed=", ".join(sorted(ENGINE_OPTIONS))
        )
