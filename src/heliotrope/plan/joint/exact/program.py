"""Who fits where, decided exactly: an integer program over alike jobs × zones × first cells, for HiGHS.

A column `x` counts the jobs of one class that start at one cell of one zone; `used[z, c]` follows from starts and
ends, so that a column has three entries however long its jobs are.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from heliotrope.plan.joint.problem import Floats, Ints, Problem

# Branches and seconds of a search that may end without an answer; columns above which no
# program is asked, and up to which all jobs are asked at once.
MOST_NODES, MOST_COLUMNS, FEW_COLUMNS = 500, 100_000, 5000
MOST_S = 8.0
NOTHING = 1e-6
Goal = Literal["rise", "moves", "grams"]


class Core(msgspec.Struct, frozen=True, eq=False):
    """Jobs that may run in `zones` only: whatever else there is, these must fit there together."""

    problem: Problem
    zones: Ints
    jobs: Ints

    @property
    def whole(self) -> bool:
        return len(self.zones) == len(self.problem.capacity)


class Fit(NamedTuple):
    """`extra`: what the goal counts, in the plan found; no plan has less than `least`. Seats of the core's jobs, zone
    -1 for those that must leave the core; `beyond`: devices added to each zone of the core.
    """

    extra: float
    least: float
    zone: Ints
    start: Ints
    beyond: Floats

    @property
    def impossible(self) -> bool:
        return self.least > NOTHING


class Classes(NamedTuple):
    """Alike jobs count together: `of[i]` is the class of the core's i-th job, `sample[c]` one job of class c."""

    of: Ints
    sample: Ints
    times: Ints


def core(problem: Problem, zones: Ints) -> Core:
    inside = np.zeros(len(problem.capacity), dtype=bool)
    inside[zones] = True
    bound_to = np.logical_and.reduceat(inside[problem.sets], problem.sets_ptr[:-1])
    return Core(problem, np.flatnonzero(inside), np.flatnonzero(bound_to[problem.places]))


def zones_of(problem: Problem, jobs: Ints | list[int]) -> Ints:
    places = np.unique(problem.places[jobs])
    return np.unique(
        np.concatenate([problem.sets[problem.sets_ptr[p] : problem.sets_ptr[p + 1]] for p in places.tolist()])
    )


def cores_of(problem: Problem, stuck: list[int]) -> list[Core]:
    """All jobs at once where that is little work, else those bound to each set of zones that a stuck job has."""
    everything = core(problem, np.arange(len(problem.capacity)))
    if columns(everything) <= FEW_COLUMNS:
        return [everything]
    _, one_each = np.unique(problem.places[stuck], return_index=True)
    found = [core(problem, zones_of(problem, [stuck[i]])) for i in one_each.tolist()]
    return sorted(found, key=lambda asked: (len(asked.zones), len(asked.jobs)))


def columns(asked: Core) -> int:
    """How many columns the core's program has, but for those of moves."""
    seats, sample = asked.problem.seats, _classes(asked).sample
    choices = seats.sets_ptr[seats.places[sample] + 1] - seats.sets_ptr[seats.places[sample]]
    return int((choices * (1 + seats.final[sample] - seats.first[sample])).sum())


def _classes(asked: Core, *, by_grams: bool = False) -> Classes:
    s = asked.problem.seats
    parts = [s.first, s.final, s.cells, s.width, s.places, *([s.grams, s.head, s.tail] if by_grams else [])]
    keys = np.stack(parts, axis=1)[asked.jobs]
    _, sample, of, times = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return Classes(of.ravel(), asked.jobs[sample], times)


class _Columns(NamedTuple):
    kind: Ints
    zone: Ints
    start: Ints
    strange: npt.NDArray[np.bool_]


def _columns(asked: Core, classes: Classes, *, anywhere: bool) -> _Columns:
    """`zone` counts within the core; with `anywhere` zones that a class may not use are listed too, as strange."""
    s = asked.problem.seats
    parts: list[tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]] = []
    for c, j in enumerate(classes.sample.tolist()):
        starts = np.arange(s.first[j], s.final[j] + 1)
        own = s.sets[s.sets_ptr[s.places[j]] : s.sets_ptr[s.places[j] + 1]]
        for z, name in enumerate(asked.zones.tolist()):
            if anywhere or name in own:
                n = len(starts)
                parts.append((np.full(n, c), np.full(n, z), starts, np.full(n, name not in own)))
    return _Columns(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class _Layout:
    """The matrix by its entries. Rows: one a class, then two a cell: use follows from starts and ends; use keeps to
    the room. Columns: `x`, the use of each cell, then what the goal counts.
    """

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Floats]] = []

    def add(self, rows: Ints, columns: Ints, value: Floats | float) -> None:
        self.parts.append((rows, columns, np.broadcast_to(np.asarray(value, dtype=np.float64), rows.shape)))

    def by_column(self, columns: int) -> tuple[Ints, Ints, Floats]:
        """First entry of each column, row of each entry, value of each entry."""
        row, column, value = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        order = np.argsort(column, kind="stable")
        return np.searchsorted(column[order], np.arange(columns + 1)), row[order], value[order]


