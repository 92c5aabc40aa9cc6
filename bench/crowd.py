"""Very many jobs and sites for one controller: what a look, a submission and a heartbeat cost it, each over the real way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
from nacl.signing import SigningKey

from heliotrope import fleet as fleets
from heliotrope.config import AgentSettings, Settings
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import Length, RunState, Slot, Workload, WorkloadKind
from heliotrope.run import Controller, leader
from heliotrope.run import controller as whole
from heliotrope.run.agents import wire
from heliotrope.run.agents.house.office import Office
from heliotrope.run.clock import Clock
from heliotrope.run.desk import attempt_of
from heliotrope.run.engines import Task
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Exit
from heliotrope.store import Store, agents, reports, runs
from heliotrope.store.reports import Ending
from heliotrope.units import from_epoch
from table import Row

CAPACITY = 8
LINKS = 64
ROOT = Path(__file__).parents[1]
PATH = {"PATH": os.environ["PATH"]}


def rows(folder: Path, *, jobs: int, sites: int, syncs: int, submits: int) -> Iterator[Row]:
    home = folder / "crowd"
    house = Settings(home=str(home), fleet=str(folder / "crowd.toml"))
    _write_fleet(Path(house.fleet), sites)
    fleet = fleets.load(house.fleet)
    keys = _fill(house, fleet, jobs)
    many = f"{jobs:,} queued, {sites:,} sites"
    said = json.loads(
        subprocess.run(
            [sys.executable, __file__, str(home), house.fleet, str(submits)], check=True, capture_output=True, text=True
        ).stdout
    )
    held = said["held"]
    yield Row("the first look after a hand-over", said["first_s"], "s", "", how=f"CPU; {many}, {held:,} of them run")
    yield Row(
        "a planning cycle", said["cycle_s"], "s", "<= 10",
        how=f"CPU, slowest of 3; {many}: a hundred ended, turns of all, a look at each that runs",
    )  # fmt: skip
    yield Row(
        "a look when nothing changed", said["idle_s"], "s", "", how=f"CPU; each of {held:,} that run is asked for"
    )
    yield Row("submit among them, median", said["median_ms"], "ms", "<= 20", how=f"CPU, {submits} jobs; {many}")
    yield Row("submit among them, 99th percentile", said["p99_ms"], "ms", "<= 20", how="the same")
    yield Row("controller's memory", said["peak_mb"], "MB", "<= 600", how=f"at its largest; {many}")
    rate, of_one = _heartbeats(house, keys, syncs)
    yield Row(
        "heartbeats over HTTP", of_one, "/s", ">= 2000",
        how=f"a CPU-second of `helio up` while another leads, {syncs:,} signed syncs of {sites:,} agents, {CAPACITY} jobs each",
    )  # fmt: skip
    yield Row("heartbeats over HTTP, by the wall", rate, "/s", "", how="the agents beside it, on the same cores")


def _write_fleet(path: Path, sites: int) -> None:
    zones = [zone.name for zone in Grid(Settings().grid, path.parent / "none").zones()]
    dice = random.Random(2)
    path.write_text(
        'home = "s0"\n'
        + "".join(
            f'[[site]]\nname = "s{i}"\nzone = "{zones[i % len(zones)]}"\nengine = "agent"\ncapacity = {CAPACITY}\n'
            f'cooling = {{ pue = {dice.uniform(1.05, 1.8):.3f}, source = "drawn" }}\n'
            for i in range(sites)
        ),
        encoding="utf-8",
    )


def _job(name: str, now_s: float, organisation: str = "me") -> Workload:
    return Workload(
        id=name,
        kind=WorkloadKind.BATCH,
        command=("true",),
        submitted_at=from_epoch(now_s),
        deadline=from_epoch(now_s + 90 * 3600),
        length=Length.known(3600),
        organisation=organisation,
        environment=PATH,
    )


def _fill(house: Settings, fleet: Fleet, jobs: int) -> dict[str, bytes]:
    """Every site full, half of the rest waiting for room and half for their hour; each site has its agent."""
    desk = Controller(house, fleet)
    dice, now_s, wall = random.Random(1), time.time(), Clock()
    pattern, _ = desk.plan(_job("pattern", now_s), now_s, fleet)
    folder = desk.home / "runs"
    with desk.store.write() as tx:
        runs.add_workload(tx, _job("pattern", now_s), 1.0, 0.0, fleet.home, fleet.sites)
    full = CAPACITY * len(fleet.sites)
    for first in range(0, jobs, 5000):
        with desk.store.write() as tx:
            kept = tx.one("SELECT sites FROM submission WHERE workload = 'pattern'")[0]
            for i in range(first, min(jobs, first + 5000)):
                work = _job(f"w{i:06d}", now_s, f"o{i % 25}")
                later = i >= full and i % 2
                start_s = now_s + (dice.uniform(3600, 80 * 3600) if later else 0)
                slot = Slot(fleet.sites[i % len(fleet.sites)].name, from_epoch(start_s), from_epoch(start_s + 3600))
                plan = msgspec.structs.replace(pattern, workload=work.id, slots=(slot,))
                tx.execute(
                    "INSERT INTO workload (id, organisation, submitted_s, command, body) VALUES (?, ?, ?, '', ?)",
                    (work.id, work.organisation, now_s, msgspec.json.encode(work).decode()),
                )
                tx.execute(
                    "INSERT INTO submission (workload, factor, origin_s, home, sites) VALUES (?, 1, 0, ?, ?)",
                    (work.id, fleet.home, kept),
                )
                run = attempt_of(work, plan, fleet, 1, wall)
                if i < full:
                    handle = folder / run.id / "0"
                    run = msgspec.structs.replace(run, state=RunState.RUNNING, handle=str(handle))
                    task = Task(
                        str(handle), work.command, "/", PATH, "", 1.0, organisation=work.organisation, site=run.site
                    )
                    name = f"{run.id}/0"
                    agents.add_errand(tx, name, run.site, msgspec.json.encode(task).decode(), wire.Wish.RUN)
                    agents.sent(tx, [name], now_s)
                    agents.report(tx, name, Seen.ALIVE, "", now_s, there=True, over=False)
                runs.add_plan(tx, plan)
                runs.put_run(tx, run)
    office = Office(desk.store, fleet, AgentSettings())
    keys = {}
    for site in fleet.sites:
        key = SigningKey.generate()
        token = office.token(site.name, valid_s=600, now_s=time.time())
        office.join(msgspec.json.encode(wire.Join(token, b64encode(bytes(key.verify_key)).decode())), time.time())
        keys[site.name] = bytes(key)
    desk.close()
    return keys


def _measure(home: str, fleet_file: str, submits: int) -> dict[str, float]:
    """In a process of its own, for its memory to be its own."""
    # A look breaks off after some seconds of the wall and goes on in the next: here one is at all, however busy the machine.
    whole.LOOK_BUDGET_S = float("inf")
    controller = Controller(Settings(home=home, fleet=fleet_file))
    assert controller.lead()

    def cpu_s(act) -> float:
        began = time.process_time()
        act()
        return time.process_time() - began

    first_s = cpu_s(controller.step)
    idle_s = cpu_s(controller.step)
    held = [card for card in controller.board.cards() if card.holds]
    cycles = []
    for turn in range(3):
        for card in held[turn * 100 : turn * 100 + 100]:
            with controller.store.write() as tx:
                agents.report(tx, f"{card.run}/0", Seen.EXITED, "", time.time(), there=True, over=True)
                reports.end(tx, f"{card.run}/0", Ending(msgspec.json.encode(Exit(0, time.time())).decode()))
        cycles.append(cpu_s(controller.step))
    spent = [cpu_s(lambda i=i: controller.submit(_job(f"new{i}", time.time()))) * 1e3 for i in range(submits + 3)][3:]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert not controller.troubles, next(iter(controller.troubles.values()))
    controller.close()
    return {
        "first_s": first_s, "idle_s": idle_s, "cycle_s": max(cycles), "held": len(held),
        "median_ms": statistics.median(spent), "p99_ms": statistics.quantiles(spent, n=100)[98], "peak_mb": peak_mb,
    }  # fmt: skip


def _heartbeats(house: Settings, keys: dict[str, bytes], syncs: int) -> tuple[float, float]:
    """Syncs a second of the wall, and of the server's CPU. It stands by: this process holds the name of who leads."""
    claim = Store.of(house).claim(leader.NAME)
    assert claim.hold()
    words = ("up", "--json", "--home", house.home, "--fleet", house.fleet, "--port", "0")
    helio = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        url = json.loads(helio.stdout.readline())["url"].rstrip("/") + wire.SYNC
        rounds = []
        for number in range(1, 2 + syncs // len(keys)):
            said = [(key, msgspec.json.encode(wire.Sync(site, number, time.time()))) for site, key in keys.items()]
            rounds.append([(body, wire.signed(key, body)) for key, body in said])
        return asyncio.run(_told(url, helio.pid, rounds))
    finally:
        helio.kill()
        helio.wait()
        claim.release()


async def _told(url: str, pid: int, rounds: list[list[tuple[bytes, str]]]) -> tuple[float, float]:
    """In rounds of all sites, each over one of the links: no site's numbers overtake one another. The first is not counted."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=LINKS)) as session:

        async def tell(some) -> None:
            for body, signature in some:
                async with session.post(url, data=body, headers={wire.SIGNATURE: signature}) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

        async def all_of(some) -> None:
            await asyncio.gather(*(tell(some[link::LINKS]) for link in range(LINKS)))

        await all_of(rounds[0])
        began, cpu = time.perf_counter(), _cpu_s(pid)
        for some in rounds[1:]:
            await all_of(some)
        count = sum(map(len, rounds[1:]))
        spent_s = time.perf_counter() - began
        return count / spent_s, count / (_cpu_s(pid) - cpu)


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
