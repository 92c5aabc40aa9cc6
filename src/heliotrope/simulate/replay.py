"""Feeds a trace to a policy, keeps time, and counts: everything is counted from the slots, never taken on trust."""

from __future__ import annotations

import os
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from heliotrope.errors import Infeasible
from heliotrope.plan.kernels import solve
from heliotrope.plan.kernels.calendar import Calendar
from heliotrope.plan.kernels.policies import helio
from heliotrope.plan.kernels.shapes import Batch, Bytes, Floats, Slots
from heliotrope.plan.kernels.verify import kept
from heliotrope.plan.kernels.world import Policy, World
from heliotrope.simulate.bound import Lumps, certified_g
from heliotrope.simulate.source import Block, Left, Source
from heliotrope.units import S_PER_HOUR


class Totals(msgspec.Struct):
    """Sums over jobs. `violations`: jobs not run as they allow; deadlines are counted apart."""

    jobs: int = 0
    slots: int = 0
    carbon_g: float = 0.0
    run_now_g: float = 0.0
    bound_g: float = 0.0
    wait_s: float = 0.0
    deadline_misses: int = 0
    violations: int = 0

    def add(self, other: Totals) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Result(msgspec.Struct, frozen=True):
    """What `helio simulate --json` prints. Ratios are null where they would divide by nothing."""

    policy: str
    jobs: int
    carbon_g: float
    run_now_g: float
    bound_g: float
    saving: float | None
    kept_share: float | None
    gap: float | None
    mean_wait_s: float | None
    deadline_misses: int
    violations: int
    cpu_s: float
    wall_s: float
    jobs_per_cpu_s: float | None
    peak_mb: float
    flags: tuple[str, ...] = ()


Sink = Callable[[Batch, Slots, Floats], None]
Out = TypeVar("Out")


