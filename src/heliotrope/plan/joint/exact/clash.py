"""No plan keeps all limits: who clashes where, how much is lacking, and what would do."""

from __future__ import annotations

import msgspec
import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.joint.exact.program import Core, Fit
from heliotrope.plan.joint.problem import Problem
from heliotrope.units import S_PER_HOUR, show_duration

NAMED = 5  # rows that a message lists


class Way(msgspec.Struct, frozen=True, eq=False):
    """A relaxation that does, tried with a plan of all jobs; `problem` is the one so relaxed."""

    words: str
    problem: Problem


class Clash(Infeasible):
    """Proved: the jobs of `core` do not fit into its zones, even with all others gone. `fit` adds the least."""

    def __init__(self, core: Core, fit: Fit, ways: tuple[Way, ...] = ()) -> None:
        self.core, self.fit, self.ways = core, fit, ways
        hint = "; or ".join(way.words for way in ways)
        between = (
            "" if core.problem.on_cells else f"; starts were tried every {show_duration(core.problem.cell_s)} only"
        )
        super().__init__(
            f"no plan keeps all limits: {_lacking(core, fit)}",
            cause=f"{len(core.jobs)} jobs may run nowhere else ({rows(core.jobs)}) and do not fit together, "
            f"even with all other jobs gone{between}",
            hint=f"each of these would do: {hint}" if hint else "more capacity, later deadlines or more zones",
        )


def rows(jobs: np.typing.NDArray[np.int64]) -> str:
    named = ", ".join(str(j) for j in jobs[:NAMED].tolist())
    return f"row{'s' if len(jobs) > 1 else ''} {named}" + (", …" if len(jobs) > NAMED else "")


def _lacking(core: Core, fit: Fit) -> str:
    """By zone: the devices lacking where as few as possible are, in which hours, and how many device-hours."""
    problem, seats = core.problem, core.problem.seats
    used = np.zeros((len(problem.capacity), problem.values.shape[1] * problem.per_step))
    for j, z, k in zip(core.jobs.tolist(), fit.zone.tolist(), fit.start.tolist(), strict=True):
        used[z, k : k + seats.cells[j]] += seats.width[j]
    parts = []
    cell_h = problem.cell_s / S_PER_HOUR
    for z in core.zones.tolist():
        over = np.maximum(used[z] - problem.capacity[z], 0.0)
        where = np.flatnonzero(over > 1e-6)
        if len(where):
            parts.append(
                f"{problem.zones[z]} lacks {over.max():g} devices between hours {where[0] * cell_h:g} and "
                f"{(where[-1] + 1) * cell_h:g}, {over.sum() * cell_h:.6g} device-hours"
            )
    return "; ".join(parts)


def unproven(problem: Problem, stuck: list[int]) -> Infeasible:
    wide = max(stuck, key=lambda j: float(problem.width[j] * problem.length[j]))
    return Infeasible(
        f"no plan was found, nor a proof that there is none: {len(stuck)} of {len(problem)} jobs find no room",
        cause=f"the jobs fill {problem.load:.1%} of all devices; the bulkiest that is left: row {wide}, "
        f"{problem.width[wide]:g} devices for {problem.length[wide] / S_PER_HOUR:g} h",
        hint="more capacity, later deadlines or more zones for the wide jobs",
    )
