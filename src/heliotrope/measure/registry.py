"""Meters by name. Ours are in a table too: reading every package's entry points takes longer than we may."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from heliotrope.errors import UnknownName, nearest
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Meter, MeterModule, Opening, Probe

GROUP = "heliotrope.meters"
# The same as pyproject.toml registers (a test compares them), in the order they are asked: measured before modelled.
BUILT_IN = {
    "rapl": "heliotrope.measure.meters.host.rapl",
    "nvml": "heliotrope.measure.meters.nvml",
    "amd": "heliotrope.measure.meters.amd",
    "board": "heliotrope.measure.meters.host.board",
    "daemon": "heliotrope.measure.meters.remote.daemon",
    "modelled": "heliotrope.measure.meters.host.modelled",
    "hwmon": "heliotrope.measure.meters.host.hwmon",
    "prometheus": "heliotrope.measure.meters.remote.prometheus",
    "redfish": "heliotrope.measure.meters.remote.redfish",
    "ipmi": "heliotrope.measure.meters.remote.ipmi",
    "snmp": "heliotrope.measure.meters.remote.snmp",
    "csv": "heliotrope.measure.meters.csv",
    "battery": "heliotrope.measure.meters.host.battery",
    "apple": "heliotrope.measure.meters.host.apple",
    "replay": "heliotrope.measure.meters.replay",
}
MEASURED = ("rapl", "nvml", "amd", "board")
# A meter whose folder is empty here is not even loaded: starting is paid by everybody.
NEEDS = {"rapl": "sys/class/powercap", "amd": "sys/class/drm", "board": "sys/class/hwmon"}
BY_DEFAULT = (*MEASURED, "daemon", "modelled")


def others() -> dict[str, str]:
    """Meters that other packages bring."""
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def module(name: str) -> MeterModule:
    address = BUILT_IN.get(name) or others().get(name)
    if address is None:
        raise UnknownName(f"no meter is called {name}", field="meters", hint=nearest(name, [*BUILT_IN, *others()]))
    return cast("MeterModule", import_module(address))


def probe_all(system: System) -> tuple[Probe, ...]:
    return tuple(module(name).probe(system) for name in (*BUILT_IN, *others()))


def open_all(system: System, wanted: tuple[str, ...], *, skip: bool = False) -> list[Meter]:
    """The wanted meters (`NAME` or `NAME:TARGET`), or those that work here by default; modelled ones see the rest.

    A wanted one that does not work is an error, unless `skip`.
    """
    meters: list[Meter] = []
    for spec in wanted or BY_DEFAULT:
        name, _, target = spec.partition(":")
        if not wanted and name in NEEDS and not system.names(NEEDS[name]):
            continue
        covered = frozenset(domain for meter in meters for domain in meter.covers)
        meter = module(name).open_meter(Opening(system, target, covered))
        if meter is not None:
            meters.append(meter)
        elif wanted and not skip:
            probe = module(name).probe(system)
            raise UnknownName(f"the meter {name} does not work here", field="meters", cause=probe.why, hint=probe.hint)
    return meters
