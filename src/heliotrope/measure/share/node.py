"""The whole node by user: process, control group, container, pod, Slurm job. All of them and idle are the node."""

from __future__ import annotations

import time
from typing import NamedTuple

from heliotrope.measure import registry
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import NOBODY, Draw, Usage
from heliotrope.measure.share import groups
from heliotrope.measure.share.attribution import IDLE, split

KINDS = ("process", *groups.KINDS)
UNSEEN = "(ended, or the kernel)"


class Share(NamedTuple):
    """Joules of one user over the last interval, and in all."""

    name: str
    last_j: float
    total_j: float


class Node:
    """`read` splits what the node used since the last read by CPU time (GPUs by their own users), for one `kind`.

    Where the kernel keeps account of control groups (v2), groups are shared by that account, which also knows of
    processes that came and went between two looks; else by the processes that are seen.
    """

    def __init__(self, kind: str = "process", *, meters: tuple[str, ...] = (), system: System | None = None) -> None:
        self.kind = kind
        self.system = system or System()
        self.meters = registry.open_all(self.system, meters)
        self.totals: dict[str, float] = {}
        self.node_j = self.last_j = 0.0
        self.flags: tuple[str, ...] = ()
        self._cpus = self.system.cpus()
        self._before: dict[int, tuple[int, float]] = {}
        self._groups_s = {} if kind == "process" else groups.all_cpu_s(self.system)
        self._names: dict[tuple[int, int], str] = {}
        self._busy_s = self.system.busy_s()
        self._last_s = time.monotonic()
        self._by_process()
        for meter in self.meters:
            meter.read(Usage(0.0, 0.0, 0.0, self._cpus))

    def read(self, elapsed_s: float | None = None) -> list[Share]:
        """Largest first; idle among them. The sum of `last_j` is what the meters said."""
        now_s = time.monotonic()
        elapsed_s = now_s - self._last_s if elapsed_s is None else elapsed_s
        self._last_s = now_s
        weights = self._by_process()
        if self._groups_s:
            weights = self._by_group()
        busy_s = self.system.busy_s()
        node_s, self._busy_s = max(0.0, busy_s - self._busy_s), busy_s
        seen_s = sum(weights.values())
        weights[UNSEEN] = max(0.0, node_s - seen_s)
        usage = Usage(elapsed_s, seen_s, max(node_s, seen_s), self._cpus, pids=frozenset(self._before))
        last: dict[str, float] = {}
        self.last_j = 0.0
        flags: dict[str, None] = {}
        for meter in self.meters:
            for draw in meter.read(usage):
                flags.update(dict.fromkeys(draw.flags))
                if draw.counted:
                    self.last_j += draw.energy_j
                    for name, part_j in self._parts(draw, usage, weights).items():
                        last[name] = last.get(name, 0.0) + part_j
        self.node_j += self.last_j
        for name, part_j in last.items():
            self.totals[name] = self.totals.get(name, 0.0) + part_j
        self.flags = tuple(flags)
        shares = [Share(name, last.get(name, 0.0), total_j) for name, total_j in self.totals.items()]
        return sorted(shares, key=lambda share: (-share.last_j, share.name))

    def _parts(self, draw: Draw, usage: Usage, weights: dict[str, float]) -> dict[str, float]:
        if draw.users is None:
            idle_s = max(0.0, usage.elapsed_s - usage.busy_s / usage.cpus)
            return split(draw.energy_j, 0.0 if draw.mine else draw.idle_w * idle_s, weights)
        whole = sum(draw.users.values())
        users: dict[str, float] = {}
        for pid, weight in draw.users.items():
            if pid != NOBODY:
                users[self._name(pid)] = users.get(self._name(pid), 0.0) + weight
        idle_j = draw.energy_j * draw.users.get(NOBODY, 0.0) / whole if whole > 0 else 0.0
        return split(draw.energy_j, idle_j, users)

    def _by_process(self) -> dict[str, float]:
        """CPU-seconds since the last look, by name; a new process brings all of its own."""
        used: dict[str, float] = {}
        now: dict[int, tuple[int, float]] = {}
        grown: dict[int, float] = {}
        for pid in self.system.pids():
            process = self.system.process(pid)
            if process is None:
                continue
            now[pid] = (process.started_ticks, process.own_s)
            started, before_s = self._before.get(pid, (process.started_ticks, 0.0))
            grown[pid] = max(0.0, process.own_s - (before_s if started == process.started_ticks else 0.0))
        self._before = now
        for pid, grown_s in grown.items():
            name = self._name(pid)
            used[name] = used.get(name, 0.0) + grown_s
        return used

    def _by_group(self) -> dict[str, float]:
        before, self._groups_s = self._groups_s, groups.all_cpu_s(self.system)
        used: dict[str, float] = {}
        for path, used_s in self._groups_s.items():
            name = groups.owner(path, self.kind)
            used[name] = used.get(name, 0.0) + max(0.0, used_s - before.get(path, 0.0))
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
        return groups.owner(groups.path_of(self.system, pid), self.kind)

    def close(self) -> None:
        for meter in self.meters:
            meter.close()


__all__ = ["IDLE", "KINDS", "Node", "Share"]
