"""How light the front door is: install, help, import, one plan, the whole story. `python bench/start.py [--quick] [--json]`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from table import Row, run

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".bench" / "codecarbon"
REPEATS = 15


def rows(quick: bool) -> Iterator[Row]:
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    yield Row("direct dependencies of the core", len(direct), "", "<= 12", how="pyproject.toml")
    peer = None if quick and not PEER.exists() else _peer()
    with tempfile.TemporaryDirectory(prefix="helio start ") as folder:
        if quick:
            python = sys.executable
        else:
            yield from _fresh_clone(Path(folder))
            python = str(Path(folder) / "clone" / ".venv" / "bin" / "python")
        yield Row(
            "helio --help", _fastest_ms([python, "-m", "heliotrope", "--help"]), "ms", "<= 120",
            how=f"wall, best of {REPEATS}, python included",
        )  # fmt: skip
        yield Row(
            "import heliotrope", _import_ms(python, "heliotrope"), "ms", "<= 60",
            "import codecarbon", peer and _import_ms(peer, "codecarbon"),
            f"wall inside the process, best of {REPEATS}",
        )  # fmt: skip
        yield Row(
            "memory of import heliotrope over bare Python", _import_mb(python, "heliotrope"), "MB", "<= 25",
            "import codecarbon", peer and _import_mb(peer, "codecarbon"), "peak RSS",
        )  # fmt: skip
        yield Row("plan: 1 job, 96 h × 30 sites", _plan_ms(python), "ms", "<= 5", how="CPU, best of 30, 5 min steps")


def _fresh_clone(folder: Path) -> Iterator[Row]:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    began = time.monotonic()
    subprocess.run(["sh", "tools/venv.sh", "core"], cwd=clone, check=True, env=_bare())
    yield Row("core install, warm package cache", time.monotonic() - began, "s", how="fresh clone, path with a space")
    listed = subprocess.run(
        [".venv/bin/python", "-m", "pip", "list", "--format=json"], cwd=clone, check=True, capture_output=True
    )
    packages = {p["name"].lower() for p in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}
    yield Row("packages of the core in all", len(packages), "", "<= 28", how="pip list, without pip and setuptools")
    began = time.monotonic()
    subprocess.run(["make", "run"], cwd=clone, check=True, env=_bare(), stdout=subprocess.DEVNULL)
    yield Row("make run, after install", time.monotonic() - began, "s", "<= 60", how="the whole story, wall")


def _bare() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH", "HELIO_HOME"}}


def _peer() -> str:
    """CodeCarbon in an environment of its own."""
    python = PEER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "codecarbon==3.3.2"], check=True)
    return str(python)


def _fastest_ms(command: list[str]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - began)
    return best * 1000


def _import_ms(python: str, module: str) -> float:
    code = f"import time; t=time.perf_counter(); import {module}; print(time.perf_counter()-t)"
    runs = [subprocess.run([python, "-c", code], check=True, capture_output=True, text=True) for _ in range(REPEATS)]
    return min(float(r.stdout.split()[-1]) for r in runs) * 1000


def _import_mb(python: str, module: str) -> float:
    def peak_kb(statement: str) -> int:
        # VmHWM, not ru_maxrss: the latter starts at what the parent had before exec.
        code = f"{statement}\nprint(next(x for x in open('/proc/self/status') if x.startswith('VmHWM')).split()[1])"
        return int(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1])

    return (peak_kb(f"import {module}") - peak_kb("pass")) / 1024


_PLAN = """
import time
from datetime import timedelta
import numpy as np
from heliotrope.model import *
from heliotrope.units import from_epoch
from heliotrope import plan
rng = np.random.default_rng(1)
now = 1_770_000_000
candidates = []
for k in range(30):
    values = 200 + 150 * rng.random(100)
    signal = Signal(CARBON, f"Z{k}", now - now % 3600, 3600, values, values * .9, values * 1.1,
                    Quality(QualityKind.MEASURED, "random", "none"))
    candidates.append(plan.Candidate(site=Site(name=f"s{k}", zone=f"Z{k}"), carbon=signal, power_w=300.0))
work = Workload(id="w", kind=WorkloadKind.TRAIN, command=("x",), submitted_at=from_epoch(now),
                length=Length.known(6.3 * 3600), deadline=from_epoch(now) + timedelta(hours=96))
best = 1e9
for _ in range(30):
    began = time.process_time()
    plan.place(work, candidates, now_s=now, step_s=300)
    best = min(best, time.process_time() - began)
print(best * 1000)
"""


def _plan_ms(python: str) -> float:
    done = subprocess.run([python, "-c", _PLAN], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    run("Heliotrope at the front door", rows)
