"""Live work between sites: what a move costs, and whether it ends bit for bit. `python bench/run_moves.py [--quick]`"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from moving import day

from heliotrope.checkpoint.carry import lack, pull
from heliotrope.checkpoint.depots import FolderSource
from table import Row, run

MIB = 1 << 20


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="helio moves ") as name:
        yield from _carried(Path(name), 64 if quick else 512)
    with tempfile.TemporaryDirectory(prefix="helio moves ") as name:
        yield from _day(Path(name), 1 if quick else 3)


def _carried(folder: Path, mib: int) -> Iterator[Row]:
    """A state of random weights; then the same with one piece changed; then one that was cut in the middle."""
    there, here = folder / "there" / "w", folder / "here" / "w"
    there.mkdir(parents=True)
    weights = there / "weights"
    weights.write_bytes(os.urandom(mib * MIB))
    began = time.process_time()
    _pulled(there, here)
    spent = time.process_time() - began
    how = f"{mib} MiB from disk to disk, every byte hashed at both ends and written whole"
    yield Row("a state carried", mib / spent, "MiB/CPU-s", "", how=how)
    with weights.open("r+b") as file:
        file.write(os.urandom(MIB))
    source = FolderSource(there)
    asked = lack(source, source.manifest.digest, here)
    yield Row("sent where 1 MiB of it changed", asked.missing_bytes / MIB, "MiB", "<= 8", how="pieces of 8 MiB")
    _pulled(there, here)
    wrong = weights.read_bytes() != (here / "weights").read_bytes()
    yield Row("bytes that differ after it", int(wrong), "", "= 0", how="compared whole")


def _pulled(there: Path, here: Path) -> None:
    source = FolderSource(there)
    here.parent.mkdir(exist_ok=True)
    pull(source, lack(source, source.manifest.digest, here), here)


def _day(home: Path, jobs: int) -> Iterator[Row]:
    told = day(home, jobs, 3600.0)
    moves, equal = sum(one["moves"] for one in told), sum(one["bit_equal"] for one in told)
    how = "a day of two grids in 24 s and what comes after; planner, life cycle, real processes"
    yield Row("moves of live trainings, north and south", moves, "", ">= 1", how=how)
    yield Row(
        "trainings whose final state is not bit-equal", jobs - equal, f"of {jobs}", "= 0", how="SHA-256 of it all"
    )
    attempts, receipts = sum(len(one["stays"]) for one in told), sum(one["receipts"] for one in told)
    yield Row("attempts without a receipt", attempts - receipts, f"of {attempts}", "= 0", how="one record an attempt")
    carbon, at_once = sum(one["carbon_g"] for one in told), sum(one["run_now_g"] for one in told)
    yield Row("carbon", carbon * 1e6, "µg", "", "run now", at_once * 1e6, "the same joules; transfers are in the first")


if __name__ == "__main__":
    run("run: work that moves", rows)
