"""One workload over 96 h and 30 sites: CPU time, and that pausing never loses."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
SITES, HOURS, REPEATS = 30, 98, 20


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


def cpu_ms(work: Workload, sites: list[Candidate], repeats: int) -> float:
    """Median CPU time of a plan."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        place(work, sites, now_s=NOW + 1234.5, home="s0")
        taken.append(1000 * (time.process_time() - began))
    return float(np.median(taken))


def rows(quick: bool) -> Iterator[Row]:
    sites = candidates()
    repeats = 5 if quick else REPEATS
    for name, flexibility, want in (
        ("unbroken", Flexibility(), "<= 5"),
        ("pauses free", Flexibility(pausable=True), "<= 5"),
        ("pauses of 60 s", Flexibility(pausable=True, pause_cost_s=60), ""),
        ("pauses of 30 min", Flexibility(pausable=True, pause_cost_s=1800), ""),
    ):
        work = Workload(
            "w", WorkloadKind.TRAIN, ("true",), from_epoch(NOW), Length.known(6.3 * 3600), flexibility=flexibility
        )
        yield Row(
            f"plan one job, 96 h × {SITES} sites, {name}",
            cpu_ms(work, sites, repeats),
            "CPU ms",
            want,
            how=f"median of {repeats}",
        )


if __name__ == "__main__":
    run("Plan one workload", rows)
