"""What can be turned on a machine to draw less: limits in watts and clocks in megahertz, as files of the kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

import msgspec

from heliotrope.errors import MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Probe

LEAST_SHARE = 0.4  # of what stands now: below it, packages throttle in ways that cost more than they save
STEPS = 13
UW_PER_W = 1e6
KHZ_PER_MHZ = 1e3
GRANT = "run as root, or ask root for `helio meter serve --power`"


class Knob(Protocol):
    """`levels` ascend; the last is what stands without us. `stands` is all that `put_back` needs to undo any `set`."""

    name: str
    unit: str
    domain: str  # the meter's domain that this limits
    levels: tuple[float, ...]

    def now(self) -> float: ...

    def stands(self) -> dict[str, str]: ...

    def set(self, level: float) -> None: ...

    def put_back(self, before: dict[str, str]) -> None: ...


class Found(msgspec.Struct, frozen=True):
    """A knob as people are shown it: the level now, and whether it may be turned by whom asks."""

    name: str
    unit: str
    domain: str
    lowest: float
    now: float
    allowed: bool
    why: str = ""
    hint: str = ""


class FileKnob:
    """One or more files that hold the same limit; each is held within its own range."""

    def __init__(
        self,
        name: str,
        unit: str,
        domain: str,
        *,
        files: dict[str, tuple[int, int]],
        scale: float,
        system: System,
        switch: str = "",
    ) -> None:
        """`files`: least and most of each; `switch`: a file that must hold 1 for the limit to be kept."""
        self.name, self.unit, self.domain = name, unit, domain
        self._files, self._scale, self._system, self._switch = files, scale, system, switch
        low = max(min(least for least, _ in files.values()) / scale, LEAST_SHARE * self.now())
        self.levels = spread(low, self.now())

    def now(self) -> float:
        return max(self._read(file) for file in self._files) / self._scale

    def stands(self) -> dict[str, str]:
        return {file: str(self._read(file)) for file in (*self._files, *filter(None, [self._switch]))}

    def set(self, level: float) -> None:
        if self._switch:
            self._write(self._switch, "1")
        for file, (least, most) in self._files.items():
            self._write(file, str(min(max(round(level * self._scale), least), most)))

    def put_back(self, before: dict[str, str]) -> None:
        for file, text in before.items():
            self._write(file, text)

    def allowed(self) -> str:
        """Why it may not be turned; empty where it may."""
        for file in self._files:
            try:
                with Path(self._system.path(file)).open("r+b"):
                    pass
            except OSError as error:
                return error.strerror or "cannot be opened"
        return ""

    def _read(self, file: str) -> int:
        value = self._system.number(file)
        if value is None:
            raise MeterError(f"{self.name} has vanished", cause=f"{self._system.path(file)} tells no number")
        return value

    def _write(self, file: str, text: str) -> None:
        try:
            fd = os.open(self._system.path(file), os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text.encode())
                if self._system.root:  # a folder that plays a machine: plain files keep what was longer before
                    os.ftruncate(fd, len(text))
            finally:
                os.close(fd)
        except OSError as error:
            hint = GRANT if error.errno in {errno.EACCES, errno.EPERM} else "the kernel or the firmware forbids it"
            raise MeterError(f"{self.name} cannot be set to {text}", cause=str(error), hint=hint) from error


def spread(low: float, high: float, steps: int = STEPS) -> tuple[float, ...]:
    """Levels at even distances; only the top one where there is nothing between."""
    if high <= 0 or low >= high:
        return (high,)
    return tuple(low + (high - low) * i / (steps - 1) for i in range(steps))


def packages(system: System) -> list[FileKnob]:
    """The long-term limit of each RAPL package, in watts."""
    folder = "sys/class/powercap"
    found = []
    for entry in system.names(folder):
        name = (system.text(f"{folder}/{entry}/name") or "").strip()
        if not name.startswith("package") or entry.startswith("intel-rapl-mmio"):
            continue
        for number in range(3):
            stem = f"{folder}/{entry}/constraint_{number}"
            if (system.text(f"{stem}_name") or "").strip() == "long_term":
                file = f"{stem}_power_limit_uw"
                now = system.number(file)
                if now:
                    switch = f"{folder}/{entry}/enabled"
                    found.append(
                        FileKnob(
                            f"{name}/limit",
                            "W",
                            name,
                            files={file: (0, now)},
                            scale=UW_PER_W,
                            system=system,
                            switch=switch if system.number(switch) is not None else "",
                        )
                    )
    return found


def clocks(system: System) -> list[FileKnob]:
    """The highest clock that the CPUs' governors may choose, in megahertz: all policies together."""
    folder = "sys/devices/system/cpu/cpufreq"
    files = {}
    for policy in system.names(folder):
        file = f"{folder}/{policy}/scaling_max_freq"
        least, now = system.number(f"{folder}/{policy}/cpuinfo_min_freq"), system.number(file)
        if least and now:
            files[file] = (least, now)
    return [FileKnob("cpu/clock", "MHz", "package", files=files, scale=KHZ_PER_MHZ, system=system)] if files else []


def amd_cards(system: System) -> list[FileKnob]:
    """The power cap of AMD's cards, in watts."""
    folder = "sys/class/hwmon"
    found: list[FileKnob] = []
    for entry in system.names(folder):
        if (system.text(f"{folder}/{entry}/name") or "").strip() != "amdgpu":
            continue
        now = system.number(f"{folder}/{entry}/power1_cap")
        if now:
            least = system.number(f"{folder}/{entry}/power1_cap_min") or 0
            name = f"gpu{len(found)}"
            files = {f"{folder}/{entry}/power1_cap": (least, now)}
            found.append(FileKnob(f"{name}/limit", "W", name, files=files, scale=UW_PER_W, system=system))
    return found


def find(system: System) -> dict[str, Knob]:
    """Every knob of this machine, by name."""
    from heliotrope.measure.power.gpu import nvidia

    every: list[Knob] = [*nvidia(system), *packages(system), *clocks(system)]
    # One machine has cards of one maker or names would clash: NVIDIA's come first.
    names = {knob.name for knob in every}
    every += [knob for knob in amd_cards(system) if knob.name not in names]
    return {knob.name: knob for knob in every}


def probe(system: System) -> Probe:
    """Whether power can be limited here, as `helio doctor` says it."""
    found = [show(knob) for knob in find(system).values()]
    names = tuple(one.name for one in found)
    if not found:
        return Probe(
            "power", False, (), "no limit and no clock can be set here", "limits are the host's, not a guest's"
        )
    refused = next((one for one in found if not one.allowed), None)
    if refused is not None:
        return Probe("power", False, names, f"{refused.name}: {refused.why}", GRANT)
    return Probe("power", True, names, "limits and clocks that may be set: helio power show")


def show(knob: Knob) -> Found:
    why = knob.allowed() if isinstance(knob, FileKnob) else ""
    return Found(knob.name, knob.unit, knob.domain, knob.levels[0], knob.now(), not why, why, GRANT if why else "")
