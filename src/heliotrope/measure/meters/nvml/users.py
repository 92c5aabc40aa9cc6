"""Who used a GPU: processes by their share of its multiprocessors, and the slices (MIG) it may be cut into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from heliotrope.measure.protocol import NOBODY


class Slice(NamedTuple):
    """One MIG instance: its multiprocessors, and who runs on it."""

    name: str
    multiprocessors: int
    pids: frozenset[int]


class Asker:
    """Asks NVML, where a function that is missing or not supported is an answer too: None."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def __call__(self, function: str, *arguments: Any) -> Any:
        asked = getattr(self.library, function, None)
        if asked is None:
            return None
        try:
            return asked(*arguments)
        except self.library.NVMLError:
            return None


def sliced(ask: Asker, handle: Any) -> bool:
    """Whether a GPU is cut. It takes a reset to change that, so once is enough to ask."""
    mode = ask("nvmlDeviceGetMigMode", handle)
    return bool(mode) and mode[0] == 1


def slices(ask: Asker, handle: Any, domain: str) -> tuple[Slice, ...]:
    """The slices of a GPU that is cut."""
    found = []
    for index in range(int(ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0)):
        part = ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if part is None:
            continue
        about = ask("nvmlDeviceGetAttributes", part)
        running = ask("nvmlDeviceGetComputeRunningProcesses", part) or ()
        number = int(getattr(about, "multiprocessorCount", 0) or getattr(about, "gpuInstanceSliceCount", 1))
        found.append(Slice(f"{domain}/mig{index}", number, frozenset(int(one.pid) for one in running)))
    return tuple(found)


def weights(parts: tuple[Slice, ...], idle_share: float) -> tuple[dict[int, float], dict[str, float]]:
    """Weight of each process, and of each slice, by multiprocessors.

    Those of one slice weigh alike, since NVML tells no use of a slice. A slice without a process weighs its idle share
    of a busy one, and that is nobody's.
    """
    by_pid: dict[int, float] = {}
    by_slice: dict[str, float] = {}
    for part in parts:
        weight = part.multiprocessors * (1.0 if part.pids else idle_share)
        by_slice[part.name] = weight
        for pid in part.pids or {NOBODY}:
            by_pid[pid] = by_pid.get(pid, 0.0) + weight / max(1, len(part.pids))
    return by_pid, by_slice


def whole(ask: Asker, handle: Any, since_us: int) -> tuple[Mapping[int, float] | None, int]:
    """Weights of the processes on a GPU that is not cut, None where it hides them; and until when that was known."""
    running = ask("nvmlDeviceGetComputeRunningProcesses", handle)
    if running is None:
        return None, since_us
    pids = {int(one.pid) for one in running}
    if len(pids) < 2:
        return dict.fromkeys(pids, 1.0), since_us
    used = dict.fromkeys(pids, 0.0)
    for sample in ask("nvmlDeviceGetProcessUtilization", handle, since_us) or ():
        since_us = max(since_us, int(sample.timeStamp))
        if sample.pid in used:
            used[sample.pid] += sample.smUtil
    return (used if sum(used.values()) > 0 else dict.fromkeys(pids, 1.0)), since_us
