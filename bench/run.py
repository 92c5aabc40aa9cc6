"""What carrying a command out adds to it, and what kill -9 takes away. `python bench/run.py [--quick] [--json]`"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import crowd
from heliotrope.config import Settings
from heliotrope.model import Length, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.engines import Task, engine
from heliotrope.run.lifecycle import Seen
from heliotrope.units import from_epoch
from table import Row, run

ROOT = Path(__file__).parents[1]
STAMP = (sys.executable, "-I", "-S", "-c", "import sys, time; open(sys.argv[1], 'w').write(repr(time.time()))")


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="helio run ") as name:
        folder = Path(name)
        times = 5 if quick else 20
        bare = min(_bare_s(folder, i) for i in range(times))
        kept = min(_kept_s(folder, i) for i in range(times))
        yield Row(
            "launch to the command's first act", kept, "s", "", "subprocess.Popen", bare, f"wall, best of {times}"
        )
        yield Row("start-to-running overhead over the bare engine", kept - bare, "s", "<= 1", how="the difference")
        yield from _controller(folder / "home", 30 if quick else 200)
        size = {"jobs": 4000, "sites": 100, "syncs": 2000, "submits": 30}
        large = {"jobs": 100_000, "sites": 1000, "syncs": 10_000, "submits": 200}
        yield from crowd.rows(folder, **(size if quick else large))
        yield from _kills(folder, 6 if quick else 100)


def _bare_s(folder: Path, i: int) -> float:
    out = folder / f"bare{i}"
    began = time.time()
    subprocess.run([*STAMP, str(out)], check=True)
    return float(out.read_text()) - began


def _kept_s(folder: Path, i: int) -> float:
    """The local engine: shepherd, measurement, session, log."""
    out, local = folder / f"kept{i}", engine("local")
    handle = str(folder / "runs" / f"r{i}" / "0")
    began = time.time()
    local.launch(
        Task(
            handle, (*STAMP, str(out)), str(folder), {"PATH": os.environ["PATH"]}, str(folder / "saved"), interval_s=1.0
        )
    )
    while local.observe(handle).seen is not Seen.EXITED:
        time.sleep(0.01)
    return float(out.read_text()) - began


def _controller(home: Path, jobs: int) -> Iterator[Row]:
    controller = Controller(Settings(home=str(home), zone="DE"))
    controller.lead()
    spent = []
    for i in range(jobs):
        now_s = time.time()
        workload = Workload(
            id=f"w{i}",
            kind=WorkloadKind.BATCH,
            command=("true",),
            submitted_at=from_epoch(now_s),
            not_before=from_epoch(now_s + 40 * 3600),
            deadline=from_epoch(now_s + 90 * 3600),
            length=Length.known(3600),
            environment={"PATH": os.environ["PATH"]},
        )
        began = time.process_time()
        controller.submit(workload)
        spent.append((time.process_time() - began) * 1e3)
    how = f"CPU, {jobs} jobs: signals, plan, statement, one durable transaction"
    yield Row("submit, median", statistics.median(spent), "ms", "<= 20", how=how)
    yield Row("submit, slowest of a hundred", statistics.quantiles(spent, n=100)[98], "ms", "", how=how)
    began = time.process_time()
    for _ in range(5):
        controller.step()
    each = (time.process_time() - began) / 5 / jobs * 1e3
    yield Row("one look at a job that waits", each, "ms", "", how=f"CPU, {jobs} waiting")
    controller.close()


def _kills(folder: Path, kills: int) -> Iterator[Row]:
    """The test's own ordeal, so that what is shown is what is tested."""
    spec = importlib.util.spec_from_file_location("ordeal", ROOT / "tests" / "faults" / "test_kill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = folder / "ordeal"
    path.mkdir()
    ordeal = module.Ordeal(path, seed=time.time_ns())
    try:
        ordeal.go(kills)
        wrong = ""
        try:
            module.check(ordeal)
        except AssertionError as error:
            wrong = str(error).splitlines()[0]
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(ordeal.kills.items()))
        yield Row("random kill -9", ordeal.kills.total(), "", f">= {kills}", how=said)
        yield Row("jobs that went through them", len(ordeal.folders), "", "", how="three at a time")
        yield Row(
            "effects twice or missing, overlaps, records missing", int(bool(wrong)), "", "= 0",
            how=wrong or "all counted; every receipt and the whole log verified",
        )  # fmt: skip
    finally:
        ordeal.stop()


if __name__ == "__main__":
    run("run: what it adds, what it survives", rows)
