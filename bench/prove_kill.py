"""Kills a writer of the log at random instants, and counts what was promised and is gone."""

from __future__ import annotations

import base64
import gc
import json
import os
import random
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from heliotrope.config import ProveSettings
from heliotrope.prove import Ledger
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note
from heliotrope.prove.log import batch, sequencer
from heliotrope.prove.log.check import check_all
from heliotrope.store import Store
from table import Row

LIFE_S = 0.02
# One of five lives is so long that it also publishes: tiles and checkpoints are killed half written.
LONG_LIFE_S, _LONG_EVERY = 0.1, 5
# Of four writers three are let live until they have promised something; the fourth may be killed while it opens the log.
_OF_FOUR = 3
# Lines on their way at once: a few, or so many that other processes sign them.
_FEW, _MANY, _MANY_EVERY = 24, 400, 50
_PATIENCE_S = 20.0
# SIGKILL takes the process and leaves the page cache: files in memory lose as much, without waiting for a disk.
_MEMORY = Path("/dev/shm")


@dataclass
class Outcome:
    """`lost`: acknowledged and not there. `forks`: checkpoints once shown that the final log does not extend."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    forks: int = 0
    shown: set[tuple[int, bytes]] = field(default_factory=set)


def kills(home: Path, count: int, *, seed: int = 1, budget_s: float = float("inf")) -> Outcome:
    """Each writer is a process forked off this one, killed soon after its birth or its first promise."""
    dice = random.Random(seed)
    outcome = Outcome()
    promised: dict[int, str] = {}
    _start(home)
    # What was there before the forks is never collected, so its pages stay shared.
    gc.freeze()
    end = time.monotonic() + budget_s
    for i in range(count):
        if time.monotonic() > end:
            break
        at_once = _MANY if i % _MANY_EVERY == 0 else dice.randint(1, _FEW)
        life_s = dice.uniform(0.0, LIFE_S if i % _LONG_EVERY else LONG_LIFE_S)
        life = _one_life(home, f"{seed}-{i}", life_s, at_once, promising=i % 4 < _OF_FOUR)
        for index, name in life:
            assert index not in promised, "one index was promised twice"
            promised[index] = name
        outcome.kills += 1
        _look(home, outcome)
    gc.unfreeze()
    _judge(home, promised, outcome)
    return outcome


def _start(home: Path) -> None:
    """Keys and store are there before the first writer; the parent itself keeps no connection that a fork would share."""
    ledger = open_ledger(home)
    ledger.publish()
    ledger.store.close()


def open_ledger(home: Path) -> Ledger:
    return Ledger(Store(home / "helio.db"), home, ProveSettings())


def _one_life(home: Path, name: str, life_s: float, at_once: int, *, promising: bool) -> list[tuple[int, str]]:
    """(index, what it was promised for) for each line that was acknowledged before the kill."""
    lines_in, lines_out = os.pipe()
    acks_in, acks_out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(lines_out)
        os.close(acks_in)
        _write(home, lines_in, acks_out)
    os.close(lines_in)
    os.close(acks_out)
    sent, acks = _feed(name, lines_out, acks_in, life_s, at_once, promising=promising)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(lines_out)
    while more := os.read(acks_in, 1 << 16):
        acks += more
    os.close(acks_in)
    indices = [int(line) for line in acks.split(b"\n")[:-1]]
    assert len(indices) <= sent
    return [(index, f"{name}-{place}") for place, index in enumerate(indices)]


def _write(home: Path, lines_in: int, acks_out: int) -> None:
    """The child: what `helio log append` does, publishing as often as it can."""
    batch.PUBLISH_EVERY_S = 0.002
    source = os.fdopen(lines_in, "rb", buffering=0)

    def durable(indices: range) -> None:
        os.write(acks_out, "".join(f"{index}\n" for index in indices).encode())

    try:
        batch.append_lines(open_ledger(home), source, durable)
    finally:
        # Nothing of the parent's is to be run again here.
        os._exit(1)


def _feed(
    name: str, lines_out: int, acks_in: int, life_s: float, at_once: int, *, promising: bool
) -> tuple[int, bytes]:
    """Keeps `at_once` lines on their way until the life is over: sleeps otherwise, so that the writer has the machine."""
    sent, acks = 0, b""
    answers = select.poll()
    answers.register(acks_in, select.POLLIN)
    until = time.monotonic() + (_PATIENCE_S if promising else life_s)
    while (left_s := until - time.monotonic()) > 0:
        lacking = at_once - (sent - acks.count(b"\n"))
        if lacking:
            os.write(lines_out, b"".join(b'{"name":"%s-%d"}\n' % (name.encode(), sent + i) for i in range(lacking)))
            sent += lacking
        if answers.poll(left_s * 1e3):
            until = until if acks or not promising else time.monotonic() + life_s
            acks += os.read(acks_in, 1 << 16)
    return sent, acks


def _look(home: Path, outcome: Outcome) -> None:
    """What a stranger sees between two lives: always a whole, signed checkpoint."""
    tree = Checkpoint.parse(Note.parse((home / "log" / "checkpoint").read_bytes()).text)
    outcome.shown.add((tree.size, tree.root))


def _judge(home: Path, promised: dict[int, str], outcome: Outcome) -> None:
    ledger = open_ledger(home)
    ledger.publish()
    check_all(ledger)
    outcome.acknowledged = len(promised)
    size = ledger.size()
    with ledger.store.read() as tx:
        rows = tx.all("SELECT idx, envelope FROM log_record WHERE kind = 'entry'")
    kept = {int(row[0]): bytes(row[1]) for row in rows}
    outcome.lost = sum(_name(kept.get(index)) != name for index, name in promised.items())
    with ledger.store.read() as tx:
        node = sequencer.node(tx, size)
        outcome.forks = sum(old > size or merkle.root(old, node) != root for old, root in outcome.shown)
    ledger.store.close()


def _cpu_s() -> float:
    """Of this process and its dead children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _name(envelope: bytes | None) -> str | None:
    """What the record behind an entry was promised for; `check_all` has checked that it is that record."""
    if envelope is None:
        return None
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]["entry"]["name"]


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        began, spent_s = time.monotonic(), _cpu_s()
        done = kills(Path(folder), 10_000, budget_s=5.0 if quick else float("inf"))
    how = f"{done.kills:,} SIGKILLs within {LIFE_S * 1e3:.0f} (some {LONG_LIFE_S * 1e3:.0f}) ms of birth or first promise; {done.acknowledged:,} acknowledged"
    how += (
        f"; {len(done.shown):,} checkpoints seen; {time.monotonic() - began:.0f} s, {_cpu_s() - spent_s:.0f} s of CPU"
    )
    yield Row("acknowledged records lost to kill -9", done.lost, "records", "= 0", how=how)
    yield Row("forks after kill -9", done.forks, "forks", "= 0", how="every checkpoint ever shown, against the end")


if __name__ == "__main__":
    from table import run

    run("Kills", rows)
