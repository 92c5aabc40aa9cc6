"""Follows a process and all that descend from it, and counts their CPU time without losing those that ended."""

from __future__ import annotations

import os
import time

import msgspec

from heliotrope.measure.system import Process, System

LOOK_S = 0.5  # between looks for new children; what they did before is counted when they are seen
SCAN_SHARE = 0.0005  # of the time: what looking through all of /proc may cost


class Tree:
    """CPU-seconds of a root and its descendants, ever growing.

    A descendant stays followed when its parent dies. One that ended before it was seen is counted by the time its
    parent collected for it. Where this process is the root's parent, that time is its own account of waited children.
    """

    def __init__(self, system: System, root: int) -> None:
        self.system = system
        self.root = root
        self.total_s = 0.0
        self.resident_bytes = 0
        self._seen: dict[int, Process] = {}
        self._awaited_s = 0.0  # counted of processes that vanished, not yet seen in their parents' accounts
        self._reaper_s: float | None = None
        self._next_look = self._next_scan = 0.0
        first = system.process(root)
        self.own_session = first is not None and first.session == root
        self.own_group = first is not None and first.group == root
        self._itself = root == os.getpid() and system.root == ""
        if first is not None and first.parent == os.getpid() and system.root == "":
            # Our own child is followed from its birth: what it did before we looked is its work too.
            self._reaper_s = self._reaped_by_us()
            first = msgspec.structs.replace(first, own_s=0.0, reaped_s=0.0)
        if first is not None:
            self._follow(first)

    @property
    def pids(self) -> frozenset[int]:
        return frozenset(self._seen)

    @staticmethod
    def _reaped_by_us() -> float:
        times = os.times()
        return times.children_user + times.children_system

    def _follow(self, process: Process) -> None:
        self._seen[process.pid] = process

    def read(self, *, look: bool = False) -> float:
        """CPU-seconds since the last read. `look`: for new children now, not when it is time again."""
        if look:
            self._next_look = 0.0
        grown = reaped = vanished = 0.0
        for pid, before in list(self._seen.items()):
            now = self._ourselves(before) if self._itself and pid == self.root else self.system.process(pid)
            if now is None or now.started_ticks != before.started_ticks:
                vanished += before.own_s + before.reaped_s
                del self._seen[pid]
                continue
            grown += max(0.0, now.own_s - before.own_s)
            reaped += max(0.0, now.reaped_s - before.reaped_s)
            self._seen[pid] = now
        if self._reaper_s is not None:
            ours = self._reaped_by_us()
            reaped += ours - self._reaper_s
            self._reaper_s = ours
        grown += self._discover()
        known = min(self._awaited_s + vanished, reaped)
        # A parent may have been read just before it collected: its account shows that in the next read, or never.
        self._awaited_s = vanished - max(0.0, known - self._awaited_s)
        grown += reaped - known
        self.total_s += grown
        self.resident_bytes = sum(process.resident_bytes for process in self._seen.values())
        return grown

    @staticmethod
    def _ourselves(before: Process) -> Process:
        """One call tells our own time and that of children we waited for."""
        times = os.times()
        return Process(
            before.pid,
            before.parent,
            before.group,
            before.session,
            times.user + times.system,
            times.children_user + times.children_system,
            before.started_ticks,
            before.resident_bytes,
        )

    def _discover(self) -> float:
        """New descendants come with all the time they have used so far."""
        now_s = time.monotonic()
        if now_s < self._next_look:
            return 0.0
        self._next_look = now_s + LOOK_S
        if self._itself and (ourselves := self.system.process(self.root)) is not None:
            self._seen[self.root] = msgspec.structs.replace(
                self._seen[self.root], resident_bytes=ourselves.resident_bytes
            )
        found_s = 0.0
        parents = list(self._seen)
        if self._reaper_s is not None:
            parents.append(os.getpid())
        while parents:
            for pid in self.system.children(parents.pop()):
                if pid not in self._seen and pid != os.getpid() and (process := self.system.process(pid)):
                    found_s += process.own_s + process.reaped_s
                    self._follow(process)
                    parents.append(pid)
        if now_s >= self._next_scan:
            began = time.thread_time()
            found_s += self._scan()
            self._next_scan = now_s + (time.thread_time() - began) / SCAN_SHARE
        return found_s

    def _scan(self) -> float:
        """Those that lost their parent before they were seen are known by their session or group."""
        if not (self.own_session or self.own_group) or self._itself:
            return 0.0
        root = self.system.process(self.root)
        if root is not None and self.root not in self._seen:
            # The number was given to another process: nobody of ours bears it as a session or group any more.
            self.own_session = self.own_group = False
            return 0.0
        found_s = 0.0
        for pid in self.system.pids():
            if pid in self._seen or pid == os.getpid():
                continue
            process = self.system.process(pid)
            if process is None:
                continue
            if (self.own_session and process.session == self.root) or (self.own_group and process.group == self.root):
                found_s += process.own_s + process.reaped_s
                self._follow(process)
        return found_s
