"""The machine that we are on, as a site: what its agent says of it, and a first draft for the fleet file."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from heliotrope.errors import MeterError, MissingExtra, UsageError
from heliotrope.fleet.fleet import completed
from heliotrope.grid import zones
from heliotrope.measure.machine.cpu.this import this_cpu
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters import nvml
from heliotrope.model import Device, Site, Tier

CLUSTERS = {"slurm": "sbatch", "kubernetes": "kubectl", "ray": "ray"}  # known by their client
MW_PER_W = 1e3
MANY = 8  # accelerators: a node of a machine room, not a machine under a desk


class Described(msgspec.Struct, frozen=True):
    """`text`: a part of a fleet file. `clusters`: engines whose clients are here."""

    site: Site
    text: str
    clusters: tuple[str, ...]


def this_site(zone: str, engine: str = "local", options: Iterable[str] = ()) -> Site:
    """What the agent answers for. A cluster's nodes are not this machine's: nothing is said of their devices."""
    devices = found(System()) if engine == "local" else ()
    return Site(
        "here",
        zone,
        engine=engine,
        engine_options=dict(_option(one) for one in options),
        devices=devices,
        capacity=_capacity(devices),
    )


def found(system: System, library: Any = None) -> tuple[Device, ...]:
    """Threads and accelerators, with what they draw at most: no reading above that is believed of them."""
    cpu = this_cpu(system)
    threads = Device(
        "cpu",
        cpu.socket.name,
        count=cpu.vcpus,
        idle_w=cpu.socket.vcpu_idle_w.value,
        max_w=cpu.socket.vcpu_w.high,
    )
    return (threads, *_accelerators(system, library))


def _accelerators(system: System, library: Any) -> list[Device]:
    """NVIDIA's, as their driver tells; none without a driver that answers, or without the extra that speaks to it."""
    if library is None:
        if not nvml.has_driver(system):
            return []
        try:
            library = nvml.load()
        except (MissingExtra, MeterError):
            return []
    alike: Counter[tuple[str, float]] = Counter()
    for index in range(library.nvmlDeviceGetCount()):
        handle = library.nvmlDeviceGetHandleByIndex(index)
        name = library.nvmlDeviceGetName(handle)
        try:
            _, most_mw = library.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        except library.NVMLError:
            continue  # a device whose limit nobody knows answers for nothing
        alike[name.decode() if isinstance(name, bytes) else str(name), most_mw / MW_PER_W] += 1
    return [
        Device(f"gpu{number}", model, kind="gpu", count=count, max_w=max_w)
        for number, ((model, max_w), count) in enumerate(alike.items())
    ]


def _capacity(devices: tuple[Device, ...]) -> int:
    accelerators = sum(device.count for device in devices if device.kind == "gpu")
    return accelerators or os.cpu_count() or 1


def described(name: str, zone: str, tier: str | None) -> Described:
    """A misspelt zone is refused here, where it can still be mended. `tier` None: by what is found."""
    if zone:
        zones.find(zone)
    here = this_site(zone)
    clusters = tuple(engine for engine, client in CLUSTERS.items() if shutil.which(client))
    site = msgspec.structs.replace(here, name=name, tier=Tier(tier) if tier else _tier(here, clusters), engine="agent")
    return Described(site, _draft(site, completed(site), clusters), clusters)


def _tier(here: Site, clusters: tuple[str, ...]) -> Tier:
    accelerators = sum(device.count for device in here.devices if device.kind == "gpu")
    if "slurm" in clusters or accelerators >= MANY:
        return Tier.CENTRAL
    return Tier.REGIONAL if accelerators else Tier.EDGE


def _draft(site: Site, whole: Site, clusters: tuple[str, ...]) -> str:
    """`whole`: with what follows where nobody says otherwise."""
    cooling, quoted = whole.cooling, partial(json.dumps, ensure_ascii=False)
    cooled = {"pue": cooling.pue, "pue_low": cooling.pue_low, "pue_high": cooling.pue_high, "wue_l_per_kwh": "?"}
    unit = "accelerators" if any(device.kind == "gpu" for device in site.devices) else "threads"
    lines = [
        "# Found on this machine; `?` is what nobody but you knows, and # in front what holds until you say otherwise.",
        "[[site]]",
        f"name = {quoted(site.name)}",
        f"zone = {quoted(site.zone)}" + ("" if site.zone else f"   # ? its power grid{_perhaps()}; `helio grid zones`"),
        f"tier = {quoted(site.tier.value)}   # edge answers, regional fine-tunes, central trains",
        f"# jurisdiction = {quoted(whole.jurisdiction or '?')}   # where data that is brought here lies",
        'engine = "agent"',
        f"capacity = {site.capacity}   # as many at once as it has {unit}",
        "# power_cap_w = ?   # what its racks may draw together",
        f"# cooling = {{ {', '.join(f'{key} = {value}' for key, value in cooled.items())} }}",
        "# price_eur_per_mwh = ?",
    ]
    for device in site.devices:
        lines += [
            "",
            "[[site.devices]]",
            f"id = {quoted(device.id)}",
            f"model = {quoted(device.model)}",
            f"kind = {quoted(device.kind)}",
            f"count = {device.count}",
            *([f"idle_w = {device.idle_w:.2f}   # of one thread, modelled"] if device.kind == "cpu" else []),
            f"max_w = {device.max_w:.2f}   # of one; readings above 1.25 times the sum are not believed",
        ]
    if clusters:
        lines += [
            "",
            f"# Clients of {', '.join(clusters)} are here; an agent can use one of them in place of this machine:",
        ]
        lines += [
            f"#   helio site join URL --token TOKEN --engine {clusters[0]}   (then write down its nodes' devices)"
        ]
    lines += [
        "",
        "# Whose it is, and what others may use while it is idle (docs/run.md, Sharing):",
        "# [[organisation]]",
        '# name = "?"',
        f"# owns = {{ {quoted(site.name)} = 1.0 }}",
        "# lends = 0.5",
    ]
    return "\n".join(lines) + "\n"


def _perhaps() -> str:
    """The countries that keep this machine's time, where its clock is set to a place: a hint, never taken as said."""
    town = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    table = System().text("usr/share/zoneinfo/zone1970.tab") or ""
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    codes = next((row[0] for row in rows if len(row) > 2 and row[2] == town), "")
    return (
        f", perhaps {' or '.join(codes.split(',')[:3])} ({town} on its clock)"
        if codes
        else ", as in DE, GB, US-CAL-CISO"
    )


def _option(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise UsageError(f"not an option: {text}", hint="--option KEY=VALUE, as in --option partition=green")
    return key, value
