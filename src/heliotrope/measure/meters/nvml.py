"""NVIDIA GPUs by NVML: the energy counter where there is one, integrated power where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from heliotrope import facts
from heliotrope.errors import MissingExtra
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.measure.system import System
from heliotrope.model import Provenance

NAME = "nvml"
EXTRA_HINT = "pip install 'heliotrope[nvidia]'"
MAX_PLAUSIBLE_W = 3000.0
STUCK_S = 10.0
# Chips whose power sensor looks at 25 ms of every 100 ms (Yang et al., SC24): bursts shorter than that may be missed.
PARTLY_BLIND = ("A100", "H100", "H200", "GH200", "A30", "A800", "H800")
BLIND_SHARE = 0.75


class Gpu(msgspec.Struct):
    """One device. `counter_mj` is its energy since the driver was loaded; None where it has no such counter."""

    handle: Any
    domain: str
    model: str
    counter_mj: int | None = None
    power_w: float | None = None
    unchanged_s: float = 0.0
    lost: bool = False
    users_since_us: int = 0


class NvmlMeter:
    """`library` has the functions of pynvml; tests bring their own."""

    name = NAME
    provenance = Provenance.MEASURED
    covers = frozenset({"gpu"})
    resolution_s = 0.1

    def __init__(self, library: Any) -> None:
        self.library = library
        self._error = facts.fact("power_model", "nvml")
        self.gpus = []
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            name = library.nvmlDeviceGetName(handle)
            model = name.decode() if isinstance(name, bytes) else str(name)
            self.gpus.append(Gpu(handle, f"gpu{index}", model))

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        return tuple(draw for gpu in self.gpus if (draw := self._read(gpu, usage)) is not None)

    def _read(self, gpu: Gpu, usage: Usage) -> Draw | None:
        before_mj, before_w = gpu.counter_mj, gpu.power_w
        try:
            self._look(gpu)
        except self.library.NVMLError as error:
            gpu.counter_mj = gpu.power_w = None
            gpu.lost = True
            return Draw(gpu.domain, 0.0, 0.0, 0.0, flags=(f"{gpu.domain}: cannot be read ({error})",))
        if before_mj is None and before_w is None:
            if not gpu.lost:
                return None
            gpu.lost = False
            return Draw(gpu.domain, 0.0, 0.0, 0.0, flags=(f"{gpu.domain}: energy of a gap is missing",))
        if before_mj is not None and gpu.counter_mj is not None:
            return self._counted(gpu, (gpu.counter_mj - before_mj) / 1e3, usage)
        if before_w is None or gpu.power_w is None:
            return Draw(gpu.domain, 0.0, 0.0, 0.0, flags=(f"{gpu.domain}: changed its way of counting",))
        return self._integrated(gpu, (before_w + gpu.power_w) / 2 * usage.elapsed_s, usage)

    def _look(self, gpu: Gpu) -> None:
        gpu.counter_mj = gpu.power_w = None
        try:
            gpu.counter_mj = int(self.library.nvmlDeviceGetTotalEnergyConsumption(gpu.handle))
        except self.library.NVMLError as error:
            if getattr(error, "value", None) != getattr(self.library, "NVML_ERROR_NOT_SUPPORTED", 3):
                raise
            gpu.power_w = self.library.nvmlDeviceGetPowerUsage(gpu.handle) / 1e3

    def _counted(self, gpu: Gpu, energy_j: float, usage: Usage) -> Draw:
        flags: list[str] = []
        if energy_j < 0:
            flags.append(f"{gpu.domain}: counter was reset, energy before it is missing")
            energy_j = (gpu.counter_mj or 0) / 1e3
        if energy_j > MAX_PLAUSIBLE_W * max(usage.elapsed_s, 0.2):
            flags.append(f"{gpu.domain}: an impossible jump of the counter was left out")
            energy_j = 0.0
        gpu.unchanged_s = gpu.unchanged_s + usage.elapsed_s if energy_j == 0 else 0.0
        if gpu.unchanged_s >= STUCK_S:
            flags.append(f"{gpu.domain}: counter is stuck")
        low, high = float(self._error.more["low"]), float(self._error.more["high"])
        return self._draw(gpu, energy_j, energy_j * low, energy_j * high, usage, flags)

    def _integrated(self, gpu: Gpu, energy_j: float, usage: Usage) -> Draw:
        low, high = energy_j * float(self._error.more["low"]), energy_j * float(self._error.more["high"])
        flags = [f"{gpu.domain}: integrated power, it has no energy counter"]
        if any(chip in gpu.model for chip in PARTLY_BLIND):
            # What it did while the sensor looked away lies between idle and the power limit.
            limit_j = self._limit_w(gpu) * usage.elapsed_s
            low = min(low, (1 - BLIND_SHARE) * energy_j)
            high = max(high, (1 - BLIND_SHARE) * energy_j + BLIND_SHARE * limit_j)
            flags.append(f"{gpu.domain}: its sensor sees a quarter of the time, the bounds hold the rest")
        return self._draw(gpu, energy_j, low, high, usage, flags)

    def _limit_w(self, gpu: Gpu) -> float:
        return float(self.library.nvmlDeviceGetEnforcedPowerLimit(gpu.handle)) / 1e3

    def _draw(self, gpu: Gpu, energy_j: float, low_j: float, high_j: float, usage: Usage, flags: list[str]) -> Draw:
        users = self._users(gpu)
        if users is None:
            flags.append(f"{gpu.domain}: its users are not shown, all of it is counted")
            return Draw(gpu.domain, energy_j, low_j, high_j, mine=True, flags=tuple(flags))
        return Draw(gpu.domain, energy_j, low_j, high_j, users=users, flags=tuple(flags))

    def _users(self, gpu: Gpu) -> Mapping[int, float] | None:
        """Weight of each process by its use of the multiprocessors; alike where none is told."""
        library = self.library
        try:
            running = {p.pid for p in library.nvmlDeviceGetComputeRunningProcesses(gpu.handle)}
        except library.NVMLError:
            return None
        if len(running) < 2:
            return dict.fromkeys(running, 1.0)
        used: dict[int, float] = dict.fromkeys(running, 0.0)
        try:
            for sample in library.nvmlDeviceGetProcessUtilization(gpu.handle, gpu.users_since_us):
                gpu.users_since_us = max(gpu.users_since_us, int(sample.timeStamp))
                if sample.pid in used:
                    used[sample.pid] += sample.smUtil
        except library.NVMLError:
            used = {}
        return used if sum(used.values()) > 0 else dict.fromkeys(running, 1.0)

    def close(self) -> None:
        self.library.nvmlShutdown()


def _driver(system: System) -> bool:
    return system.text("proc/driver/nvidia/version") is not None or "nvidiactl" in system.names("dev")


def _library() -> Any:
    try:
        import pynvml
    except ImportError:
        raise MissingExtra("nvidia-ml-py", "nvidia", needed_for="the NVIDIA meter") from None
    pynvml.nvmlInit()
    return pynvml


def probe(system: System) -> Probe:
    if not _driver(system):
        return Probe(NAME, False, (), "no NVIDIA driver is loaded", "install the NVIDIA driver, if there is such a GPU")
    try:
        library = _library()
    except MissingExtra as error:
        return Probe(NAME, False, (), error.what, error.hint)
    except Exception as error:  # every failure of NVML is a class of its own
        return Probe(
            NAME, False, (), f"NVML does not answer: {error}", "nvidia-smi   # says what is wrong with the driver"
        )
    meter = NvmlMeter(library)
    domains = tuple(f"{gpu.domain} ({gpu.model})" for gpu in meter.gpus)
    meter.close()
    return Probe(NAME, bool(domains), domains, "" if domains else "the driver shows no GPU")


def open_meter(opening: Opening) -> NvmlMeter | None:
    """None where there is no GPU; a GPU without the extra is told by `helio doctor` and by a flag of the session."""
    return NvmlMeter(_library()) if probe(opening.system).available else None
