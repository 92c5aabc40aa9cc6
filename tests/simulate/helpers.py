"""Small worlds for the tests, and a stranger who recomputes everything from the files alone."""

from __future__ import annotations

import csv
import itertools
import json
import math
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from heliotrope.plan.kernels.shapes import Batch

SHARED = Path(__file__).parents[2] / "../shared/data"


def grid_csv(path: Path, columns: dict[str, list[float]], start: str = "2024-03-01T00:00:00Z") -> Path:
    first = datetime.fromisoformat(start).timestamp()
    hours = len(next(iter(columns.values())))
    with path.open("w") as out:
        out.write("time," + ",".join(columns) + "\n")
        for h in range(hours):
            stamp = _iso(first + 3600 * h)
            out.write(stamp + "," + ",".join(repr(v[h]) for v in columns.values()) + "\n")
    return path


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wave(hours: int, *, mean: float = 300.0, swing: float = 200.0, period: float = 24.0, shift: float = 0.0):
    """A smooth day, rounded so that text keeps it exactly."""
    return [round(mean + swing * math.sin(2 * math.pi * (h + shift) / period), 2) for h in range(hours)]


def helio(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", "simulate", *map(str, args)], capture_output=True, text=True, check=False
    )


def simulated(*args: object) -> dict:
    done = helio(*args, "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    return json.loads(done.stdout)


class Stranger:
    """Knows the jobs file, the grid file and the slots file, and nothing of our code."""

    def __init__(self, jobs: Path, grid: Path, slots: Path, *, start_hour: float = 0.0, unit_s: float = 1.0) -> None:
        with grid.open() as f:
            rows = list(csv.DictReader(f))
        self.grid = {z: [float(r[z]) for r in rows] for z in rows[0] if z != "time"}
        with jobs.open() as f:
            self.jobs = list(csv.DictReader(f))
        self.slots = defaultdict(list)
        with slots.open() as f:
            for row in csv.DictReader(f):
                start, end = ((float(row[k]) * unit_s) / 3600 + start_hour for k in ("start", "end"))
                self.slots[row["job"]].append((start, end, row["zone"], float(row["width"]), float(row["power_w"])))
        self.start_hour, self.unit_s = start_hour, unit_s

    def hours(self, zone: str, start: float, end: float) -> float:
        """Intensity times hours, g/kWh·h."""
        total, h = 0.0, int(start)
        while h < end:
            total += self.grid[zone][h] * (min(end, h + 1) - max(start, h)) if h < len(self.grid[zone]) else 0.0
            h += 1
        return total

    def grams(self) -> float:
        return sum(
            power / 1000 * self.hours(zone, start, end)
            for slots in self.slots.values()
            for start, end, zone, _, power in slots
        )

    def check(self, *, slack_h: float, capacity: dict[str, float] | None = None, keep_deadlines: bool = True) -> None:
        for i, job in enumerate(self.jobs):
            slots = sorted(self.slots[job.get("id", str(i))])
            submitted = float(job.get("submitted", job.get("arrival_time"))) * self.unit_s / 3600 + self.start_hour
            length = float(job.get("length_s", job.get("length"))) * self.unit_s / 3600
            assert abs(sum(e - s for s, e, *_ in slots) - length) < 1e-6
            assert slots[0][0] >= submitted - 1e-9
            for (_, end, *_), (start, *_) in itertools.pairwise(slots):
                assert start >= end - 1e-9
            deadline = submitted + length + slack_h
            if job.get("deadline"):
                deadline = float(job["deadline"]) * self.unit_s / 3600 + self.start_hour
            if keep_deadlines:
                assert slots[-1][1] <= deadline + 1e-6
            if job.get("pausable") == "0":
                assert len(slots) == 1
            if job.get("movable") != "1":
                assert len({zone for _, _, zone, *_ in slots}) == 1
            if job.get("zones", "any") not in {"", "any"}:
                assert {zone for _, _, zone, *_ in slots} <= set(job["zones"].split("|"))
        for zone, limit in (capacity or {}).items():
            events = sorted(
                (t, sign * w)
                for slots in self.slots.values()
                for s, e, z, w, _ in slots
                if z == zone
                for t, sign in ((round(s * 3600, 4), 1), (round(e * 3600, 4), -1))
            )
            held = 0.0
            for _, change in events:
                held += change
                assert held <= limit + 1e-9


def batch(submitted, length, slack, *, pausable=1, movable=0, zones=(0,), power=1.0):
    one = lambda x, t=np.float64: np.array([x], dtype=t)  # noqa: E731
    return Batch(
        0,
        one(submitted),
        one(length),
        one(1.0),
        one(power),
        one(slack),
        one(pausable, np.int8),
        one(movable, np.int8),
        one(0, np.int32),
        np.array(zones, dtype=np.int32),
        np.array([0, len(zones)], dtype=np.int32),
        flexible=True,
    )
