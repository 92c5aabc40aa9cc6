"""Power control: how much of the possible saving is found, whether its bound holds, and what kills leave behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from heliotrope.measure.machine.system import System
from heliotrope.measure.power.keeper import Keeper
from heliotrope.measure.power.knobs import find
from heliotrope.measure.power.search import Search
from heliotrope.measure.power.simulated import SimulatedGpu
from table import Row, run

SLOWDOWN = 0.1
STEPS = 4000
STOOD = "990000000"
ZONE = "sys/class/powercap/intel-rapl:0"
BORROWER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from heliotrope.measure.power.lease import borrow
    from heliotrope.measure.machine.system import System
    lease = borrow(System(sys.argv[1]), journal=Path(sys.argv[2]))
    low, *_, high = lease.take("package-0/limit")
    print(lease._guard.pid, flush=True)
    while True:
        lease.set("package-0/limit", low)
        lease.set("package-0/limit", (low + high) / 2)
    """
)


def searched(seed: int) -> tuple[float, float, float]:
    """Of one simulated GPU: share of the best saving found, slow-down of the choice, and of the whole work."""
    rng = random.Random(seed)
    gpu = SimulatedGpu(
        step_s=rng.uniform(0.05, 0.5), bound=rng.uniform(0.2, 1.0), idle_w=rng.uniform(30, 120), noise=0.03, seed=seed
    )
    search = Search(gpu.levels(), max_slowdown=SLOWDOWN)
    for _ in range(STEPS):
        gpu.limit_w = search.level
        search.step(gpu.step(), lambda: gpu.energy_j)
    seconds, joules = gpu.at(search.chosen.level)
    seconds_before, joules_before = gpu.at(gpu.tdp_w)
    within = [gpu.at(level)[1] for level in gpu.levels() if gpu.at(level)[0] <= (1 + SLOWDOWN) * seconds_before]
    best = joules_before - min(within)
    found = (joules_before - joules) / best if best > 0.005 * joules_before else 1.0
    return found, seconds / seconds_before - 1, gpu.elapsed_s / (STEPS * seconds_before) - 1


def killed(folder: Path, seed: int) -> bool:
    """Whether a limit was left behind when the borrower or its guard was killed at some moment."""
    rng = random.Random(seed)
    root, limit = folder / "machine", folder / "machine" / ZONE / "constraint_0_power_limit_uw"
    limit.parent.mkdir(parents=True, exist_ok=True)
    (limit.parent / "name").write_text("package-0")
    (limit.parent / "constraint_0_name").write_text("long_term")
    limit.write_text(STOOD)
    journal = folder / "power.jsonl"
    borrower = subprocess.Popen(
        [sys.executable, "-c", BORROWER, str(root), str(journal)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    guard = int(borrower.stdout.readline())
    time.sleep(rng.uniform(0.0, 0.03))
    if seed % 2:
        borrower.kill()
    else:
        os.kill(guard, signal.SIGKILL)
    borrower.wait()
    borrower.stdout.close()
    if seed % 2:
        end_s = time.monotonic() + 5
        while limit.read_text() != STOOD and time.monotonic() < end_s:
            time.sleep(0.01)
    else:
        Keeper(find(System(root)), journal).close("")  # the next start of the daemon
    return limit.read_text() != STOOD


def rows(quick: bool):
    found = [searched(seed) for seed in range(30 if quick else 200)]
    shares = sorted(share for share, _, _ in found)
    yield Row(
        "saving found, of the best there is (median)",
        shares[len(shares) // 2],
        want=">= 0.9",
        how=f"{len(found)} simulated GPUs, 3 % noise a step, {STEPS} steps; none of it ran on a GPU",
    )
    yield Row("saving found, of the best there is (one in ten is below)", shares[len(shares) // 10], want=">= 0.6")
    over = sum(slow > SLOWDOWN * 1.001 for _, slow, _ in found) / len(found)
    yield Row("chosen limit slower than its bound", over, "of searches", "<= 0.05", how=f"bound {SLOWDOWN:.0%}")
    yield Row("the whole work, search included: largest slow-down", max(whole for _, _, whole in found), want="<= 0.1")
    kills = 10 if quick else 100
    with tempfile.TemporaryDirectory() as folder:
        left = sum(killed(Path(folder) / str(seed), seed) for seed in range(kills))
    yield Row(
        "limits left behind", left, f"of {kills} kills", "= 0", how="borrower or guard, SIGKILL at random moments"
    )


if __name__ == "__main__":
    run("Power control", rows)
