"""One workload in every shape: optimality against whole programmes, CPU time, the online guarantee, routing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import linprog

from heliotrope.model import Flexibility, Length, PauseBy, Workload, WorkloadKind
from heliotrope.model.workload import Lateness, PowerCap
from heliotrope.plan import place
from heliotrope.plan.kernels import solve
from heliotrope.plan.kernels.policies.helio import clairvoyant
from heliotrope.plan.kernels.shapes import Batch, Curves
from heliotrope.plan.kernels.world import Belief, World
from heliotrope.plan.online.policy import online
from heliotrope.plan.routing.transport import Transport
from heliotrope.plan.shape.elastic import fill
from heliotrope.plan.shape.modes import Mode
from heliotrope.plan.timeline import Timeline
from heliotrope.plan.whatif.front import front
from heliotrope.units import from_epoch
from plan_single import NOW, candidates
from table import Row, run

HOUR = 3600.0


def cpu_ms(what: Callable[[], Any], repeats: int) -> float:
    """Median CPU time."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        what()
        taken.append(1000 * (time.process_time() - began))
    return float(np.median(taken))


def work(hours: float, **more: Any) -> Workload:
    return Workload("w", WorkloadKind.TRAIN, ("true",), from_epoch(NOW), Length.known(hours * HOUR), **more)


def shapes(quick: bool) -> Iterator[Row]:
    sites, repeats = candidates(), 3 if quick else 10
    wide = tuple(float(x) for x in np.cumsum([1.0, 0.9, 0.8, 0.6]))
    caps = (PowerCap(400.0, 0.9), PowerCap(300.0, 0.75))
    stop = PauseBy.CHECKPOINT
    late = Lateness(from_epoch(NOW + 12 * 3600), g_per_h=50.0)
    for name, asked in (
        ("width 1 to 4, changes free", work(20, flexibility=Flexibility(pausable=True, pause_by=stop, speedup=wide))),
        ("three power caps", work(20, flexibility=Flexibility(pausable=True, pause_by=stop, caps=caps))),
        (
            "width and caps, changes of 5 min",
            work(
                20,
                flexibility=Flexibility(
                    pausable=True, pause_by=stop, pause_cost_s=300.0, speedup=wide[:2], caps=caps[:1]
                ),
            ),
        ),
        ("lateness priced, unbroken", work(6.3, late=late)),
    ):
        few = [c for c in sites if name[:5] != "width" or "free" in name]
        few = few or sites[:5]
        told = {"now_s": NOW + 1234.5, "home": "s0"}
        # Capacity of a bench site is one device: width needs more.
        few = [_roomy(c) for c in few]
        plan = place(asked, few, **told)
        ms = cpu_ms(lambda asked=asked, few=few, told=told: place(asked, few, **told), repeats)
        yield Row(f"plan one job, {len(few)} sites, {name}", ms, "CPU ms", how=f"gap {plan.gap:.2e}")
    moving = Flexibility(pausable=True, pause_by=stop, pause_cost_s=300.0, movable=True, move_bytes=10**10)
    few = sites[:4]
    plan = place(work(20, flexibility=moving), few, now_s=NOW, home="s0", moves=True)
    ms = cpu_ms(lambda: place(work(20, flexibility=moving), few, now_s=NOW, home="s0", moves=True), repeats)
    yield Row("plan one job, 4 sites, moving under way", ms, "CPU ms", how=f"gap {plan.gap:.2e}")
    points = front(work(6.3), sites[:10], now_s=NOW, horizon_s=96 * HOUR, home="s0")
    ms = cpu_ms(lambda: front(work(6.3), sites[:10], now_s=NOW, horizon_s=96 * HOUR, home="s0"), repeats)
    yield Row("front of grams, money, time, 10 sites", ms, "CPU ms", how=f"{len(points)} points")


