"""The machine as files: /proc and /sys under a root that tests can put anywhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

_SCHEDULED = 2  # CPUCLOCK_SCHED of clock_getcpuclockid(3): time on a CPU, all threads, in nanoseconds


class Process(NamedTuple):
    """One line of /proc/PID/stat: CPU-seconds of its own and of the children it has waited for."""

    pid: int
    parent: int
    group: int
    session: int
    own_s: float
    reaped_s: float
    started_ticks: int
    resident_bytes: int


class System:
    """Reads; never writes. A file that is not there is None, one that may not be read raises PermissionError."""

    def __init__(self, root: str | os.PathLike[str] = "/") -> None:
        self.root = os.fspath(root).rstrip("/")
        self.here = not self.root and sys.platform == "linux"  # this machine: its kernel can be asked without files
        self._kept: dict[str, int] = {}  # files that are read at every sample, kept open

    def __del__(self) -> None:
        for fd in self._kept.values():
            os.close(fd)

    def again(self, name: str, size: int) -> bytes:
        """The first `size` bytes of a file that will be read again and again, and that does not go away."""
        fd = self._kept.get(name)
        if fd is None:
            fd = self._kept[name] = os.open(f"{self.root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(fd, size, 0)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def data(self, name: str) -> bytes | None:
        try:
            fd = os.open(f"{self.root}/{name}", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return None
        try:
            chunks = []
            while chunk := os.read(fd, 65536):
                chunks.append(chunk)
            return b"".join(chunks)
        except ProcessLookupError:
            return None
        finally:
            os.close(fd)

    def text(self, name: str) -> str | None:
        data = self.data(name)
        return None if data is None else data.decode("utf-8", "replace")

    def number(self, name: str) -> int | None:
        """The integer in a file; None where there is no such file or no such integer."""
        text = self.text(name)
        try:
            return None if text is None else int(text.strip())
        except ValueError:
            return None

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                return sorted(entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            return []

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder; links are not followed."""
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []

    def cpus(self) -> int:
        """Logical CPUs that are online."""
        text = self.text("proc/stat") or ""
        return sum(1 for line in text.splitlines() if line[:3] == "cpu" and line[3:4].isdigit()) or os.cpu_count() or 1

    def busy_s(self) -> float:
        """CPU-seconds that the node has worked since it booted; waiting for disks and stolen time are not work."""
        _, user, nice, system, _idle, _wait, irq, softirq, _ = self.again("proc/stat", 128).split(None, 8)
        return (int(user) + int(nice) + int(system) + int(irq) + int(softirq)) / TICKS_PER_S

    def memory_bytes(self) -> int:
        for line in (self.text("proc/meminfo") or "").splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_s(self, pid: int) -> float | None:
        """CPU-seconds of its own that a process has used; None where there is none. On Linux to the nanosecond."""
        if not self.here:
            process = self.process(pid)
            return None if process is None else process.own_s
        try:
            return time.clock_gettime(~pid << 3 | _SCHEDULED)
        except OSError:
            return None

    def process(self, pid: int) -> Process | None:
        text = self.text(f"proc/{pid}/stat")
        if not text:
            return None
        # The name in brackets may hold spaces and brackets: the fields begin after the last one.
        field = text[text.rindex(")") + 2 :].split()
        own_s = self.cpu_s(pid) if self.here else None
        return Process(
            pid,
            int(field[1]),
            int(field[2]),
            int(field[3]),
            (int(field[11]) + int(field[12])) / TICKS_PER_S if own_s is None else own_s,
            (int(field[13]) + int(field[14])) / TICKS_PER_S,
            int(field[19]),
            int(field[21]) * PAGE_BYTES,
        )

    def own_resident_bytes(self) -> int:
        """Of memory that this very process holds."""
        return int(self.again("proc/self/statm", 128).split(None, 2)[1]) * PAGE_BYTES

    def pids(self) -> Iterator[int]:
        return (int(name) for name in self.names("proc") if name.isdigit())

    def children(self, pid: int) -> set[int]:
        """Live children, by every thread of it; empty where the kernel does not say."""
        found: set[int] = set()
        for task in self.names(f"proc/{pid}/task"):
            found.update(int(child) for child in (self.text(f"proc/{pid}/task/{task}/children") or "").split())
        return found

    def hypervisor(self) -> bool:
        """Whether this is a guest: its CPUs are shares of sockets that it cannot see."""
        return " hypervisor" in (self.text("proc/cpuinfo") or "")
