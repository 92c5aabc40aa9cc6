"""A laptop on its battery: what the battery gives is what the whole machine draws, screen and all."""

from __future__ import annotations

from heliotrope.errors import MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.protocol import Opening, Probe

NAME = "battery"
FOLDER = "sys/class/power_supply"


def batteries(system: System) -> list[str]:
    return [
        name
        for name in system.names(FOLDER)
        if (system.text(f"{FOLDER}/{name}/type") or "").strip() == "Battery"
        and (system.text(f"{FOLDER}/{name}/scope") or "").strip() != "Device"  # a mouse has one too
    ]


def _watts(system: System, name: str) -> float | None:
    """Microwatts, or microvolts times microamperes; some drivers tell a discharge as negative."""
    power_uw = system.number(f"{FOLDER}/{name}/power_now")
    if power_uw is not None:
        return abs(power_uw) / 1e6
    current_ua, voltage_uv = (system.number(f"{FOLDER}/{name}/{kind}_now") for kind in ("current", "voltage"))
    return None if current_ua is None or voltage_uv is None else abs(current_ua) * voltage_uv / 1e12


def look(system: System, names: list[str]) -> list[Told]:
    states = {name: (system.text(f"{FOLDER}/{name}/status") or "").strip() for name in names}
    if "Discharging" not in states.values():
        raise MeterError("the machine is not on its battery", hint="pull the plug")
    told = [(name, _watts(system, name)) for name, state in states.items() if state == "Discharging"]
    return [Told(name, watts=watts) for name, watts in told if watts is not None]


def probe(system: System) -> Probe:
    names = batteries(system)
    if not names:
        return Probe(
            NAME, False, (), "this machine has no battery", "a plug meter: helio measure --meter csv:FILE -- CMD"
        )
    try:
        told = look(system, names)
    except MeterError as error:
        return Probe(NAME, False, tuple(names), error.what, error.hint)
    hint = "helio measure --meter battery -- CMD"
    if not told:
        return Probe(NAME, False, tuple(names), "its battery tells no power", "a plug meter, as csv:FILE")
    return Probe(NAME, True, tuple(names), "asked for by name only: it holds the whole machine", hint)


def open_meter(opening: Opening) -> IntegratedMeter | None:
    names = batteries(opening.system)
    if not probe(opening.system).available:
        return None
    return IntegratedMeter(
        NAME, lambda: look(opening.system, names), covers=frozenset({"node", "cpu", "dram", "gpu"}), resolution_s=5.0
    )
