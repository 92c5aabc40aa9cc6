"""Steps that wait for one another: when each starts, so that all together emit least.

Starts lie on a grid of time. With y[j, t] = 1 once step j has begun by t, a start costs grams on the way y rises, and
"k after j" reads y[k, t + length of j] <= y[j, t]: differences of two unknowns only, so without a shared capacity the
linear programme is whole by itself (its dual is a flow) and exact at any size. Devices shared by the steps add rows
that are not of that kind; then HiGHS branches, and says how far it got.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.model import Signal
from heliotrope.model.workload import NonNegative, Positive
from heliotrope.units import J_PER_KWH, show_duration

NODES = 2000  # branches at most: work is counted, not timed
_ROUNDING = 1e-9


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`power_w` is of the facility, at all its `devices`; `after`: names of the steps that must have ended."""

    name: str
    length_s: Positive
    power_w: NonNegative
    devices: int = 1
    after: tuple[str, ...] = ()


class Graph(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`devices`: how many the steps share at any moment; None for enough."""

    steps: tuple[Step, ...]
    devices: int | None = None


class Laid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`starts_s`: epoch seconds, by step. No plan on this grid of time is below `bound_g`."""

    starts_s: dict[str, float]
    carbon_g: float
    run_now_g: float
    bound_g: float

    @property
    def gap(self) -> float:
        return (self.carbon_g - self.bound_g) / self.bound_g if self.bound_g > 0 else 0.0


def lay(graph: Graph, carbon: Signal, *, now_s: float, deadline_s: float, grain_s: float = 900.0) -> Laid:
    """Least grams with every step ended by `deadline_s`; starts are whole numbers of `grain_s` after `now_s`."""
    order = _ordered(graph)
    span_s = min(deadline_s, float(carbon.end_s)) - now_s
    cells = {step.name: math.ceil(step.length_s / grain_s - _ROUNDING) for step in order}
    last = math.floor(span_s / grain_s + _ROUNDING)
    earliest, latest = _window(order, cells, last)
    tight = [name for name in earliest if earliest[name] > latest[name]]
    if tight:
        missing_s = max(earliest[name] - latest[name] for name in tight) * grain_s
        raise Infeasible(
            "the steps do not fit one after another",
            cause=f"in a row they need {show_duration(span_s + missing_s)}, there are {show_duration(span_s)}",
            hint=f"a deadline {show_duration(missing_s)} later would do",
        )
    cost = {step.name: _costs(step, carbon, now_s, grain_s, earliest[step.name], latest[step.name]) for step in order}
    soonest = _listed(order, cells, graph.devices, last)
    starts, bound_g = _solved(order, cells, earliest, latest, cost, graph.devices)
    if starts is None:
        raise Infeasible(
            "the steps do not fit on the devices they share",
            cause=f"{graph.devices} devices until the deadline",
            hint=_smallest(order, cells, graph.devices, last, grain_s),
        )
    grams = {name: float(cost[name][starts[name] - earliest[name]]) for name in starts}
    now = {s.name: s.power_w * _area(carbon, now_s + soonest[s.name] * grain_s, s.length_s) / J_PER_KWH for s in order}
    total = sum(grams.values())
    return Laid(
        {name: now_s + start * grain_s for name, start in starts.items()}, total, sum(now.values()), min(bound_g, total)
    )


def _ordered(graph: Graph) -> list[Step]:
    """Every step after those it waits for."""
    names = {step.name: step for step in graph.steps}
    if len(names) < len(graph.steps):
        raise InvalidInput("two steps have one name", field="steps", found=", ".join(s.name for s in graph.steps))
    for step in graph.steps:
        for before in step.after:
            if before not in names:
                raise InvalidInput("a step waits for one that is not there", field=f"{step.name}.after", found=before)
        if graph.devices is not None and step.devices > graph.devices:
            raise Infeasible(
                f"{step.name} needs more devices than there are",
                cause=f"{step.devices} of {graph.devices}",
                hint=f"{step.devices} devices would do",
            )
    placed: dict[str, Step] = {}
    while len(placed) < len(names):
        ready = [s for s in graph.steps if s.name not in placed and all(b in placed for b in s.after)]
        if not ready:
            circle = ", ".join(name for name in names if name not in placed)
            raise InvalidInput("steps wait for each other in a circle", field="after", found=circle)
        placed |= {step.name: step for step in ready}
    return list(placed.values())


def _window(order: Sequence[Step], cells: dict[str, int], last: int) -> tuple[dict[str, int], dict[str, int]]:
    """Earliest and latest start of each, by precedence alone."""
    earliest: dict[str, int] = {}
    for step in order:
        earliest[step.name] = max((earliest[b] + cells[b] for b in step.after), default=0)
    latest = {step.name: last - cells[step.name] for step in order}
    for step in reversed(order):
        for before in step.after:
            latest[before] = min(latest[before], latest[step.name] - cells[before])
    return earliest, latest


def _area(carbon: Signal, start_s: float, length_s: float) -> float:
    """(g/kWh)·s over a step."""
    value, _, _ = carbon.mean(start_s, min(start_s + length_s, carbon.end_s))
    return value * length_s


def _costs(step: Step, carbon: Signal, now_s: float, grain_s: float, first: int, last: int) -> Any:
    """Grams of each admissible start."""
    return np.array(
        [step.power_w * _area(carbon, now_s + k * grain_s, step.length_s) / J_PER_KWH for k in range(first, last + 1)]
    )


def _listed(order: Sequence[Step], cells: dict[str, int], devices: int | None, last: int) -> dict[str, int]:
    """Each as soon as it can: what run-now would do. May end after `last` where devices are short."""
    used = np.zeros(last + sum(cells.values()) + 1)
    starts: dict[str, int] = {}
    for step in order:
        start = max((starts[b] + cells[b] for b in step.after), default=0)
        span = cells[step.name]
        while devices is not None and used[start : start + span].max() + step.devices > devices:
            start += 1
        used[start : start + span] += step.devices
        starts[step.name] = start
    return starts


def _smallest(order: Sequence[Step], cells: dict[str, int], devices: int | None, last: int, grain_s: float) -> str:
    """By how much a plan that surely fits misses the deadline."""
    starts = _listed(order, cells, devices, last)
    over = max(starts[s.name] + cells[s.name] for s in order) - last
    return f"a deadline {show_duration(max(over, 1) * grain_s)} later would do, or more devices"


def _solved(
    order: Sequence[Step],
    cells: dict[str, int],
    earliest: dict[str, int],
    latest: dict[str, int],
    cost: dict[str, Any],
    devices: int | None,
) -> tuple[dict[str, int] | None, float]:
    """Starts and a bound. Columns: begun by t, for t from the earliest start to just before the latest."""
    import highspy

    program: Any = highspy.Highs()
    program.setOptionValue("output_flag", False)
    program.setOptionValue("threads", 1)
    program.setOptionValue("mip_max_nodes", NODES)
    first_column, constant = {}, 0.0
    for step in order:
        name, grams = step.name, cost[step.name]
        first_column[name] = program.getNumCol()
        constant += float(grams[-1])
        for k in range(len(grams) - 1):
            # Having begun by k rather than by k + 1 swaps the later start's grams for this one's.
            program.addCol(float(grams[k] - grams[k + 1]), 0.0, 1.0, 0, np.array([], np.int32), np.array([]))

    def begun(name: str, t: int) -> int | bool:
        """The column, or what is known: not before the earliest, surely by the latest."""
        if t < earliest[name]:
            return False
        return True if t >= latest[name] else first_column[name] + t - earliest[name]

    def row(terms: Sequence[tuple[int | bool, float]], most: float) -> bool:
        """False where what is known breaks it already."""
        columns: dict[int, float] = {}
        for column, value in terms:
            if column is True:
                most -= value
            elif column is not False:
                columns[column] = columns.get(column, 0.0) + value
        if columns:
            index, values = np.array(list(columns), np.int32), np.array(list(columns.values()))
            program.addRow(-highspy.kHighsInf, most, len(columns), index, values)
        return bool(columns) or most >= 0

    for step in order:
        for t in range(earliest[step.name], latest[step.name]):
            row([(begun(step.name, t), 1.0), (begun(step.name, t + 1), -1.0)], 0.0)
            for before in step.after:
                row([(begun(step.name, t), 1.0), (begun(before, t - cells[before]), -1.0)], 0.0)
    if devices is not None:
        for t in range(max(latest[s.name] + cells[s.name] for s in order)):
            terms = []
            for step in order:
                terms.append((begun(step.name, t), float(step.devices)))
                terms.append((begun(step.name, t - cells[step.name]), -float(step.devices)))
            if not row(terms, float(devices)):
                return None, 0.0
        for column in range(program.getNumCol()):
            program.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    if not program.getNumCol():
        return dict(earliest), constant
    program.run()
    info = program.getInfo()
    if info.primal_solution_status != 2:
        return None, 0.0
    values = np.asarray(program.getSolution().col_value)
    bound = info.mip_dual_bound if devices is not None else info.objective_function_value
    starts = {}
    for step in order:
        name = step.name
        known = values[first_column[name] : first_column[name] + latest[name] - earliest[name]]
        starts[name] = earliest[name] + int((known < 0.5).sum())
    return starts, constant + float(bound)
