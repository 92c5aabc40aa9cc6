"""Follows a process and all that descend from it, and counts their CPU time without losing those that ended."""

from __future__ import annotations

import os
import resource
import time

from heliotrope.measure.machine.system import Process, System

LOOK_S = 1.0  # between looks for new children; what they did before is counted when they are seen
SCAN_SHARE = 0.0005  # of the time: what looking through all of /proc may cost
ROUNDING_S = 0.02  # a parent's account of its children is told in whole ticks, for user and for system time


class _Followed:
    """One process: what of its own time and of its account of waited children is counted already."""

    __slots__ = ("own_s", "reaped_s", "resident_bytes", "started_ticks")

    def __init__(self, process: Process) -> None:
        self.started_ticks = process.started_ticks
        self.own_s = process.own_s
        self.reaped_s = process.reaped_s
        self.resident_bytes = process.resident_bytes


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
        self.pids: frozenset[int] = frozenset()
        self._seen: dict[int, _Followed] = {}
        self._awaited_s = 0.0  # counted of processes that vanished, not yet seen in their parents' accounts
        self._reaper_s: float | None = None
        self._next_look = self._next_scan = 0.0
        first = system.process(root)
        self._rounding_s = ROUNDING_S if system.here else 0.0  # here, a process's own time is told to the nanosecond
        self.own_session = first is not None and first.session == root
        self.own_group = first is not None and first.group == root
        self._itself = self._alone = root == os.getpid() and system.here  # alone: follows nobody but this process
        if first is not None and self._itself:
            first = first._replace(reaped_s=_reaped_by_us())
        elif first is not None and first.parent == os.getpid() and system.here:
            # Our own child is followed from its birth: what it did before we looked is its work too.
            self._reaper_s = _reaped_by_us()
            first = first._replace(own_s=0.0, reaped_s=0.0)
        if first is not None:
            self.resident_bytes = first.resident_bytes
            self._follow(first)

    def _follow(self, process: Process) -> None:
        self._seen[process.pid] = _Followed(process)
        self._count()

    def _count(self) -> None:
        self.pids = frozenset(self._seen)
        self._alone = self._itself and len(self._seen) == 1

    def read(self, *, accounts: bool = False, look: bool = False) -> float:
        """CPU-seconds since the last read. `accounts`: what was waited for too; `look`: and new children.

        Else both are read when it is time again, or when somebody vanished.
        """
        now_s = time.monotonic()
        if look or now_s >= self._next_look:
            self._next_look = now_s + LOOK_S
            look = look or not (self._alone and _childless())
            if self._alone:
                self.resident_bytes = self.system.own_resident_bytes()
        elif self._alone and not accounts:  # nearly every beat of a program that measures itself
            grown_s = self._grown(self._seen[self.root], time.process_time())
            self.total_s += grown_s
            return grown_s
        # Where the accounts are read anyhow, they tell of the own time too, and whether a number has a new bearer.
        grown_s, vanished_s = (0.0, 0.0) if look or accounts else self._own()
        if look or accounts or vanished_s:
            more_s, ended_s, reaped_s = self._accounts()
            grown_s += more_s
            if look:
                grown_s += self._discover(now_s)
            grown_s += self._unseen(vanished_s + ended_s, reaped_s)
            if self._seen:  # else what was held last stands for the end of those that are gone
                self.resident_bytes = sum(one.resident_bytes for one in self._seen.values())
        self.total_s += grown_s
        return grown_s

    def _own(self) -> tuple[float, float]:
        """What those followed worked themselves, and all that is counted of those that are no more."""
        grown_s = vanished_s = 0.0
        for pid, one in list(self._seen.items()):
            own_s = self.system.cpu_s(pid)
            if own_s is None:
                vanished_s += self._forget(pid)
            else:
                grown_s += self._grown(one, own_s)
        return grown_s, vanished_s

    @staticmethod
    def _grown(one: _Followed, own_s: float) -> float:
        grown_s = own_s - one.own_s
        if grown_s <= 0.0:
            return 0.0
        one.own_s = own_s
        return grown_s

    def _forget(self, pid: int) -> float:
        gone = self._seen.pop(pid)
        self._count()
        return gone.own_s + gone.reaped_s

    def _accounts(self) -> tuple[float, float, float]:
        """Own time grown meanwhile, counted time of those vanished meanwhile, time newly collected for children."""
        grown_s = vanished_s = reaped_s = 0.0
        for pid, one in list(self._seen.items()):
            now = self._ourselves(one) if self._itself and pid == self.root else self.system.process(pid)
            if now is None or now.started_ticks != one.started_ticks:
                vanished_s += self._forget(pid)
                continue
            grown_s += self._grown(one, now.own_s)
            reaped_s += max(0.0, now.reaped_s - one.reaped_s)
            one.reaped_s = now.reaped_s
            one.resident_bytes = now.resident_bytes
        if self._reaper_s is not None:
            ours_s = _reaped_by_us()
            reaped_s += ours_s - self._reaper_s
            self._reaper_s = ours_s
        return grown_s, vanished_s, reaped_s

    def _ourselves(self, one: _Followed) -> Process:
        resident_bytes = self.system.own_resident_bytes()
        return Process(self.root, 0, 0, 0, time.process_time(), _reaped_by_us(), one.started_ticks, resident_bytes)

    def _unseen(self, vanished_s: float, reaped_s: float) -> float:
        """Of what parents collected, that which was not counted while it was followed."""
        known_s = min(self._awaited_s + vanished_s, reaped_s)
        of_old_s = min(self._awaited_s, known_s)
        # A parent may have been read just before it collected: its account shows that in the next read, or never.
        self._awaited_s = vanished_s - (known_s - of_old_s) + min(self._awaited_s - of_old_s, self._rounding_s)
        return reaped_s - known_s

    def _discover(self, now_s: float) -> float:
        """New descendants come with all the time they have used so far."""
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


def _childless() -> bool:
    """Whether this process has no child at all, alive or ended: then there is nobody to look for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _reaped_by_us() -> float:
    """CPU-seconds of the children that this process has waited for, to the microsecond."""
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime
