"""One workload over 96 h and 30 sites: CPU time; and what plans of unknown length keep of what is possible."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from heliotrope.model import (
    CARBON,
    Cooling,
    Flexibility,
    Length,
    Quality,
    QualityKind,
    Signal,
    Site,
    Workload,
    WorkloadKind,
)
from heliotrope.plan import Candidate, place
from heliotrope.units import from_epoch
from table import Row, run

NOW = 1_800_000_000 // 3600 * 3600
SITES, HOURS, REPEATS = 30, 98, 40
GRID = Path(__file__).parents[1] / "../shared/data/grid/intensity_2022_hourly.csv"
UNKNOWN = Length(4 * 3600.0, 3600.0, 14 * 3600.0)
WITHIN_H = 38


def candidates() -> list[Candidate]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(SITES):
        daily = 1 + 0.4 * np.sin(np.arange(HOURS) * 2 * np.pi / 24 + i)
        values = rng.uniform(50, 600) * (daily + 0.2 * rng.random(HOURS))
        signal = Signal(
            CARBON, f"Z{i}", NOW, 3600, values, values, values, Quality(QualityKind.MODELLED, "bench", "CC0")
        )
        found.append(Candidate(Site(f"s{i}", f"Z{i}", cooling=Cooling(1.2, source="bench")), signal, power_w=500.0))
    return found


def cpu_ms(work: Workload, sites: list[Candidate]) -> float:
    """CPU time of a plan, the best of some: what other work on the machine adds is not ours."""
    taken = []
    for _ in range(REPEATS):
        began = time.process_time()
        place(work, sites, now_s=NOW + 1234.5, home="s0")
        taken.append(1000 * (time.process_time() - began))
    return min(taken)


def kept(zone: str, draws: int) -> tuple[float, float, float]:
    """Shares of run-now's expected grams saved by plans of unknown length and by their bound; what is kept of that."""
    with GRID.open() as text:
        values = np.array([float(row[zone]) for row in csv.DictReader(text)])
    rng = np.random.default_rng(1)
    now = ours = bound = 0.0
    for hour in rng.integers(0, len(values) - WITHIN_H - 1, draws).tolist():
        part = values[hour : hour + WITHIN_H + 1]
        signal = Signal(CARBON, zone, NOW, 3600, part, part, part, Quality(QualityKind.MEASURED, "bench", ""))
        work = Workload(
            "w",
            WorkloadKind.TRAIN,
            ("true",),
            from_epoch(NOW),
            UNKNOWN,
            flexibility=Flexibility(pausable=True),
            deadline=from_epoch(NOW + WITHIN_H * 3600),
        )
        plan = place(work, [Candidate(Site("s", zone), signal, power_w=500.0)], now_s=NOW)
        now, ours, bound = now + plan.run_now.carbon_g, ours + plan.expected.carbon_g, bound + plan.bound_g
    return 1 - ours / now, 1 - bound / now, (now - ours) / (now - bound)


def rows(quick: bool) -> Iterator[Row]:
    sites = candidates()
    known = Length.known(6.3 * 3600)
    for name, length, flexibility, want in (
        ("unbroken", known, Flexibility(), "<= 5"),
        ("pauses free", known, Flexibility(pausable=True), "<= 5"),
        ("pauses of 60 s", known, Flexibility(pausable=True, pause_cost_s=60), ""),
        ("pauses of 30 min", known, Flexibility(pausable=True, pause_cost_s=1800), ""),
        ("length unknown, unbroken", UNKNOWN, Flexibility(), ""),
        ("length unknown, pauses of 60 s", UNKNOWN, Flexibility(pausable=True, pause_cost_s=60), ""),
    ):
        work = Workload("w", WorkloadKind.TRAIN, ("true",), from_epoch(NOW), length, flexibility=flexibility)
        yield Row(
            f"plan one job, 96 h × {SITES} sites, {name}",
            cpu_ms(work, sites),
            "CPU ms",
            want,
            how=f"best of {REPEATS}",
        )
    for zone in ("AU-SA", "US-CAL-CISO", "DE"):
        name = f"length unknown, {zone}: share of the gap to knowing it closed"
        if not GRID.exists():
            yield Row(name, None, "%", ">= 60", how="the shared data is not here")
            continue
        draws = 20 if quick else 100
        saved, most, share = kept(zone, draws)
        how = f"saves {100 * saved:.1f} of {100 * most:.1f} %; {draws} jobs of 1 to 14 h within {WITHIN_H} h"
        yield Row(name, 100 * share, "%", ">= 60", how=how)


if __name__ == "__main__":
    run("Plan one workload", rows)
