"""The carbon of making the hardware, by the time a share of it was held."""

from __future__ import annotations

from heliotrope import facts
from heliotrope.model import Device, Estimate, Factor, Provenance, Site, total

# low, middle, high: rows of facts/embodied_carbon
THREAD = ("thread/dense-server", "thread/server", "thread/laptop")
WATT = ("watt/dense-server", "watt/server", "watt/laptop")
HOST = ("laptop", "server/arm-2021", "server/apollo-6500")
GPU = ("gpu/a100-pcie-40gb", "gpu/generic-80gb", "gpu/a100-with-server-share")
POWER_NOT_SAID = 1.0  # a device's `max_w` where nobody wrote one
LIFETIME_S = 4 * 365 * 86_400.0


def embodied(site: Site, held_s: float) -> tuple[Estimate, tuple[Factor, ...], tuple[str, ...]]:
    """Grams for one unit of the site's capacity held for `held_s` seconds, with factors and flags.

    Every device's grams spread evenly over its life and over the capacity it serves, so a site that is wholly
    used for a whole life has given out exactly what its devices cost; idle time is the site's own. Where no device
    is written down, a unit of capacity is a hardware thread: its share of a server, never the whole of one.
    """
    share_s = held_s / max(site.capacity, 1)
    if not site.devices:
        each, factors = _typical(THREAD)
        flag = "embodied carbon assumed: hardware unknown, charged by the share of a hardware thread"
        return each * (held_s / LIFETIME_S), factors, (flag,)
    parts: list[Estimate] = []
    used: list[Factor] = []
    flags: list[str] = []
    for device in site.devices:
        each, factors = _of(device)
        parts.append(each * (device.count * share_s / device.lifetime_s))
        used += factors
        if device.embodied_g is None:
            flags.append(f"embodied carbon assumed: {device.model}")
    return total(parts), tuple(dict.fromkeys(used)), tuple(dict.fromkeys(flags))


def _of(device: Device) -> tuple[Estimate, tuple[Factor, ...]]:
    if device.embodied_g is not None:
        each = device.embodied_g
        return each, (Factor(f"embodied/{device.model}", each.value, "g", "cradle to gate", "fleet file"),)
    if device.kind == "gpu":
        return _typical(GPU)
    if device.max_w == POWER_NOT_SAID:
        return _typical(HOST)
    # Whether a thread or a whole host is meant, its power says how much of a machine it is.
    each, factors = _typical(WATT)
    return each * device.max_w, factors


def _typical(names: tuple[str, str, str]) -> tuple[Estimate, tuple[Factor, ...]]:
    low, middle, high = rows = tuple(facts.fact("embodied_carbon", name) for name in names)
    each = Estimate(middle.value, low.value, high.value, Provenance.ASSUMED)
    return each, tuple(Factor.of(row) for row in rows)