def _roomy(candidate: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(candidate, site=msgspec.structs.replace(candidate.site, capacity=8))


def elastic(quick: bool) -> Iterator[Row]:
    """Against HiGHS on the whole programme, any curve; and CarbonScaler's greedy on concave ones."""
    rng = np.random.default_rng(0)
    count, worst, concave = 50 if quick else 400, 0.0, 0.0
    for trial in range(count):
        gains = rng.uniform(0.2, 1.0, 6)
        if trial % 2:
            gains = np.sort(gains)[::-1]
        ways = tuple(Mode(k, speed, 100.0 * k) for k, speed in enumerate(np.cumsum(gains), 1))
        values = rng.uniform(20, 800, 48)
        need = float(rng.uniform(0.1, 0.8)) * ways[-1].speed * 48 * HOUR
        line = Timeline(0.0, HOUR * np.arange(49.0), values / HOUR)
        found = fill(line, need, ways, 100.0)
        cost = np.repeat(values / HOUR, len(ways)) * np.tile(np.arange(1, 7), 48)
        speed = np.tile([way.speed for way in ways], 48)
        whole = np.kron(np.eye(48), np.ones(len(ways)))
        best = linprog(cost, A_ub=whole, b_ub=np.full(48, HOUR), A_eq=[speed], b_eq=[need]).fun
        gap = abs(found[0] - best) / best if found else 1.0
        worst, concave = max(worst, gap), max(concave, gap) if trial % 2 else concave
    yield Row("elastic width, from the linear optimum, worst", worst, "share", "<= 1e-6", how=f"{count} curves, HiGHS")
    yield Row("  concave curves alone", concave, "share", "<= 1e-6", how="CarbonScaler's greedy equals it (tests)")


def guarantee(quick: bool) -> Iterator[Row]:
    """The online rule under lies, and under the truth."""
    hours, jobs = 24 * 360, 2000 if quick else 20000
    rng = np.random.default_rng(1)
    daily = np.sin(np.arange(hours) * 2 * np.pi / 24)
    values = np.clip(350 + 180 * daily + rng.normal(0, 60, hours), 20, 900)
    submitted = np.sort(rng.uniform(0, (hours - 100) * HOUR, jobs))
    ones = np.ones(jobs)
    batch = Batch(
        0,
        submitted,
        rng.uniform(1, 10, jobs) * HOUR,
        ones,
        1000.0 * ones,
        24 * HOUR * ones,
        np.ones(jobs, dtype=np.int8),
        np.zeros(jobs, dtype=np.int8),
        np.zeros(jobs, dtype=np.int32),
        np.array([0], dtype=np.int32),
        np.array([0, 1], dtype=np.int32),
        flexible=True,
    )
    curves = Curves.of(("A",), values[None, :])

    def world(belief: Any) -> World:
        made = None if belief is None else Belief(belief[None].astype(np.float32), np.zeros(1, dtype=np.int32))
        return World(curves, 0, lambda: (0.0, 0.0), lambda: np.zeros(0), lambda _: batch, made)

    def total(slots: Any) -> float:
        return float(solve.grams(slots, batch, curves).sum())

    now, best = total(solve.run_now(batch)), total(clairvoyant(batch, world(None)))
    padded = np.concatenate([values, values[:48]])
    lies = {
        "upside down": 937 - np.stack([padded[i : i + 48] for i in range(hours)]),
        "always better tomorrow": np.tile(np.linspace(900, 1, 48), (hours, 1)),
        "noise": rng.uniform(0, 900, (hours, 48)),
    }
    for name, lie in lies.items():
        ours = total(online(batch, world(lie)))
        yield Row(f"online, forecasts {name}, of run-now", ours / now, "ratio", "<= 1.01", how=f"{jobs:,} jobs, a year")
    ours = total(online(batch, world(None)))
    yield Row(
        "online, good forecasts, saving kept", (now - ours) / (now - best), "share", ">= 0.9", how="of clairvoyant"
    )


def routing(quick: bool) -> Iterator[Row]:
    classes, sites = 1000, 100
    rng = np.random.default_rng(0)
    intensity = rng.uniform(20, 800, sites)
    energy = rng.uniform(1, 50, (classes, 1)) * rng.uniform(0.8, 1.2, (1, sites))
    allowed = rng.random((classes, sites)) < 0.4
    load = np.repeat(rng.uniform(0.01, 0.5, (classes, 1)), sites, axis=1)
    demand = rng.uniform(1, 100, classes)
    capacity = np.full(sites, float((demand * load[:, 0]).sum()) / sites / 0.7)
    transport = Transport()
    taken = []
    for _ in range(6 if quick else 20):
        cost = np.where(allowed, energy * intensity / 3.6e6, np.inf)
        began = time.process_time()
        transport.solve(cost, load, demand, capacity)
        taken.append(1000 * (time.process_time() - began))
        intensity = intensity * rng.uniform(0.98, 1.02, sites)
        demand = demand * rng.uniform(0.97, 1.03, classes)
    yield Row("route 1,000 classes × 100 sites, first time", taken[0], "CPU ms", how="exact, by reduced costs")
    yield Row("  again, as the grid turns", float(np.median(taken[1:])), "CPU ms", "<= 250", how="median, warm")


def rows(quick: bool) -> Iterator[Row]:
    yield from elastic(quick)
    yield from shapes(quick)
    yield from guarantee(quick)
    yield from routing(quick)


if __name__ == "__main__":
    run("Plan one workload in every shape, online, and route requests", rows)
