"""Control groups: no joules of their own, but whose work it was, also of processes that have ended."""

from __future__ import annotations

from heliotrope.measure.protocol import Probe
from heliotrope.measure.system import System


def group_of(system: System, pid: int | str = "self") -> str | None:
    """The folder of the v2 group that holds a process."""
    for line in (system.text(f"proc/{pid}/cgroup") or "").splitlines():
        if line.startswith("0::"):
            return f"sys/fs/cgroup{line[3:].rstrip('/')}"
    return None


def cpu_s(system: System, folder: str) -> float | None:
    """CPU-seconds of a group and all below it, since it was made."""
    for line in (system.text(f"{folder}/cpu.stat") or "").splitlines():
        if line.startswith("usage_usec"):
            return int(line.split()[1]) / 1e6
    return None


def quota_cpus(system: System, folder: str) -> float | None:
    """How many CPUs the group may use; None without a limit."""
    limit, _, period = (system.text(f"{folder}/cpu.max") or "max").strip().partition(" ")
    return None if limit == "max" or not period else int(limit) / int(period)


def probe(system: System) -> Probe:
    folder = group_of(system)
    if folder is None or cpu_s(system, folder) is None:
        hint = "mount cgroup2 at /sys/fs/cgroup (systemd does; in a container, its host must)"
        return Probe("cgroup", False, (), "no control group v2 with CPU accounting here", hint)
    quota = quota_cpus(system, folder)
    return Probe(
        "cgroup", True, ("cpu time",), f"limited to {quota:g} CPUs" if quota else "whose work it was, by group"
    )
