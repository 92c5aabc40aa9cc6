"""Boards whose sensors are documented, so that what holds what is known: NVIDIA Grace and Jetson."""

from __future__ import annotations

import re
from typing import NamedTuple

from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.protocol import Opening, Probe

NAME = "board"
FOLDER = "sys/class/hwmon"


class Rail(NamedTuple):
    """One sensor: watts in a file of microwatts, or the product of two files of millivolts and milliamperes."""

    domain: str
    files: tuple[str, ...]
    counted: bool
    covers: frozenset[str]


GRACE = re.compile(r"^(module|grace|cpu|sysio) power socket (\d+)$", re.IGNORECASE)
SOCKET = frozenset({"cpu", "dram"})  # of a Grace: the processor, its memory and what joins them
NOTHING: frozenset[str] = frozenset()
WHOLE = frozenset({"cpu", "dram", "gpu", "node"})


def grace(system: System, *, gpu_is_measured: bool) -> list[Rail]:
    """ACPI power meters of a Grace superchip (Grace performance tuning guide, power telemetry).

    The module holds the Grace and the GPU, the Grace holds the CPU rail and SysIO. So the Grace is counted; the module
    only where it stands alone, and never beside NVML, which counts the GPU in it.
    """
    found: dict[tuple[str, str], str] = {}
    for entry in system.names(FOLDER):
        for folder in (f"{FOLDER}/{entry}", f"{FOLDER}/{entry}/device"):
            match = GRACE.match((system.text(f"{folder}/power1_oem_info") or "").strip())
            if match and system.number(f"{folder}/power1_average") is not None:
                found.setdefault((match[1].lower(), match[2]), f"{folder}/power1_average")
    rails = []
    for (kind, socket), file in sorted(found.items()):
        has_grace = ("grace", socket) in found
        counted = kind == "grace" or (kind == "module" and not has_grace and not gpu_is_measured)
        covers = NOTHING if not counted else (SOCKET if kind == "grace" else WHOLE - {"node"})
        rails.append(Rail(f"{kind}-{socket}", (file,), counted, covers))
    return rails


def jetson(system: System) -> list[Rail]:
    """Rails of the INA3221 of a Jetson (Jetson Linux developer guide, power monitor): VDD_IN holds the others."""
    rails = []
    for entry in system.names(FOLDER):
        folder = f"{FOLDER}/{entry}"
        if (system.text(f"{folder}/name") or "").strip() != "ina3221":
            continue
        for channel in (1, 2, 3):
            label = (system.text(f"{folder}/in{channel}_label") or "").strip()
            files = (f"{folder}/in{channel}_input", f"{folder}/curr{channel}_input")
            if label.upper().startswith(("VDD", "5V", "POM")) and all(system.number(f) is not None for f in files):
                counted = label.upper() in {"VDD_IN", "5V_IN", "POM_5V_IN"}
                rails.append(Rail(label, files, counted, WHOLE if counted else NOTHING))
    return rails if any(rail.counted for rail in rails) else []


def find(system: System, *, gpu_is_measured: bool = False) -> list[Rail]:
    return grace(system, gpu_is_measured=gpu_is_measured) or ([] if gpu_is_measured else jetson(system))


def look(system: System, rails: list[Rail]) -> list[Told]:
    told = []
    for rail in rails:
        values = [system.number(file) for file in rail.files]
        if None not in values:
            product = 1.0
            for value in values:
                product *= value or 0
            # Microwatts, or millivolts times milliamperes: the same unit.
            told.append(Told(rail.domain, watts=product / 1e6, counted=rail.counted))
    return told


def probe(system: System) -> Probe:
    rails = find(system)
    if not rails:
        return Probe(NAME, False, (), "not a board whose rails are documented", "hwmon shows what sensors there are")
    return Probe(NAME, True, tuple(rail.domain for rail in rails))


def open_meter(opening: Opening) -> IntegratedMeter | None:
    rails = find(opening.system, gpu_is_measured="gpu" in opening.covered)
    covers = frozenset[str]().union(*(rail.covers for rail in rails))
    if not covers or covers & opening.covered:
        return None
    return IntegratedMeter(NAME, lambda: look(opening.system, rails), covers=covers, resolution_s=0.1)
