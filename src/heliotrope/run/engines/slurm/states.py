"""Slurm's words: for how a job stands, and for what may pass."""

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

# What Slurm says when it is not Slurm's last word.
PASSING = (
    "unable to contact",
    "socket timed out",
    "connection",
    "communication",
    "zero bytes",
    "temporarily",
    "try again",
    "retry",
    "in standby",
    "policy limit",  # QOSMaxSubmitJobPerUserLimit and its kin pass when others have ended
    "maxsubmit",
)


class Placed(Job, frozen=True):
    """With where it ran and when it ended, once it did."""

    node: str = ""
    ended_s: float | None = None


def job_of(number: str, state: str, reason: str, node: str = "", ended: str = "") -> Placed:
    """`state` may say more than one word: CANCELLED by 1000. One that is not known here is taken for alive."""
    word = state.split(maxsplit=1)[0].rstrip("+")
    if word in ENDED:
        ended_s = float(ended) if ended.isdigit() else None
        return Placed(number, Phase.ENDED, state, by_hand=word in BY_HAND, node=node, ended_s=ended_s)
    if word in WAITS:
        held = "Held" in reason or word in {"REQUEUE_HOLD", "SPECIAL_EXIT"}
        return Placed(number, Phase.HELD if held else Phase.QUEUED, reason or state)
    return Placed(number, Phase.ACTIVE, state, node=node)


def most_alive(jobs: Iterable[Placed]) -> Placed | None:
    """A crash may have sent one name twice; the second ends at once, and tells nothing of the first."""
    return max(jobs, key=lambda job: ORDER.index(job.phase), default=None)


def passes(why: str) -> bool:
    return any(word in why.lower() for word in PASSING)