class Meter:
    """CPU and wall seconds since it was made; peak resident memory of the process, MB."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def cpu_s(self) -> float:
        return time.process_time() - self._cpu

    def wall_s(self) -> float:
        return time.perf_counter() - self._wall

    @staticmethod
    def peak_mb() -> float:
        # getrusage would also count what the parent held before it started us; VmHWM is of this program alone.
        try:
            status = Path("/proc/self/status").read_text(encoding="utf-8")
        except OSError:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6


def count(batch: Batch, slots: Slots, world: World, now: Slots | None = None) -> tuple[Totals, Floats]:
    """Totals of one batch, and the grams of each slot. `now`: what running at once came to, if it had to queue."""
    grams = solve.grams(slots, batch, world.curves)
    found = kept(batch, slots)
    now_g = solve.run_now_grams(batch, world.curves) if now is None else solve.grams(now, batch, world.curves).sum()
    return Totals(
        jobs=len(batch),
        slots=len(slots),
        carbon_g=float(grams.sum()),
        run_now_g=float(now_g),
        bound_g=float(solve.least_grams(batch, world.curves).sum()),
        wait_s=found.wait_s,
        deadline_misses=found.missed,
        violations=found.wrong,
    ), grams


class Outcome(msgspec.Struct):
    totals: Totals
    left: Left
    meter: Meter


def replay(trace: Source, world: World, policy: Policy, sink: Sink | None = None) -> Outcome:
    """Block after block, on every core; what is kept does not grow with the trace."""
    warm(trace, world, policy)
    outcome = Outcome(Totals(), Left(), Meter())

    def work(block: Block) -> tuple[Batch, Slots, Floats, Totals, Left]:
        left = Left()
        batch = trace.batch(block, left)
        slots = policy(batch, world)
        totals, grams = count(batch, slots, world)
        return batch, slots, grams, totals, left

    for batch, slots, grams, totals, left in _in_order(work, trace.blocks()):
        outcome.totals.add(totals)
        outcome.left.late += left.late
        outcome.left.clipped += left.clipped
        outcome.left.assumed_power += left.assumed_power
        if sink is not None:
            sink(batch, slots, grams)
    if not outcome.totals.jobs:
        raise _none_in_time(world)
    return outcome


def _none_in_time(world: World) -> Infeasible:
    return Infeasible(
        "no job ends before the grid does, even at once",
        cause=f"the grid holds {world.curves.end_s / S_PER_HOUR:g} h",
        hint="a longer grid, or an earlier --start-hour",
    )


def replay_queued(
    trace: Source, world: World, policy: Policy, limits: tuple[float, ...], sink: Sink | None = None
) -> Outcome:
    """Under capacity: in order of submission, each job against what the earlier ones hold.

    Running at once queues too. Ours chooses among what is free; other policies wish, and queue for their wish.
    """
    warm(trace, world, policy, limits)
    outcome = Outcome(Totals(), Left(), Meter())
    calendar, at_once = Calendar(world.curves, limits), Calendar(world.curves, limits)
    lumps = Lumps(world.curves)
    for whole in _sorted(trace, outcome.left):
        batch = whole
        stuck = np.zeros(len(batch), dtype=np.int8)
        now = at_once.follow(batch, solve.run_now(batch), stuck)
        slots = _queued(calendar, batch, world, policy, stuck)
        if stuck.any():
            outcome.left.stuck += int(stuck.sum())
            fits = stuck == 0
            batch, slots, now = batch.take(fits), slots.only(fits), now.only(fits)
        totals, grams = count(batch, slots, world, now)
        outcome.totals.add(totals)
        lumps.add(batch)
        if sink is not None:
            sink(batch, slots, grams)
    if not outcome.totals.jobs and not outcome.left.stuck:
        raise _none_in_time(world)
    if not outcome.totals.jobs:
        raise Infeasible(
            "no job finds devices before the grid ends",
            cause=f"capacity {', '.join(f'{limit:g}' for limit in limits)} in {', '.join(world.curves.zones)}",
            hint="more capacity, or a longer grid",
        )
    if outcome.left.stuck:
        # Prices over all jobs would bound a larger trace than the one that was counted.
        return outcome
    again = (trace.batch(block, Left()) for block in trace.blocks())
    priced = certified_g(again, world.curves, limits, lumps.prices(limits))
    outcome.totals.bound_g = max(outcome.totals.bound_g, priced)
    return outcome


def _queued(calendar: Calendar, batch: Batch, world: World, policy: Policy, stuck: Bytes) -> Slots:
    if policy in (helio.helio, helio.clairvoyant) and world.belief is None and not world.blind:
        return calendar.choose(batch, stuck)
    return calendar.follow(batch, policy(batch, world), stuck)


def _sorted(trace: Source, left: Left) -> Iterator[Batch]:
    latest = 0.0
    for block in trace.blocks():
        batch = trace.batch(block, left, queues=True)
        if len(batch):
            if batch.submitted_s[0] < latest:
                raise trace.unsorted(block.line)
            latest = float(batch.submitted_s[-1])
        yield batch


def warm(trace: Source, world: World, policy: Policy, limits: tuple[float, ...] | None = None) -> None:
    """Compiles what will be used, on a few jobs, so that compiling is not counted as replaying."""
    for block in islice(trace.blocks(), 1):
        batch = trace.batch(block, Left()).take(slice(0, 4))
        guess = msgspec.structs.replace(
            world,
            queue_means=lambda: (3600.0, 4 * 3600.0),
            lengths=lambda: np.array([3600.0, 4 * 3600.0]),
            sample=lambda _, few=batch: few,
        )
        count(batch, policy(batch, guess), world)
        if limits is not None:
            stuck = np.zeros(len(batch), dtype=np.int8)
            Calendar(world.curves, limits).follow(batch, solve.run_now(batch), stuck)
            _queued(Calendar(world.curves, limits), batch, guess, policy, stuck)
            certified_g([batch], world.curves, limits, np.zeros_like(world.curves.values))


def _in_order(work: Callable[[Block], Out], blocks: Iterator[Block]) -> Iterator[Out]:
    """Results in the blocks' order, a few blocks ahead and no more."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Out]] = deque()
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def result(policy: str, outcome: Outcome, flags: tuple[str, ...] = ()) -> Result:
    t, cpu = outcome.totals, outcome.meter.cpu_s()
    possible = t.run_now_g - t.bound_g
    return Result(
        policy=policy,
        jobs=t.jobs,
        carbon_g=t.carbon_g,
        run_now_g=t.run_now_g,
        bound_g=t.bound_g,
        saving=1 - t.carbon_g / t.run_now_g if t.run_now_g else None,
        kept_share=(t.run_now_g - t.carbon_g) / possible if possible > 1e-9 * t.run_now_g else None,
        gap=(t.carbon_g - t.bound_g) / t.bound_g if t.bound_g else None,
        mean_wait_s=t.wait_s / t.jobs if t.jobs else None,
        deadline_misses=t.deadline_misses,
        violations=t.violations,
        cpu_s=cpu,
        wall_s=outcome.meter.wall_s(),
        jobs_per_cpu_s=t.jobs / cpu if cpu else None,
        peak_mb=Meter.peak_mb(),
        flags=(*_left(outcome.left), *_late(t), *flags),
    )


def _late(totals: Totals) -> tuple[str, ...]:
    broken = (
        f"{totals.violations} jobs are run in ways they do not allow (pauses, zones, lengths): no such plan could run"
    )
    if totals.violations:
        return (broken,)
    if not totals.deadline_misses:
        return ()
    return (f"{totals.deadline_misses} jobs end after their deadline: the bound, which keeps deadlines, is not theirs",)


def _left(left: Left) -> tuple[str, ...]:
    out = []
    if left.late:
        out.append(f"{left.late} jobs left out: even at once they would end after the grid does")
    if left.stuck:
        out.append(
            f"{left.stuck} jobs left out: no devices before the grid ends; the bound is the one without capacity"
        )
    if left.clipped:
        out.append(f"{left.clipped} windows cut at the end of the grid")
    if left.assumed_power:
        out.append(f"{left.assumed_power} jobs without power_w: 1 W a device assumed")
    return tuple(out)
