"""Seats stuck jobs by a small exact program: they and their neighbours are chosen for together, the rest stays."""

from __future__ import annotations

import numpy as np

from heliotrope.plan.joint.problem import Floats, Ints, Problem

# Neighbours tried, few first; places a job may choose among; branches of the search, so that effort is fixed.
SIZES = (40, 120, 360)
MOST_PLACES, MOST_NODES = 120, 2000


def repair(
    problem: Problem, zone: Ints, start: Ints, used: Floats, area: Floats, stuck: list[int], rng: np.random.Generator
) -> bool:
    """Changes `zone`, `start` and `used` so that the stuck are seated too; False if no way was found."""
    near = _neighbours(problem, zone, start, stuck)
    for size in SIZES:
        if _try(problem, zone, start, used, area, [*stuck, *near[:size]], rng):
            return True
        if size >= len(near):
            break
    return False


def _neighbours(problem: Problem, zone: Ints, start: Ints, stuck: list[int]) -> list[int]:
    """Seated jobs where a stuck one could be, by what they hold of its window and how free they are."""
    first, final, cells, _, _, width, _, places, sets, sets_ptr = problem.seats
    score = np.zeros(len(zone))
    for j in stuck:
        wanted = sets[sets_ptr[places[j]] : sets_ptr[places[j] + 1]]
        shared = np.minimum(start + cells, final[j] + cells[j]) - np.maximum(start, first[j])
        score += np.where(np.isin(zone, wanted), np.maximum(shared, 0), 0) * width
    freedom = (sets_ptr[places + 1] - sets_ptr[places]) * (1.0 + final - first)
    score = np.where(zone >= 0, score * np.log1p(freedom), 0.0)
    order = np.argsort(-score, kind="stable")
    return [int(j) for j in order[: SIZES[-1]] if score[j] > 0]


def _try(
    problem: Problem, zone: Ints, start: Ints, used: Floats, area: Floats, jobs: list[int], rng: np.random.Generator
) -> bool:
    import highspy

    _, _, cells, head, tail, width, grams, *_ = problem.seats
    room = problem.capacity[:, None] - used
    for j in jobs:
        if zone[j] >= 0:
            room[zone[j], start[j] : start[j] + cells[j]] += width[j]
    choices = [(j, z, k) for j in jobs for z, k in _places(problem, j, zone, start, room, rng)]
    costs = []
    rows: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for column, (j, z, k) in enumerate(choices):
        a, last = area[z], k + cells[j] - 1
        burnt = a[last] + tail[j] * (a[last + 1] - a[last]) - a[k] - head[j] * (a[k + 1] - a[k])
        costs.append(float(grams[j] * burnt))
        rows.setdefault((-1, j), []).append((column, 1.0))
        for cell in range(k, k + int(cells[j])):
            rows.setdefault((z, cell), []).append((column, float(width[j])))
    if any((-1, j) not in rows for j in jobs):
        return False
    program = highspy.Highs()
    program.setOptionValue("output_flag", False)
    program.setOptionValue("mip_max_nodes", MOST_NODES)
    program.setOptionValue("mip_max_improving_sols", 1)
    program.setOptionValue("threads", 1)
    for column, cost in enumerate(costs):
        program.addVar(0.0, 1.0)
        program.changeColCost(column, cost)
        program.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    for (z, cell), entries in rows.items():
        low, high = (1.0, 1.0) if z < 0 else (-highspy.kHighsInf, float(room[z, cell]))
        columns, values = zip(*entries, strict=True)
        program.addRow(low, high, len(entries), np.array(columns, dtype=np.int32), np.array(values))
    program.run()
    answer = program.getSolution()
    if not answer.value_valid or program.getInfo().primal_solution_status != 2:
        return False
    for j in jobs:
        if zone[j] >= 0:
            used[zone[j], start[j] : start[j] + cells[j]] -= width[j]
    for (j, z, k), value in zip(choices, answer.col_value, strict=True):
        if value > 0.5:
            zone[j], start[j] = z, k
            used[z, k : k + cells[j]] += width[j]
    return True


def _places(
    problem: Problem, j: int, zone: Ints, start: Ints, room: Floats, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Where `j` could be if its neighbours made room; its own seat is always among them."""
    first, final, cells, _, _, width, _, places, sets, sets_ptr = problem.seats
    n = int(cells[j])
    found: list[tuple[int, int]] = []
    for z in sets[sets_ptr[places[j]] : sets_ptr[places[j] + 1]]:
        blocked = np.concatenate(([0], np.cumsum(room[z, first[j] : final[j] + n] < width[j] - 1e-9)))
        found += [(int(z), int(first[j] + i)) for i in np.flatnonzero(blocked[n:] == blocked[:-n])]
    if len(found) > MOST_PLACES:
        kept = rng.choice(len(found), MOST_PLACES, replace=False)
        own = (int(zone[j]), int(start[j]))
        found = [found[i] for i in sorted(kept)] + (
            [own] if zone[j] >= 0 and own not in {found[i] for i in kept} else []
        )
    return found
