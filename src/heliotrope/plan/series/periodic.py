"""Work that recurs: each time its own best place within its own window, and never two times at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Plan, Workload
from heliotrope.model.workload import Positive
from heliotrope.plan.single import Candidate, place
from heliotrope.plan.single.candidate import Latency
from heliotrope.units import from_epoch


class Rhythm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every `every_s` seconds, `times` times; each within `within_s` of its turn, at most `every_s`."""

    every_s: Positive
    times: int
    within_s: Positive

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError("a rhythm needs 1 time or more")
        if self.within_s > self.every_s:
            raise ValueError("each time must end before the next one's turn: within_s <= every_s")


def recurring(
    workload: Workload,
    rhythm: Rhythm,
    candidates: Sequence[Candidate],
    *,
    now_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    step_s: int = 300,
) -> tuple[Plan, ...]:
    """A plan a turn, the first turn at its earliest start. Windows do not overlap, so each alone at its best is best.

    A signal that ends sooner ends the plans sooner: turns that it does not cover are planned when it does.
    """
    if workload.deadline is not None:
        raise InvalidInput("a rhythm sets its own deadlines", field="deadline", found=str(workload.deadline))
    first = max(workload.submitted_at, workload.not_before or workload.submitted_at, from_epoch(now_s))
    known_s = min((candidate.carbon.end_s for candidate in candidates), default=0)
    plans = []
    for turn in range(rhythm.times):
        opens = first + timedelta(seconds=turn * rhythm.every_s)
        closes = opens + timedelta(seconds=rhythm.within_s)
        if turn and closes.timestamp() > known_s:
            break
        one = msgspec.structs.replace(workload, id=f"{workload.id}/{turn + 1}", not_before=opens, deadline=closes)
        horizon_s = closes.timestamp() - now_s
        plans.append(
            place(
                one,
                candidates,
                now_s=now_s,
                home=home,
                latency_ms=latency_ms,
                horizon_s=horizon_s,
                step_s=step_s,
            )
        )
    return tuple(plans)
