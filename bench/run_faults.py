"""What survives faults: random schedules in virtual time, and over real processes. `bench/run_faults.py [--quick] [--json]`"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from table import Row, run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults import cable
from faults.realm import Realm
from faults.world import World, schedule

SIDE_BY_SIDE = 3  # a round mostly waits
LAWS = "each job ends once or says why not; a record for each bill, and its joules; room and quotas kept; log verified"


def rows(quick: bool) -> Iterator[Row]:
    yield from _virtual(homes=1 if quick else 10, each=150 if quick else 250)
    yield from _real(4 if quick else 200)


def _virtual(homes: int, each: int) -> Iterator[Row]:
    """The tests' own world, with seeds that the tests do not have."""
    ends: Counter[str] = Counter()
    met: Counter[str] = Counter()
    broken, done, wrong = 0, 0, ""
    for seed in range(1000, 1000 + homes):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            world = World(Path(folder), seed, patch)
            try:
                for number in range(each):
                    ends += schedule(world, number)
                    done += 1
                world.check_log()
            except AssertionError as error:
                broken, wrong = broken + 1, f"seed {seed}: {str(error).splitlines()[0]}"
            finally:
                world.close()
            met += world.met
    kills = sum(count for name, count in met.items() if name.startswith("killed"))
    cuts = sum(count for name, count in met.items() if name.endswith(("lost", "unanswered", "twice")))
    how = f"{kills:,} kills at writes, {cuts:,} words lost or doubled, {met['disk full']:,} full disks, {met['a thief']:,} thieves"
    yield Row("schedules of faults in virtual time", done, "", f">= {homes * each}", how=how)
    said = ", ".join(f"{count:,} {name}" for name, count in ends.most_common())
    yield Row("of them against a law", broken, "", "= 0", how=wrong or f"{LAWS}; jobs: {said}")


def _real(rounds: int) -> Iterator[Row]:
    name = "schedules over real processes and a network namespace"
    if reason := cable.missing():
        yield Row(name, None, "", f">= {rounds}", how=reason)
        return
    wide = min(SIDE_BY_SIDE, rounds)
    began = time.monotonic()
    with ProcessPoolExecutor(wide, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_realm, range(1, wide + 1), [-(-rounds // wide)] * wide))
    met = sum((one.met for one in found), Counter())
    wrong = [one.wrong for one in found if one.wrong]
    faults = ", ".join(f"{count} {what}" for what, count in met.most_common())
    how = f"{faults}; {sum(one.jobs for one in found)} jobs; {time.monotonic() - began:.0f} s"
    yield Row(name, sum(one.rounds for one in found), "", f">= {rounds}", how=how)
    yield Row("of them against a law", len(wrong), "", "= 0", how="; ".join(wrong) or LAWS)


class Ordeal(NamedTuple):
    rounds: int
    jobs: int
    met: Counter[str]
    wrong: str


def _realm(number: int, rounds: int) -> Ordeal:
    """Each has a hub, an agent and a cable of its own."""
    wrong = ""
    with tempfile.TemporaryDirectory() as folder:
        realm = Realm(Path(folder), time.time_ns(), number)
        try:
            realm.open()
            for _ in range(rounds):
                realm.round()
            realm.check_log()
        except AssertionError as error:
            wrong = str(error).splitlines()[0]
        finally:
            realm.close()
    return Ordeal(realm.rounds, realm.jobs_done, realm.met, wrong)


if __name__ == "__main__":
    run("run: what it survives", rows)
