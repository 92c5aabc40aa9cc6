"""Control groups: no joules of their own, but whose work it was, also of processes that have ended."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Probe

ROOT = "sys/fs/cgroup"
KINDS = ("cgroup", "container", "pod", "slurm")
# As kubelet (either driver), containerd, CRI-O, Docker, Podman and Slurm (v1 and v2) name their groups.
_PATTERNS = {
    "pod": re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})\b"),
    "container": re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)"),
    "slurm": re.compile(r"slurm.*?/job_(\d+)"),
}


def group_of(system: System, pid: int | str = "self") -> str | None:
    """The folder of the v2 group that holds a process."""
    for line in (system.text(f"proc/{pid}/cgroup") or "").splitlines():
        if line.startswith("0::"):
            return f"{ROOT}{line[3:].rstrip('/')}"
    return None


def path_of(system: System, pid: int) -> str:
    """The group of a process as its container manager named it: v2, or the longest of v1's."""
    paths = [line.split(":", 2)[2] for line in (system.text(f"proc/{pid}/cgroup") or "").splitlines() if ":" in line]
    return max(paths, key=len, default="") or "/"


def owner(path: str, kind: str) -> str:
    """Whose group it is: the group itself, or the container, pod or Slurm job that its path names."""
    if kind == "cgroup":
        return path or "/"
    found = _PATTERNS[kind].search(path)
    return found[1].replace("_", "-") if found else f"(no {kind})"


def cpu_s(system: System, folder: str) -> float | None:
    """CPU-seconds of a group and all below it, since it was made."""
    for line in (system.text(f"{folder}/cpu.stat") or "").splitlines():
        if line.startswith("usage_usec"):
            return int(line.split()[1]) / 1e6
    return None


def all_cpu_s(system: System) -> dict[str, float]:
    """CPU-seconds of each v2 group by itself, without those below it: they sum to what all groups used."""
    whole = {path: used_s for path in _below(system, "") if (used_s := cpu_s(system, ROOT + path)) is not None}
    own = dict(whole)
    for path, used_s in whole.items():
        parent = path.rpartition("/")[0]
        if path and parent in own:
            own[parent] -= used_s
    return {path: max(0.0, used_s) for path, used_s in own.items()}


def _below(system: System, path: str) -> Iterator[str]:
    yield path
    for name in system.folders(ROOT + path):
        yield from _below(system, f"{path}/{name}")


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
