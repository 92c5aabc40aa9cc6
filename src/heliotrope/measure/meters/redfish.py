"""The watt-meter of a server's management controller (BMC), over Redfish: the whole node, fans and supplies too."""

from __future__ import annotations

from typing import Any

import msgspec

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.web import fetch
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.measure.system import System
from heliotrope.units import J_PER_KWH

NAME = "redfish"


def parse(body: bytes) -> list[Told]:
    """`EnvironmentMetrics` (EnergykWh, PowerWatts) or the older `Power` (PowerControl)."""
    try:
        tree: dict[str, Any] = msgspec.json.decode(body, type=dict)
    except msgspec.MsgspecError as error:
        raise MeterError("not an answer of Redfish", cause=str(error)) from error
    watts = (tree.get("PowerWatts") or {}).get("Reading")
    counted_kwh = (tree.get("EnergykWh") or {}).get("Reading")
    if counted_kwh is not None and watts is None:
        return [Told("node", joules=counted_kwh * J_PER_KWH)]
    if watts is not None:
        # Counters of BMCs step by whole watt-hours or more: watts follow a short job, they do not.
        return [Told("node", watts=float(watts))]
    controls = [
        c["PowerConsumedWatts"] for c in tree.get("PowerControl", []) if c.get("PowerConsumedWatts") is not None
    ]
    if not controls:
        raise MeterError(
            "this resource tells no power", hint="use /redfish/v1/Chassis/ID/EnvironmentMetrics or …/Power"
        )
    # The first is the chassis; what follows are its parts.
    return [Told("node", watts=float(controls[0]))]


def probe(_system: System) -> Probe:
    hint = "helio measure --meter redfish:https://user:password@bmc/redfish/v1/Chassis/1/EnvironmentMetrics -- CMD"
    return Probe(NAME, True, (), "asked for by address only", hint)


def open_meter(opening: Opening) -> IntegratedMeter:
    if not opening.target:
        raise InvalidInput("the redfish meter needs an address", field="meters", hint=probe(opening.system).hint)
    parse(fetch(opening.target))
    return IntegratedMeter(
        NAME,
        lambda: parse(fetch(opening.target)),
        covers=frozenset({"node", "cpu", "dram"}),
        resolution_s=5.0,
        every_s=1.0,
    )
