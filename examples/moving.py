"""A day on a fast clock: live trainings move between north and south as the grids change, and end bit for bit the same.

    python examples/moving.py [--jobs 3] [--faster 3600]

North has wind by night, south has sun by day; both series are made up here and both sites are this machine, as every
record says. Each training stops with its state saved, the state is carried and checked, and it goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from heliotrope.checkpoint import Shelf
from heliotrope.config import GridSettings, MeasureSettings, Settings
from heliotrope.fleet import Fleet
from heliotrope.model import Flexibility, Length, Link, PauseBy, Resources, RunState, Site, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.views import run_view
from heliotrope.run.working.moving import note_of, state_folder
from heliotrope.store import runs
from heliotrope.units import from_epoch, hour_floor, show_bytes, show_carbon

JOB = Path(__file__).resolve().with_name("moving_job.py")
STEP_S = 0.02  # of the wall
STATE_BYTES = 48_000


def grid(path: Path, start_s: int) -> None:
    """Five days of hourly g/kWh from the first hour on: north clean in hours 0 to 5 and 14 to 19, south between."""
    lines = ["time,SE,ES"]
    for hour in range(121):
        swing = math.cos(2 * math.pi * (hour - 2.5) / 12)
        lines.append(
            f"{from_epoch(start_s + hour * 3600):%Y-%m-%dT%H:%MZ},{250 - 200 * swing:.0f},{250 + 200 * swing:.0f}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def work(number: int, faster: float) -> tuple[Workload, list[str]]:
    """Of seven hours and more on the fast clock: too long for one clean spell."""
    hours = 7 + 2 * number
    words = [str(round(hours * 3600 / faster / STEP_S)), str(number)]
    now_s = time.time()
    flexible = Flexibility(
        pausable=True, pause_by=PauseBy.CHECKPOINT, pause_cost_s=900, movable=True, move_bytes=STATE_BYTES
    )
    return Workload(
        id=f"job{number}",
        kind=WorkloadKind.TRAIN,
        command=(sys.executable, str(JOB), *words, str(STEP_S)),
        submitted_at=from_epoch(now_s),
        deadline=from_epoch(now_s + 24 * 3600),
        length=Length.known(hours * 3600),
        resources=Resources(power_w=200.0),
        working_directory=str(Path.cwd()),
        environment=dict(os.environ) | {"OMP_NUM_THREADS": "1"},
        flexibility=flexible,
    ), words


def unmoved(home: Path, words: list[str]) -> str:
    """The digest of the very same training, begun and ended at one place."""
    folder = home / "unmoved"
    environment = os.environ | {"HELIO_CHECKPOINT": str(folder / words[-1]), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(JOB), *words, "0"], env=environment, check=True)
    return Shelf(folder / words[-1]).digest()


def day(home: Path, jobs: int, faster: float) -> list[dict[str, object]]:
    grid(home / "grid.csv", hour_floor(time.time()))
    link = Link("south", 35.0, bandwidth_bps=1e9)
    sites = (
        Site("north", "SE", country="SE", jurisdiction="EU", capacity=jobs, links=(link,), emulated=True),
        Site("south", "ES", country="ES", jurisdiction="EU", capacity=jobs, emulated=True),
    )
    settings = Settings(
        home=str(home),
        grid=GridSettings(providers=("file",), files=(str(home / "grid.csv"),)),
        measure=MeasureSettings(interval_s=0.2),
    )
    controller = Controller(settings, Fleet(sites, home="south"))
    controller.lead()
    given = {}
    try:
        for number in range(jobs):
            one, words = work(number, faster)
            controller.submit(one, factor=faster)
            given[one.id] = words
        while any(not run_view(controller.store, name).run.state.ended for name in given):
            time.sleep(min(controller.step(), 0.05))
        return [told(controller, home, name, words) for name, words in given.items()]
    finally:
        controller.close()


def told(controller: Controller, home: Path, name: str, words: list[str]) -> dict[str, object]:
    """What became of one job, over all its attempts."""
    view = run_view(controller.store, name)
    with controller.store.read() as tx:
        accounts = [runs.account(tx, one.id) for one in view.attempts]
    ways = [way for one in view.attempts if (way := note_of(home / "runs" / one.id))]
    last = view.attempts[-1]
    return {
        "job": name,
        "stays": [(one.site, one.started_at, one.ended_at) for one in view.attempts],
        "moves": sum(one.state is RunState.MOVED for one in view.attempts),
        "carried_bytes": sum(way.sent_bytes for way in ways),
        "carbon_g": sum(account.footprint.carbon_operational_g.value for account in accounts),
        "run_now_g": sum(account.run_now_operational_g.value for account in accounts),
        "receipts": sum(bool(one.receipt) for one in view.attempts),
        "bit_equal": Shelf(state_folder(home, last.site, name)).digest() == unmoved(home, words),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--faster", type=float, default=3600.0, help="how many times as fast as the wall")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="helio-moving-") as folder:
        rows = day(Path(folder), asked.jobs, asked.faster)
    if asked.json:
        print(msgspec.json.encode(rows).decode())
        return
    table = Table(title=f"A day at {asked.faster:g} times the wall's speed", title_justify="left")
    for column in ("job", "where it ran (UTC, fast clock)", "moves", "carried", "carbon", "run now", "bit-equal"):
        table.add_column(column)
    for row in rows:
        stays = "\n".join(f"{site} {start:%H:%M}–{end:%H:%M}" for site, start, end in row["stays"] if start)
        table.add_row(
            row["job"], stays, str(row["moves"]), show_bytes(row["carried_bytes"]), show_carbon(row["carbon_g"]),
            show_carbon(row["run_now_g"]), "yes" if row["bit_equal"] else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main()
