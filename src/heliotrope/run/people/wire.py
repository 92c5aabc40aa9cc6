"""What members and the reception say to each other, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from heliotrope.model import Flexibility, Length, Resources, Workload, WorkloadKind
from heliotrope.model.workload import Aware, Budget, DataNeed, LatencyBound, Lateness
from heliotrope.run.people.policy import Role

JOBS, ME = "/api/v1/jobs", "/api/v1/me"
ASSUMED = Length(3600.0, 1800.0, 3600.0)
MOST_BYTES = 1 << 20


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants run. `organisation` empty: their own; else a project of it. `length`: else as long as it was.

    `key`: the same one from the same member is the same work, however often an answer was lost on its way.
    `working_directory` empty: a fresh one. Variables are those given here and the PATH of the house, no others.
    """

    command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    kind: WorkloadKind = WorkloadKind.BATCH
    length: Length | None = None
    resources: Resources = Resources()
    flexibility: Flexibility = Flexibility()
    not_before: Aware | None = None
    deadline: Aware | None = None
    late: Lateness | None = None
    sites: tuple[str, ...] = ()
    data: tuple[DataNeed, ...] = ()
    latency: LatencyBound | None = None
    budget: Budget = Budget()
    organisation: str = ""
    working_directory: str = ""
    environment: dict[str, str] = {}
    engine_options: dict[str, str] = {}
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    at_once: bool = False
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""

    @classmethod
    def of(cls, work: Workload, *, environment: dict[str, str], at_once: bool, directory: str = "") -> Submission:
        """Work as the command line made it, without what is this machine's alone."""
        own = {field: getattr(work, field) for field in _SAME}
        assumed = work.length.low_s < work.length.expected_s == work.length.high_s
        return cls(
            **own,
            length=None if assumed else work.length,
            environment=environment,
            working_directory=directory,
            at_once=at_once,
        )


_SAME = (
    "command",
    "kind",
    "resources",
    "flexibility",
    "not_before",
    "deadline",
    "late",
    "sites",
    "data",
    "latency",
    "budget",
    "max_attempts",
    "engine_options",
)


class Accepted(msgspec.Struct, frozen=True):
    """Acknowledged: from here on it is carried out, whatever is killed."""

    job: str
    site: str
    starts_at: datetime
    ends_at: datetime


class Whoami(msgspec.Struct, frozen=True):
    name: str
    organisation: str
    role: Role


class Cancelled(msgspec.Struct, frozen=True):
    """Wished for: how it ended is for the job itself to say."""

    job: str


class Receipt(msgspec.Struct, frozen=True):
    """A run's record and its proof, as their files have them: whoever has both needs this house no more."""

    run: str
    proof: str
    record: str
