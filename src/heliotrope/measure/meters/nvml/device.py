"""One GPU's joules: its energy counter, checked against its power; without a counter, its power over time."""

from __future__ import annotations

from typing import Any

from heliotrope import facts
from heliotrope.measure.meters.nvml.sensor import Integral, integrate, sensor_of
from heliotrope.measure.meters.nvml.users import Asker, sliced, slices, weights, whole
from heliotrope.measure.protocol import Draw, Usage
from heliotrope.model import Provenance

MAX_PLAUSIBLE_W = 3000.0
STUCK_S = 10.0
CHECK_S = 1.0  # between two looks at the power beside a counter
CHECKED_S = 10.0  # of looks before counter and power are compared
APART = 0.25  # of their larger one: beyond it, one of them is wrong
TOTAL_POWER_SAMPLES = 0  # NVML_TOTAL_POWER_SAMPLES
LOOKS_S = 10.0  # of looks that the driver surely remembers: older ones may be gone
RECENT = 30  # looks whose spread tells how far a mean may be off


class Gpu:
    """One device. `counter_mj` is its energy since the driver was loaded; None where it has no such counter."""

    def __init__(self, handle: Any, domain: str, model: str, *, is_sliced: bool) -> None:
        self.handle, self.domain, self.model, self.sliced = handle, domain, model, is_sliced
        self.sensor = sensor_of(model)
        self.counter_mj: int | None = None
        self.power_w: float | None = None
        self.since_us = self.users_since_us = 0
        self.recent_w: list[float] = []
        self.unchanged_s = 0.0
        self.lost = False
        # Counter and power beside each other, since they were last both known.
        self.check_power_w: float | None = None
        self.check_s = self.checked_s = 0.0
        self.by_counter_j = self.by_power_j = self.by_power_error_j = 0.0


