"""A slot's power cap, held on the devices while the command runs; a guard gives it back whatever is killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from heliotrope.errors import HelioError, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.power import knobs
from heliotrope.measure.power.lease import Lease, borrow

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Held(msgspec.Struct, frozen=True):
    """`lease` None where it could not be held; `told` is what the record says of it."""

    told: str
    lease: Lease | None = None

    def give_back(self) -> None:
        if self.lease is not None:
            self.lease.close()


def capable(system: System) -> bool:
    """Whether a plan may count on caps here."""
    found = [knobs.show(knob) for knob in knobs.find(system).values()]
    return any(one.unit == "W" and one.allowed for one in found)


def hold(
    system: System, cap_w: float, devices: int, environment: Mapping[str, str], *, journal: Path | None = None
) -> Held:
    """`cap_w`: of all `devices` together, of the packages where it has none. Work goes on where it cannot be held."""
    try:
        lease = borrow(system, journal=journal)
    except HelioError as error:
        return Held(f"its power cap of {cap_w:g} W was not held: {error.what}")
    try:
        names = _limits(lease, devices, environment)
        if not names:
            raise MeterError("no limit in watts can be set here")
        stands = [_set(lease, name, cap_w / len(names)) for name in names]
    except HelioError as error:
        lease.close()
        return Held(f"its power cap of {cap_w:g} W was not held: {error.what}")
    return Held(f"its power was capped at {sum(stands):g} W: {', '.join(names)}", lease)


def _set(lease: Lease, name: str, level_w: float) -> float:
    """As near as the device can; one that stands lower already is left so."""
    levels = lease.take(name)
    return lease.set(name, min(max(level_w, levels[0]), levels[-1]))


def _limits(lease: Lease, devices: int, environment: Mapping[str, str]) -> list[str]:
    """Those of its own accelerators; a machine's packages are everybody's who runs there, and capped with it."""
    watts = [one.name for one in lease.knobs() if one.unit == "W" and one.allowed]
    cards = [name for name in watts if name.startswith("gpu")]
    if not devices:
        return [name for name in watts if name.startswith("package")]
    shown = [one.strip() for one in environment.get(VISIBLE, "").split(",")]
    mine = [f"gpu{one}/limit" for one in shown if one.isdigit()] or cards[:devices]
    return [name for name in mine if name in cards]
