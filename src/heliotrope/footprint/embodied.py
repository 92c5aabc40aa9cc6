"""The carbon of making the hardware, by the time a share of it was held."""

from __future__ import annotations

from heliotrope import facts
from heliotrope.model import Device, Estimate, Factor, Provenance, Site, total

# Hosts of unknown make lie between a laptop and a large two-socket server.
HOST_LOW, HOST, HOST_HIGH = "laptop", "server/arm-2021", "server/apollo-6500"
GPU_LOW, GPU, GPU_HIGH = "gpu/a100-pcie-40gb", "gpu/generic-80gb", "gpu/a100-with-server-share"
LIFETIME_S = 4 * 365 * 86_400.0


def embodied(site: Site, held_s: float) -> tuple[Estimate, tuple[Factor, ...], tuple[str, ...]]:
    """Grams for one unit of the site's capacity held for `held_s` seconds, with factors and flags.

    Every device's grams spread evenly over its life and over the capacity it serves, so a site that is wholly
    used for a whole life has given out exactly what its devices cost; idle time is the site's own.
    """
    share_s = held_s / max(site.capacity, 1)
    if not site.devices:
        each, factors = _typical(HOST_LOW, HOST, HOST_HIGH)
        return each * (share_s / LIFETIME_S), factors, ("embodied carbon assumed: hardware unknown",)
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
    return _typical(GPU_LOW, GPU, GPU_HIGH) if device.kind == "gpu" else _typical(HOST_LOW, HOST, HOST_HIGH)


def _typical(low: str, middle: str, high: str) -> tuple[Estimate, tuple[Factor, ...]]:
    rows = tuple(facts.fact("embodied_carbon", name) for name in (low, middle, high))
    each = Estimate(rows[1].value, rows[0].value, rows[2].value, Provenance.ASSUMED)
    return each, tuple(Factor.of(row) for row in rows)
