"""Slurm's words for how a job stands, as phases."""

from __future__ import annotations

from collections.abc import Iterable

from heliotrope.run.engines.queued import Job, Phase

WAITS = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
ENDED = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
})  # fmt: skip
# Somebody, or a limit that will be there the next time too, meant it to end.
BY_HAND = frozenset({"CANCELLED", "DEADLINE", "OUT_OF_MEMORY"})
ORDER = (Phase.ENDED, Phase.HELD, Phase.QUEUED, Phase.ACTIVE)


def job_of(number: str, state: str, reason: str) -> Job:
    """`state` may say more than one word: CANCELLED by 1000. One that is not known here is taken for alive."""
    word = state.split(maxsplit=1)[0].rstrip("+")
    if word in ENDED:
        return Job(number, Phase.ENDED, state, by_hand=word in BY_HAND)
    if word in WAITS:
        held = "Held" in reason or word in {"REQUEUE_HOLD", "SPECIAL_EXIT"}
        return Job(number, Phase.HELD if held else Phase.QUEUED, reason or state)
    return Job(number, Phase.ACTIVE, state)


def most_alive(jobs: Iterable[Job]) -> Job | None:
    """A crash may have sent one name twice; the second ends at once, and tells nothing of the first."""
    return max(jobs, key=lambda job: ORDER.index(job.phase), default=None)
