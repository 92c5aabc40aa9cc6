"""How many signed records a second become durable, how long each waits, and what a proof at 2^30 costs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import SecretKey
from heliotrope.prove.formats.proof import Proof
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.formats.trust import Trust
from table import Row

HELIO = [sys.executable, "-m", "heliotrope", "log", "append", "--stdin", "--json", "--home"]
PACED_PER_S = 10_000
WARM_UP_S = 1.5


def line(i: int) -> bytes:
    """About what a run's record weighs, less its prose."""
    return (
        b'{"run":"r%d","site":"lyon","energy_uj":{"value":123456789,"low":120000000,"high":126000000},'
        b'"carbon_ug":{"value":8123,"low":7000,"high":9500},"started_us":1767225600000000}\n' % i
    )


def throughput(home: Path, count: int) -> tuple[float, float]:
    """(records a second of wall time, records a second of CPU time on two cores): start-up not counted."""
    with subprocess.Popen([*HELIO, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line(0))
        process.stdin.flush()
        process.stdout.readline()
        spent = _cpu_s(process.pid)
        began = time.perf_counter()
        feeder = threading.Thread(target=_feed_all, args=(process, count))
        feeder.start()
        for _ in range(count):
            process.stdout.readline()
        wall_s = time.perf_counter() - began
        feeder.join()
        process.stdin.close()
        process.wait()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = children.ru_utime + children.ru_stime - spent
    return count / wall_s, 2 * count / cpu_s


def _cpu_s(pid: int) -> float:
    """What the process has used so far, plus what earlier children of ours did."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    earlier = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + earlier.ru_utime + earlier.ru_stime


def _feed_all(process: subprocess.Popen[bytes], count: int) -> None:
    assert process.stdin is not None
    for start in range(1, count + 1, 500):
        process.stdin.write(b"".join(line(i) for i in range(start, min(start + 500, count + 1))))
        process.stdin.flush()


def latency(home: Path, seconds: float) -> tuple[float, float]:
    """(median, 99th percentile) ms from writing a line to its acknowledgement, at a steady PACED_PER_S."""
    count = int(PACED_PER_S * (seconds + WARM_UP_S))
    sent_s = [0.0] * count
    with subprocess.Popen([*HELIO, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        feeder = threading.Thread(target=_feed_paced, args=(process, sent_s))
        feeder.start()
        acked_s = []
        for _ in range(count):
            process.stdout.readline()
            acked_s.append(time.perf_counter())
        feeder.join()
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    first = int(PACED_PER_S * WARM_UP_S)
    waits = sorted(a - s for a, s in zip(acked_s[first:], sent_s[first:], strict=True))
    return 1e3 * waits[len(waits) // 2], 1e3 * waits[int(len(waits) * 0.99)]


def _feed_paced(process: subprocess.Popen[bytes], sent_s: list[float]) -> None:
    assert process.stdin is not None
    began = time.perf_counter()
    at_once = PACED_PER_S // 200
    for start in range(0, len(sent_s), at_once):
        time.sleep(max(0.0, began + start / PACED_PER_S - time.perf_counter()))
        some = range(start, min(start + at_once, len(sent_s)))
        now = time.perf_counter()
        for i in some:
            sent_s[i] = now
        process.stdin.write(b"".join(map(line, some)))
        process.stdin.flush()


def disk_wait(folder: Path, count: int = 300) -> float:
    """99th percentile, ms, of what this disk alone takes to make a batch's worth of bytes durable."""
    batch = bytes(128 * 1024)
    handle = os.open(folder / "alone", os.O_WRONLY | os.O_CREAT)
    waits = []
    for _ in range(count):
        os.write(handle, batch)
        began = time.perf_counter()
        os.fdatasync(handle)
        waits.append(time.perf_counter() - began)
    os.close(handle)
    return 1e3 * sorted(waits)[int(count * 0.99)]


def huge_proof() -> tuple[int, float]:
    """(bytes, ms to verify) of a proof in a tree of 2^30 leaves under a checkpoint with five cosignatures."""
    level = [merkle.leaf_hash(b"entry")]
    for _ in range(30):
        level.append(merkle.node_hash(level[-1], level[-1]))
    size, index = 1 << 30, 123_456_789
    log = SecretKey.generate("heliotrope.local/log")
    witnesses = [SecretKey.generate(f"witness{i}.example", Algorithm.COSIGNATURE) for i in range(5)]
    note = Checkpoint(log.name, size, level[30]).signed(log)
    note = note.with_signatures([secret.sign(note.text, time_s=1_800_000_000) for secret in witnesses])
    path = merkle.inclusion(index, size, lambda height, _: level[height])
    raw = Proof(index, tuple(path), note).text().encode()
    trust = Trust((log.key,), tuple(secret.key for secret in witnesses), quorum=5)
    times = []
    for _ in range(50):
        began = time.process_time()
        proof = Proof.parse(raw)
        proof.verify(b"entry")
        trust.check(proof.checkpoint)
        times.append(time.process_time() - began)
    return len(raw), 1e3 * sorted(times)[len(times) // 2]


def unsigned_peer(count: int) -> float:
    """What a single durable SQLite insert at a time gives: the naive log."""
    import sqlite3

    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "naive.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE entry (i INTEGER PRIMARY KEY, body BLOB)")
        began = time.perf_counter()
        for i in range(count):
            connection.execute("INSERT INTO entry (body) VALUES (?)", (json.dumps({"i": i}),))
        return count / (time.perf_counter() - began)


def rows(quick: bool) -> Iterator[Row]:
    count = 40_000 if quick else 300_000
    naive = unsigned_peer(200)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = throughput(Path(folder), count)
    how = f"{count:,} lines through `helio log append`: signed, in SQLite, fsynced, published"
    yield Row("signed durable records, wall clock", wall, "/s", ">= 10000", "one commit each, unsigned", naive, how)
    yield Row(
        "signed durable records, by CPU time on 2 cores", cpu, "/s", ">= 10000", how="what the machine was spared"
    )
    with tempfile.TemporaryDirectory() as folder:
        median, worst = latency(Path(folder), 2.0 if quick else 20.0)
        disk = disk_wait(Path(folder))
    how = f"at a steady {PACED_PER_S:,}/s, from writing the line to reading its index"
    yield Row("wait for durability, median", median, "ms", how=how)
    yield Row("wait for durability, p99", worst, "ms", "<= 50", how=how)
    yield Row(
        "fsync of this disk, p99", disk, "ms", how="right after, by itself: the wait above holds one or two of these"
    )
    size, verify_ms = huge_proof()
    yield Row("receipt at 2^30 entries, five cosignatures", size, "bytes", "<= 4096", how="tlog-proof text")
    yield Row("its verification", verify_ms, "ms", "<= 10", how="median of 50, CPU time")


if __name__ == "__main__":
    from table import run

    run("Log", rows)
