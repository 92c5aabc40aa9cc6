"""Sensors of the kernel in /sys/class/hwmon: energy counters and watt-meters of boards, CPUs and cards."""

from __future__ import annotations

from heliotrope.errors import InvalidInput
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.protocol import Opening, Probe

NAME = "hwmon"
FOLDER = "sys/class/hwmon"
SUFFIXES = (("energy", "_input"), ("power", "_average"), ("power", "_input"))


def sensors(system: System) -> dict[str, str]:
    """`chip/label` to the file; a channel's counter before its average before its instant."""
    found: dict[str, str] = {}
    for entry in system.names(FOLDER):
        chip = (system.text(f"{FOLDER}/{entry}/name") or entry).strip()
        files = system.names(f"{FOLDER}/{entry}")
        for kind, suffix in SUFFIXES:
            for file in files:
                # ACPI power meters carry their name in power1_oem_info, a card's sensors theirs in a label.
                if file.startswith(kind) and file.endswith(suffix):
                    channel = file.removesuffix(suffix)
                    stem = f"{FOLDER}/{entry}/{channel}"
                    label = (system.text(f"{stem}_label") or system.text(f"{stem}_oem_info") or channel).strip()
                    found.setdefault(f"{chip}/{label}", f"{FOLDER}/{entry}/{file}")
    return found


def _look(system: System, files: dict[str, str]) -> list[Told]:
    told = []
    for domain, file in files.items():
        value = system.number(file)
        if value is not None:
            energy = "/energy" in file
            told.append(Told(domain, joules=value / 1e6 if energy else None, watts=None if energy else value / 1e6))
    return told


def probe(system: System) -> Probe:
    found = tuple(sensors(system))
    why = "asked for by name only: its sensors may overlap other meters" if found else f"no power sensor in /{FOLDER}"
    return Probe(
        NAME,
        bool(found),
        found,
        why,
        "helio measure --meter hwmon:CHIP/LABEL -- CMD" if found else "sudo sensors-detect",
    )


def open_meter(opening: Opening) -> IntegratedMeter | None:
    """`hwmon` for all sensors, `hwmon:CHIP/LABEL` for one."""
    found = sensors(opening.system)
    if opening.target:
        if opening.target not in found:
            raise InvalidInput(
                "no such sensor", field="hwmon", found=opening.target, allowed=", ".join(found) or "none here"
            )
        found = {opening.target: found[opening.target]}
    if not found:
        return None
    return IntegratedMeter(NAME, lambda: _look(opening.system, found), covers=frozenset({"node"}), resolution_s=1.0)
