"""What became of a job, by whichever way its cluster is reached: by its name, never by its number.

slurmctld writes its memory down every few seconds. Killed in between, it forgets jobs that it had accepted, and hands
their numbers out again. A node that still has such a number then refuses the new job: Slurm cancels that (or the one
that it had forgotten to have begun) in root's name, and drains the node. Nobody meant either job to end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from heliotrope.run.engines.queued import Job, Phase
from heliotrope.run.engines.slurm.asked import Request
from heliotrope.run.engines.slurm.states import Placed, most_alive

FRESH_S = 0.5  # how long one answer about all jobs serves those who ask about one
NEAR_S = 10.0  # between a cancelled job's end and the draining of the node that refused it
DOUBLED = "Duplicate jobid"
FORGOTTEN = "forgotten by slurmctld"
REFUSED = "cancelled by Slurm: its number was taken on {node}"


class Tongue(Protocol):
    """One cluster, asked in its own commands or over its REST daemon."""

    def submit(self, asked: Request) -> None: ...
    def jobs(self) -> dict[str, list[Placed]]:
        """By name: all of ours that Slurm still holds in memory, ended ones included."""

    def past(self, name: str) -> list[Placed]:
        """From the accounting, where there is one."""

    def drained(self) -> list[tuple[str, float, str]]:
        """Node, since when, and why."""

    def cancel(self, name: str) -> None: ...
    def hold(self, job: Job) -> None: ...
    def release(self, job: Job) -> None: ...


class Watch:
    """Few jobs or many, the cluster is asked once in a while about all of them."""

    def __init__(self, slurm: Tongue) -> None:
        self.slurm = slurm
        self._seen_s = 0.0
        self._seen: dict[str, list[Placed]] = {}

    def look(self, name: str, since_s: float) -> Job | None:
        now_s = time.time()
        if self._seen_s <= since_s or now_s - self._seen_s > FRESH_S:
            self._seen, self._seen_s = self.slurm.jobs(), now_s
        job = most_alive(self._seen.get(name) or [_over(job) for job in self.slurm.past(name)])
        if job is not None and job.by_hand and job.word.startswith("CANCELLED"):
            return judged(job, self.slurm.drained())
        return job


def judged(job: Placed, drained: Sequence[tuple[str, float, str]]) -> Job:
    """Cancelled as its node was drained for refusing its number: by nobody's hand. `drained`: node, since when, why."""
    for node, since_s, why in drained:
        if node == job.node and DOUBLED in why and job.ended_s is not None and abs(since_s - job.ended_s) < NEAR_S:
            return msgspec.structs.replace(job, by_hand=False, word=REFUSED.format(node=node))
    return job


def _over(job: Placed) -> Placed:
    """What slurmctld does not know any more does not live, whatever was last written of it."""
    return job if job.phase is Phase.ENDED else Placed(job.id, Phase.ENDED, FORGOTTEN)
