"""Many workloads × 20 zones × a week under simultaneous-device capacity: certified gap, time, memory."""

from __future__ import annotations

import csv
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from heliotrope.plan.joint import solve
from heliotrope.plan.joint.problem import problem
from heliotrope.plan.joint.verify import Certificate, Held, verify
from heliotrope.plan.kernels.shapes import Batch, Curves
from table import Row, run

GRID = Path(__file__).parents[1] / "../shared/data/grid/intensity_2022_hourly.csv"
ZONES, HOURS = 20, 168


def week() -> Curves:
    """A real week of twenty zones where the shared data is here, else days of made-up suns."""
    if not GRID.exists():
        rng = np.random.default_rng(0)
        hours = np.arange(HOURS)
        made = [rng.uniform(30, 600) * (1 + 0.4 * np.sin(hours * 2 * np.pi / 24 + i)) for i in range(ZONES)]
        return Curves.of(tuple(f"Z{i}" for i in range(ZONES)), np.array(made))
    with GRID.open() as file:
        table = list(csv.reader(file))
    columns = np.linspace(1, len(table[0]) - 1, ZONES).astype(int)
    values = [[float(row[c]) for row in table[1001 : 1001 + HOURS]] for c in columns]
    return Curves.of(tuple(table[0][c] for c in columns), np.array(values))


def jobs(count: int, utilisation: float, seed: int) -> tuple[Batch, tuple[float, ...]]:
    """Lognormal lengths in quarter hours, widths to 30, slack 6 to 48 h; 40 % anywhere, 40 % a region, 20 % home."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(ZONES, 8.0))
    length = np.ceil(np.exp(rng.normal(np.log(2.0), 1.0, count)).clip(0.25, 48) * 4) / 4
    width = rng.choice([1, 1, 1, 2, 2, 4, 4, 8, 16, 30], count).astype(float)
    release = np.floor(rng.uniform(0, 1, count) * (HOURS - length - 0.1))
    slack = np.minimum(rng.choice([6, 12, 24, 24, 48], count), HOURS - length - release)
    home = rng.choice(ZONES, count, p=share)
    sets = [tuple(range(ZONES)), *(tuple(range(a, a + 5)) for a in range(0, ZONES, 5)), *((z,) for z in range(ZONES))]
    kind = rng.choice(3, count, p=[0.4, 0.4, 0.2])
    places = np.where(kind == 0, 0, np.where(kind == 1, 1 + home // 5, 5 + home))
    capacity = np.ceil((width * length).sum() / utilisation / HOURS * share).clip(30)
    none = np.zeros(count, np.int8)
    batch = Batch(
        first=0,
        submitted_s=release * 3600,
        length_s=length * 3600,
        devices=width,
        power_w=width * rng.uniform(200, 400, count),
        slack_s=slack * 3600,
        pausable=none,
        movable=none,
        places=places.astype(np.int32),
        sets=np.array([z for s in sets for z in s], dtype=np.int32),
        sets_ptr=np.cumsum([0, *(len(s) for s in sets)]).astype(np.int32),
        flexible=True,
    )
    return batch, tuple(capacity)


def rows(quick: bool) -> Iterator[Row]:
    grid = week()
    warm, room = jobs(100, 0.3, 0)
    solve(problem(warm, grid, room))
    cases = [(10_000, 0.6, "<= 1", "<= 10"), (100_000, 0.6, "<= 0.2", "<= 10")]
    if not quick:
        cases += [
            (10_000, 0.8, "<= 1", "<= 10"),
            (100_000, 0.8, "<= 0.2", "<= 10"),
            (1_000_000, 0.6, "<= 0.3", "<= 45"),
        ]
    for count, utilisation, gap, limit in cases:
        batch, capacity = jobs(count, utilisation, 0)
        began, cpu = time.perf_counter(), time.process_time()
        found = solve(problem(batch, grid, capacity))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        name = f"{count:,} jobs at {utilisation:.0%}"
        yield Row(f"{name}: certified gap", 100 * found.gap, "%", gap, how="simultaneous devices, gangs whole")
        yield Row(f"{name}: wall", wall_s, "s", limit, how=f"{cpu_s:.1f} CPU s, compiled before")
        if count <= 10_000:
            held = Held(np.arange(count), found.zone, found.start_s, found.start_s + batch.length_s, batch.devices)
            step_s = grid.end_s / found.price.shape[1]
            price = tuple(tuple(row) for row in found.price.tolist())
            proof = Certificate(grid.zones, step_s, price, found.carbon_g, found.bound_g)
            verdict = verify(batch, grid, capacity, held, proof)
            yield Row(f"{name}: faults found by the verifier", len(verdict.faults), "", "= 0", how="other code")
    yield Row(
        "peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB", "<= 1024", how="whole process"
    )


if __name__ == "__main__":
    run("Plan many workloads under one capacity", rows)
