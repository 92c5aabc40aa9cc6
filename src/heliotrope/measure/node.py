"""The whole node by user: processes, control groups, pods, Slurm jobs. All of them and idle are the node."""

from __future__ import annotations

import re
import time

import msgspec

from heliotrope.measure import registry
from heliotrope.measure.attribution import IDLE, split
from heliotrope.measure.groups import group_of
from heliotrope.measure.protocol import Usage
from heliotrope.measure.system import System

POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
SLURM = re.compile(r"slurm.*?/job_(\d+)")
KINDS = ("process", "cgroup", "pod", "slurm")


class Share(msgspec.Struct, frozen=True):
    """Joules of one user over the last interval, and in all."""

    name: str
    last_j: float
    total_j: float


class Node:
    """`read` splits what the node used since the last read by CPU time (GPUs by their own users), for one `kind`."""

    def __init__(self, kind: str = "process", *, meters: tuple[str, ...] = (), system: System | None = None) -> None:
        self.kind = kind
        self.system = system or System()
        self.meters = registry.open_all(self.system, meters)
        self.totals: dict[str, float] = {}
        self.node_j = 0.0
        self.flags: tuple[str, ...] = ()
        self._cpus = self.system.cpus()
        self._before: dict[int, tuple[int, float]] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._busy_s = self.system.busy_s()
        self._last_s = time.monotonic()
        self._used()
        for meter in self.meters:
            meter.read(Usage(0.0, 0.0, 0.0, self._cpus))

    def read(self, elapsed_s: float | None = None) -> list[Share]:
        """Largest first; idle among them. The sum of `last_j` is what the meters said."""
        now_s = time.monotonic()
        elapsed_s = now_s - self._last_s if elapsed_s is None else elapsed_s
        self._last_s = now_s
        by_pid = self._used()
        busy_s = self.system.busy_s()
        node_s, self._busy_s = max(0.0, busy_s - self._busy_s), busy_s
        seen_s = sum(by_pid.values())
        weights: dict[str, float] = {}
        for pid, used_s in by_pid.items():
            weights[self._name(pid)] = weights.get(self._name(pid), 0.0) + used_s
        # Those who came and went between two looks, and the kernel's own work.
        weights["(ended, or the kernel)"] = max(0.0, node_s - seen_s)
        usage = Usage(elapsed_s, seen_s, max(node_s, seen_s), self._cpus, pids=frozenset(by_pid))
        last: dict[str, float] = {}
        flags: dict[str, None] = {}
        for meter in self.meters:
            for draw in meter.read(usage):
                flags.update(dict.fromkeys(draw.flags))
                if not draw.counted:
                    continue
                who = weights
                idle_j = 0.0
                if draw.users is not None:
                    who = {}
                    for pid, weight in draw.users.items():
                        who[self._name(pid)] = who.get(self._name(pid), 0.0) + weight
                elif not draw.mine and usage.capacity_s:
                    idle_j = draw.idle_w * elapsed_s * max(0.0, 1 - usage.busy_s / usage.capacity_s)
                self.node_j += draw.energy_j
                for name, part_j in split(draw.energy_j, idle_j, who).items():
                    last[name] = last.get(name, 0.0) + part_j
        for name, part_j in last.items():
            self.totals[name] = self.totals.get(name, 0.0) + part_j
        self.flags = tuple(flags)
        shares = [Share(name, last.get(name, 0.0), total_j) for name, total_j in self.totals.items()]
        return sorted(shares, key=lambda share: (-share.last_j, share.name))

    def _used(self) -> dict[int, float]:
        """CPU-seconds of every process since the last look; a new one brings all of its own."""
        used: dict[int, float] = {}
        now: dict[int, tuple[int, float]] = {}
        for pid in self.system.pids():
            process = self.system.process(pid)
            if process is None:
                continue
            now[pid] = (process.started_ticks, process.own_s)
            started, before_s = self._before.get(pid, (process.started_ticks, 0.0))
            used[pid] = max(0.0, process.own_s - (before_s if started == process.started_ticks else 0.0))
        self._before = now
        return used

    def _name(self, pid: int) -> str:
        key = (pid, self._before.get(pid, (0, 0.0))[0])
        if key not in self._names:
            self._names[key] = self._look_up(pid)
        return self._names[key]

    def _look_up(self, pid: int) -> str:
        if self.kind == "process":
            command = (self.system.text(f"proc/{pid}/comm") or "?").strip()
            return f"{command} ({pid})"
        group = (group_of(self.system, pid) or "").removeprefix("sys/fs/cgroup") or "/"
        if self.kind == "cgroup":
            return group
        found = (POD if self.kind == "pod" else SLURM).search(group)
        return found[1].replace("_", "-") if found else f"(no {self.kind})"

    def close(self) -> None:
        for meter in self.meters:
            meter.close()


__all__ = ["IDLE", "KINDS", "Node", "Share"]
