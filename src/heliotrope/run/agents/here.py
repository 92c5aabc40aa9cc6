"""The machine that we are on, as a site: what its agent says of it, and a first draft for the fleet file."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from heliotrope.errors import UsageError
from heliotrope.measure.machine.cpu.this import this_cpu
from heliotrope.measure.machine.system import System
from heliotrope.model import Device, Site, Tier

_DRAFT = """# Found on this machine; what is marked `?` nobody but you knows.
[[site]]
name = "{name}"
zone = "{zone}"{zone_ask}
tier = "{tier}"
engine = "agent"
capacity = {capacity}   # as many at once as it has threads
# cooling = {{ pue = 1.2, wue_l_per_kwh = 0.2, source = "?" }}
# price_eur_per_mwh = ?
# lending = {{ share = 0.5 }}

[[site.devices]]
id = "cpu"
model = "{model}"
kind = "cpu"
count = {capacity}   # threads; idle_w and max_w are of one of them, modelled
idle_w = {idle_w:.2f}
max_w = {max_w:.2f}
"""


class Described(msgspec.Struct, frozen=True):
    site: Site
    text: str


def this_site(zone: str, engine: str = "local", options: Iterable[str] = ()) -> Site:
    cpu = this_cpu(System())
    threads = Device(
        "cpu",
        cpu.socket.name,
        count=cpu.vcpus,
        idle_w=cpu.socket.vcpu_idle_w.value,
        max_w=cpu.socket.vcpu_w.high,
    )
    return Site(
        "here",
        zone,
        engine=engine,
        engine_options=dict(_option(one) for one in options),
        devices=(threads,),
        capacity=os.cpu_count() or 1,
    )


def described(name: str, zone: str, tier: str) -> Described:
    found = this_site(zone)
    site = msgspec.structs.replace(found, name=name, tier=Tier(tier), engine="agent")
    device = found.devices[0]
    text = _DRAFT.format(
        name=name,
        zone=zone,
        zone_ask="" if zone else "   # ? as in DE, GB, US-CAL-CISO: `helio grid map` shows them",
        tier=tier,
        capacity=site.capacity,
        model=device.model.replace('"', ""),
        idle_w=device.idle_w,
        max_w=device.max_w,
    )
    return Described(site, text)


def _option(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise UsageError(f"not an option: {text}", hint="--option KEY=VALUE, as in --option partition=green")
    return key, value