def fit(asked: Core, goal: Goal) -> Fit | None:
    """The core's jobs where least is to be added; None where the search ended before it found any plan.

    "rise": devices at all hours, summed over zones. "moves": jobs that run in a zone they may not use. "grams": nothing
    is added, and the plan is the one that emits least.
    """
    s, classes = asked.problem.seats, _classes(asked, by_grams=goal == "grams")
    x = _columns(asked, classes, anywhere=goal == "moves")
    n_kinds, n_zones, n_x = len(classes.sample), len(asked.zones), len(x.kind)
    low = int(s.first[asked.jobs].min())
    n_cells = int((s.final + s.cells)[asked.jobs].max()) - low
    kinds, cells, index = np.arange(n_kinds), np.arange(n_zones * n_cells), np.arange(n_x)
    width, begins = s.width[classes.sample[x.kind]], x.start - low
    ends = begins + s.cells[classes.sample[x.kind]]
    frees, later = ends < n_cells, cells[cells % n_cells > 0]
    uses, room, extra = n_kinds, n_kinds + len(cells), n_x + len(cells)
    layout = _Layout()
    layout.add(x.kind, index, 1.0)
    layout.add(uses + x.zone * n_cells + begins, index, -width)
    layout.add(uses + (x.zone * n_cells + ends)[frees], index[frees], width[frees])
    layout.add(uses + cells, n_x + cells, 1.0)
    layout.add(uses + later, n_x + later - 1, -1.0)
    layout.add(room + cells, n_x + cells, 1.0)
    if goal == "moves":
        layout.add(kinds, extra + kinds, 1.0)
        most = np.where(asked.whole, 0.0, classes.times)
    else:
        layout.add(room + cells, extra + cells // n_cells, -1.0)
        most = np.full(n_zones, np.inf if goal == "rise" else 0.0)
    held = np.zeros(len(cells))
    values, least = _ask(
        layout.by_column(extra + len(most)),
        cost=np.concatenate([_grams(asked, classes, x) if goal == "grams" else x.strange, held, np.ones(len(most))]),
        upper=np.concatenate([classes.times[x.kind], held + np.inf, most]),
        low=np.concatenate([classes.times, held, held - np.inf]),
        high=np.concatenate([classes.times, held, np.repeat(asked.problem.capacity[asked.zones], n_cells)]),
        whole=np.concatenate([index, extra + kinds if goal == "moves" else index[:0]]),
    )
    if values is None:
        return None
    zone, start = _seated(asked, classes, x, np.rint(values[:n_x]).astype(np.int64))
    more = values[extra:]
    total = float(more.sum() + values[:n_x][x.strange].sum())
    return Fit(total, least, zone, start, more if goal == "rise" else np.zeros(n_zones))


def _grams(asked: Core, classes: Classes, x: _Columns) -> Floats:
    """Of one job in each column's place."""
    s, area, j, z = asked.problem.seats, asked.problem.fine_area, classes.sample[x.kind], asked.zones[x.zone]
    last = x.start + s.cells[j] - 1
    begin = area[z, x.start] + s.head[j] * (area[z, x.start + 1] - area[z, x.start])
    grams: Floats = s.grams[j] * (area[z, last] + s.tail[j] * (area[z, last + 1] - area[z, last]) - begin)
    return grams


def _seated(asked: Core, classes: Classes, x: _Columns, times: Ints) -> tuple[Ints, Ints]:
    """Each job of a class takes the next of the starts that its class was given."""
    zone, start = (np.full(len(asked.jobs), -1, dtype=np.int64) for _ in range(2))
    waiting = [np.flatnonzero(classes.of == c).tolist() for c in range(len(classes.sample))]
    for column in np.flatnonzero(times).tolist():
        for _ in range(int(times[column])):
            i = waiting[int(x.kind[column])].pop()
            zone[i], start[i] = asked.zones[x.zone[column]], x.start[column]
    return zone, start


def _ask(
    matrix: tuple[Ints, Ints, Floats], *, cost: Floats, upper: Floats, low: Floats, high: Floats, whole: Ints
) -> tuple[Floats | None, float]:
    """The best columns found, None if none were, and the least that any can cost."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = len(low), len(cost)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), upper
    lp.row_lower_, lp.row_upper_ = low, high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix
    kinds = np.full(len(cost), highspy.HighsVarType.kContinuous, dtype=object)
    kinds[whole] = highspy.HighsVarType.kInteger
    lp.integrality_ = kinds.tolist()
    program = highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 1), ("mip_max_nodes", MOST_NODES), ("time_limit", MOST_S)):
        program.setOptionValue(name, value)
    program.passModel(lp)
    program.run()
    info = program.getInfo()
    found = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
    return (np.array(program.getSolution().col_value) if found else None), max(0.0, float(info.mip_dual_bound))
