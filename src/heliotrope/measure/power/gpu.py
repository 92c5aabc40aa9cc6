"""The limits and clocks of NVIDIA's GPUs, by NVML. Whoever sets them needs root."""

from __future__ import annotations

from typing import Any

from heliotrope.errors import MeterError, MissingExtra
from heliotrope.measure.machine.system import System
from heliotrope.measure.power.knobs import GRANT, STEPS, spread

MW_PER_W = 1e3


class GpuLimit:
    """Watts. It is put back to what stood, since some GPUs have no way to ask for their default."""

    unit = "W"

    def __init__(self, library: Any, handle: Any, domain: str) -> None:
        self._library, self._handle = library, handle
        self.domain, self.name = domain, f"{domain}/limit"
        least_mw, _ = library.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        self.levels = spread(least_mw / MW_PER_W, self.now())

    def now(self) -> float:
        return float(self._library.nvmlDeviceGetPowerManagementLimit(self._handle)) / MW_PER_W

    def stands(self) -> dict[str, str]:
        return {"limit_mw": str(self._library.nvmlDeviceGetPowerManagementLimit(self._handle))}

    def set(self, level: float) -> None:
        self._set(round(level * MW_PER_W))

    def put_back(self, before: dict[str, str]) -> None:
        self._set(int(before["limit_mw"]))

    def _set(self, limit_mw: int) -> None:
        try:
            self._library.nvmlDeviceSetPowerManagementLimit(self._handle, limit_mw)
        except self._library.NVMLError as error:
            raise MeterError(f"{self.name} cannot be set", cause=str(error), hint=GRANT) from error


class GpuClock:
    """Megahertz. NVML tells no lock that somebody else set: putting back means no lock at all."""

    unit = "MHz"

    def __init__(self, library: Any, handle: Any, domain: str) -> None:
        self._library, self._handle = library, handle
        self.domain, self.name = domain, f"{domain}/clock"
        memory = max(library.nvmlDeviceGetSupportedMemoryClocks(handle), default=0)
        if not memory:
            raise library.NVMLError(library.NVML_ERROR_NOT_SUPPORTED)
        clocks = sorted(set(library.nvmlDeviceGetSupportedGraphicsClocks(handle, memory)))
        upper = [clock for clock in clocks if clock >= 0.4 * clocks[-1]]
        every = max(1, len(upper) // (STEPS - 1))
        self.levels = tuple(float(clock) for clock in sorted(upper[::-1][::every]))
        self._locked: float | None = None

    def now(self) -> float:
        return self.levels[-1] if self._locked is None else self._locked

    def stands(self) -> dict[str, str]:
        return {"lock": "none" if self._locked is None else str(self._locked)}

    def set(self, level: float) -> None:
        try:
            self._library.nvmlDeviceSetGpuLockedClocks(self._handle, 0, round(level))
        except self._library.NVMLError as error:
            raise MeterError(f"{self.name} cannot be locked", cause=str(error), hint=GRANT) from error
        self._locked = level

    def put_back(self, before: dict[str, str]) -> None:
        try:
            self._library.nvmlDeviceResetGpuLockedClocks(self._handle)
        except self._library.NVMLError as error:
            raise MeterError(f"{self.name} cannot be freed", cause=str(error), hint=GRANT) from error
        self._locked = None


def knobs_of(library: Any) -> list[GpuLimit | GpuClock]:
    """Both knobs of every GPU that has them."""
    found: list[GpuLimit | GpuClock] = []
    for index in range(library.nvmlDeviceGetCount()):
        handle = library.nvmlDeviceGetHandleByIndex(index)
        for kind in (GpuLimit, GpuClock):
            try:
                found.append(kind(library, handle, f"gpu{index}"))
            except library.NVMLError:
                continue  # this GPU has no such knob
    return found


def nvidia(system: System) -> list[GpuLimit | GpuClock]:
    """None without a driver that answers, or without the extra that speaks to it."""
    from heliotrope.measure.meters import nvml

    if not nvml.has_driver(system):
        return []
    try:
        return knobs_of(nvml.load())
    except (MissingExtra, MeterError):
        return []
