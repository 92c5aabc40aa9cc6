"""The watt-meter of a server's management controller (BMC), over Redfish: the whole node, fans and supplies too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.remote.watch import Watch
from heliotrope.measure.meters.remote.web import fetch
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.units import J_PER_KWH

NAME = "redfish"
EXAMPLE = "redfish:https://user:password@bmc   # the password may be in ~/.netrc instead"


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree: dict[str, Any] = msgspec.json.decode(body, type=dict)
    except msgspec.MsgspecError as error:
        raise MeterError("not an answer of Redfish", cause=str(error)) from error
    return tree


def _number(value: object) -> float | None:
    """The reading in a field: a number, a resource with a `Reading`, or nothing."""
    if isinstance(value, dict):
        value = value.get("Reading")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def parse(body: bytes) -> list[Told]:
    """`EnvironmentMetrics` (EnergykWh, PowerWatts), a `Sensor` of power, or the older `Power` (PowerControl)."""
    tree = _tree(body)
    # Counters of BMCs step by whole watt-hours or more: watts follow a short job, they do not.
    watts = _number(tree.get("PowerWatts"))
    if watts is None and tree.get("ReadingUnits") == "W":
        watts = _number(tree.get("Reading"))
    if watts is None:
        # The first of them is the chassis; what follows are its parts.
        controls = tree.get("PowerControl") if isinstance(tree.get("PowerControl"), list) else []
        told = [_number(control.get("PowerConsumedWatts")) for control in controls or () if isinstance(control, dict)]
        watts = next((one for one in told if one is not None), None)
    if watts is not None:
        return [Told("node", watts=watts)]
    counted_kwh = _number(tree.get("EnergykWh"))
    if counted_kwh is not None:
        return [Told("node", joules=counted_kwh * J_PER_KWH)]
    raise MeterError("this resource tells no power", hint="use /redfish/v1/Chassis/ID/EnvironmentMetrics or …/Power")


def find(address: str) -> str:
    """The resource to ask: the address itself, or the first of a chassis below a service root that tells power."""
    parts = urlsplit(address)
    if parts.path.strip("/") not in {"", "redfish", "redfish/v1"}:
        return address
    base = parts._replace(path="").geturl()
    members = _tree(fetch(f"{base}/redfish/v1/Chassis")).get("Members")
    for member in members if isinstance(members, list) else []:
        chassis = f"{base}{member['@odata.id']}".rstrip("/")
        tree = _tree(fetch(chassis))
        for name in ("EnvironmentMetrics", "Power"):
            if name in tree:
                try:
                    parse(fetch(f"{chassis}/{name}"))
                except MeterError:
                    continue  # this chassis tells no power there; the next may
                return f"{chassis}/{name}"
    raise MeterError(f"no chassis of {parts.hostname} tells its power", hint="name the resource: " + EXAMPLE)


def probe(_system: System) -> Probe:
    return Probe(NAME, True, (), "asked for by address only", f"helio measure --meter {EXAMPLE}")


def open_meter(opening: Opening) -> IntegratedMeter:
    if not opening.target:
        raise InvalidInput("the redfish meter needs an address", field="meters", hint=EXAMPLE)
    resource = find(opening.target)
    parse(fetch(resource))
    return IntegratedMeter(
        NAME,
        None,
        covers=frozenset({"node", "cpu", "dram"}),
        resolution_s=5.0,
        source=Watch(lambda: parse(fetch(resource))),
    )