class NvmlMeter:
    """`library` has the functions of pynvml."""

    name = "nvml"
    provenance = Provenance.MEASURED
    covers = frozenset({"gpu"})
    resolution_s = 0.1

    def __init__(self, library: Any) -> None:
        self.library = library
        self._ask = Asker(library)
        error = facts.fact("power_model", "nvml")
        self._low, self._high = float(error.more["low"]), float(error.more["high"])
        self._idle_share = facts.fact("power_model", "gpu_idle").value
        self.gpus = []
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            name = library.nvmlDeviceGetName(handle)
            model = name.decode() if isinstance(name, bytes) else str(name)
            self.gpus.append(Gpu(handle, f"gpu{index}", model, is_sliced=sliced(self._ask, handle)))

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        return tuple(draw for gpu in self.gpus for draw in self._read(gpu, usage))

    def _read(self, gpu: Gpu, usage: Usage) -> tuple[Draw, ...]:
        before_mj, before_w = gpu.counter_mj, gpu.power_w
        try:
            self._look(gpu)
        except self.library.NVMLError as error:
            gpu.counter_mj = gpu.power_w = gpu.check_power_w = None
            gpu.lost = True
            return (_nothing(gpu, f"cannot be read ({error})"),)
        if before_mj is None and before_w is None:
            self._looks(gpu)
            if not gpu.lost:
                return ()
            gpu.lost = False
            return (_nothing(gpu, "energy of a gap is missing"),)
        if before_mj is not None and gpu.counter_mj is not None:
            return self._counted(gpu, (gpu.counter_mj - before_mj) / 1e3, usage)
        if before_w is None or gpu.power_w is None:
            return (_nothing(gpu, "changed its way of counting"),)
        return self._integrated(gpu, before_w, usage)

    def _look(self, gpu: Gpu) -> None:
        gpu.counter_mj = gpu.power_w = None
        try:
            gpu.counter_mj = int(self.library.nvmlDeviceGetTotalEnergyConsumption(gpu.handle))
        except self.library.NVMLError as error:
            if getattr(error, "value", None) != getattr(self.library, "NVML_ERROR_NOT_SUPPORTED", 3):
                raise
            gpu.power_w = self._power_w(gpu)

    def _power_w(self, gpu: Gpu) -> float:
        return float(self.library.nvmlDeviceGetPowerUsage(gpu.handle)) / 1e3

    def _looks(self, gpu: Gpu) -> list[tuple[float, float]]:
        """What the sensor has seen since we asked last, as the driver remembers it; empty where it does not."""
        told = self._ask("nvmlDeviceGetSamples", gpu.handle, TOTAL_POWER_SAMPLES, gpu.since_us)
        if not told:
            return []
        kind, samples = told
        member = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal"}.get(kind, "uiVal")
        first = gpu.since_us
        looks = [
            (int(one.timeStamp) / 1e6, float(getattr(one.sampleValue, member)) / 1e3)
            for one in samples
            if int(one.timeStamp) > first
        ]
        gpu.since_us = max([first, *(round(at_s * 1e6) for at_s, _ in looks)])
        return sorted(looks) if first else []

    # by the counter

    def _counted(self, gpu: Gpu, energy_j: float, usage: Usage) -> tuple[Draw, ...]:
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
        low_j, high_j = energy_j * self._low, energy_j * self._high
        factor = self._checked(gpu, energy_j, usage.elapsed_s)
        if factor is not None:
            flags.append(f"{gpu.domain}: counter and power disagree by {abs(1 - factor):.0%}, the bounds hold both")
            low_j, high_j = min(low_j, low_j * factor), max(high_j, high_j * factor)
        return self._draws(gpu, energy_j, low_j, high_j, usage, flags)

    def _checked(self, gpu: Gpu, energy_j: float, elapsed_s: float) -> float | None:
        """Power over counter, where they are too far apart to both be right."""
        gpu.by_counter_j += energy_j
        gpu.check_s += elapsed_s
        if gpu.check_s >= CHECK_S:
            span_s, gpu.check_s = gpu.check_s, 0.0
            before_w, gpu.check_power_w = gpu.check_power_w, self._ask_power(gpu)
            looks = self._looks(gpu)
            if before_w is None or gpu.check_power_w is None:
                gpu.checked_s = gpu.by_counter_j = gpu.by_power_j = gpu.by_power_error_j = 0.0
                return None
            if len(looks) < 2:
                looks = [(0.0, before_w), (span_s, gpu.check_power_w)]
            seen = self._integral(gpu, looks, span_s)
            gpu.checked_s += span_s
            gpu.by_power_j += seen.energy_j
            gpu.by_power_error_j += (seen.high_j - seen.low_j) / 2
        if gpu.checked_s < CHECKED_S or gpu.by_counter_j <= 0:
            return None
        apart_j = abs(gpu.by_counter_j - gpu.by_power_j)
        allowed_j = APART * max(gpu.by_counter_j, gpu.by_power_j) + gpu.by_power_error_j
        return gpu.by_power_j / gpu.by_counter_j if apart_j > allowed_j else None

    def _ask_power(self, gpu: Gpu) -> float | None:
        told = self._ask("nvmlDeviceGetPowerUsage", gpu.handle)
        return None if told is None else float(told) / 1e3

    # by power

    def _integrated(self, gpu: Gpu, before_w: float, usage: Usage) -> tuple[Draw, ...]:
        assert gpu.power_w is not None
        looks = self._looks(gpu) if usage.elapsed_s < LOOKS_S else []
        if len(looks) < 2:
            looks = [(0.0, before_w), (usage.elapsed_s, gpu.power_w)]
        told = self._integral(gpu, looks, usage.elapsed_s)
        flags = [f"{gpu.domain}: integrated power, it has no energy counter"]
        if told.why:
            flags.append(f"{gpu.domain}: {told.why}, the bounds hold the rest")
        return self._draws(gpu, told.energy_j, told.low_j * self._low, told.high_j * self._high, usage, flags)

    def _integral(self, gpu: Gpu, looks: list[tuple[float, float]], elapsed_s: float) -> Integral:
        gpu.recent_w = [*gpu.recent_w, *(power_w for _, power_w in looks)][-RECENT:]
        return integrate(
            looks, elapsed_s, gpu.sensor, limit_w=self._limit_w(gpu), busy=self._busy(gpu), recent=gpu.recent_w
        )

    def _busy(self, gpu: Gpu) -> float | None:
        told = self._ask("nvmlDeviceGetUtilizationRates", gpu.handle)
        return None if told is None else float(told.gpu) / 100

    def _limit_w(self, gpu: Gpu) -> float:
        told = self._ask("nvmlDeviceGetEnforcedPowerLimit", gpu.handle)
        return MAX_PLAUSIBLE_W if told is None else float(told) / 1e3

    # whose it was

    def _draws(
        self, gpu: Gpu, energy_j: float, low_j: float, high_j: float, usage: Usage, flags: list[str]
    ) -> tuple[Draw, ...]:
        parts = slices(self._ask, gpu.handle, gpu.domain) if gpu.sliced else ()
        if parts:
            by_pid, by_slice = weights(parts, self._idle_share)
            all_of_it = sum(by_slice.values()) or 1.0
            shown = (
                Draw(name, energy_j * share, low_j * share, high_j * share, counted=False)
                for name, weight in by_slice.items()
                for share in [weight / all_of_it]
            )
            return (Draw(gpu.domain, energy_j, low_j, high_j, users=by_pid, flags=tuple(flags)), *shown)
        users, gpu.users_since_us = whole(self._ask, gpu.handle, gpu.users_since_us)
        if users is None:
            flags.append(f"{gpu.domain}: its users are not shown, all of it is counted")
            return (Draw(gpu.domain, energy_j, low_j, high_j, mine=True, flags=tuple(flags)),)
        return (Draw(gpu.domain, energy_j, low_j, high_j, users=users, flags=tuple(flags)),)

    def close(self) -> None:
        self.library.nvmlShutdown()


def _nothing(gpu: Gpu, why: str) -> Draw:
    return Draw(gpu.domain, 0.0, 0.0, 0.0, flags=(f"{gpu.domain}: {why}",))
