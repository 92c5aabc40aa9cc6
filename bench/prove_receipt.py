"""From a run's end to a receipt with five cosignatures, with witnesses as real processes on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from heliotrope.config import ProveSettings
from heliotrope.prove import Ledger, Statement, verify_receipt
from heliotrope.prove.records import record
from heliotrope.store import Store
from table import Row

WITNESSES = 5


@contextlib.contextmanager
def witnesses(root: Path, vkeys: Path) -> Iterator[list[str]]:
    """`KEY URL` of each, as the settings want them."""
    processes = []
    for i in range(WITNESSES):
        command = [sys.executable, "-m", "heliotrope", "log", "witness", "--vkeys", str(vkeys), "--json"]
        command += ["--home", str(root / f"w{i}")]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    try:
        told = [json.loads(process.stdout.readline()) for process in processes]
        yield [f"{said['witness']} {said['url']}" for said in told]
    finally:
        for process in processes:
            process.terminate()
            process.wait()
            process.stdout.close()


def receipts(root: Path, count: int) -> list[float]:
    """Seconds from the transaction that ends a run to its witnessed receipt on disk."""
    home = root / "log"
    store = Store(home / "helio.db")
    vkeys = root / "vkeys"
    vkeys.write_text("".join(f"log {key}\n" for key in Ledger(store, home, ProveSettings()).log_keys()))
    waits = []
    with witnesses(root, vkeys) as peers:
        ledger = Ledger(store, home, ProveSettings(witnesses=tuple(peers), quorum=WITNESSES))
        ledger.publish()
        for i in range(count):
            body = record.statement("run", f"r{i}", "00", {"energy_uj": i})
            began = time.perf_counter()
            with store.write() as tx:
                index = ledger.add(tx, Statement("run", f"r{i}", body))
            ledger.publish()
            out = ledger.receipt(index, root / f"r{i}.tlog-proof")
            waits.append(time.perf_counter() - began)
        verdict = verify_receipt(out, vkeys=ledger.folder / "vkeys", quorum=WITNESSES)
        assert len(verdict.witnesses) == WITNESSES
    return sorted(waits)


def rows(quick: bool) -> Iterator[Row]:
    count = 40 if quick else 400
    with tempfile.TemporaryDirectory() as folder:
        waits = receipts(Path(folder), count)
    how = f"{count} runs, {WITNESSES} witness processes on loopback"
    yield Row("run end to witnessed receipt, median", waits[len(waits) // 2], "s", how=how)
    yield Row("run end to witnessed receipt, p99", waits[int(len(waits) * 0.99)], "s", "<= 1", how=how)


if __name__ == "__main__":
    from table import run

    run("Receipts", rows)
