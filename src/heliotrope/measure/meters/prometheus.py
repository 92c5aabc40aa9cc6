"""Joules that others export for Prometheus: DCGM, Kepler, our own daemon, or any metric you name."""

from __future__ import annotations

import re

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.web import fetch
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.measure.system import System

NAME = "prometheus"
LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# metric: (joules in one unit of it, whether it counts up, what it covers)
KNOWN = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": (1e-3, True, "gpu"),
    "DCGM_FI_DEV_POWER_USAGE": (1.0, False, "gpu"),
    "kepler_node_cpu_joules_total": (1.0, True, "cpu"),
    "kepler_node_package_joules_total": (1.0, True, "cpu"),
    "kepler_node_dram_joules_total": (1.0, True, "dram"),
    "heliotrope_node_joules_total": (1.0, True, "cpu"),
}


def parse(text: str, wanted: str = "") -> tuple[list[Told], frozenset[str]]:
    """Samples of the metrics we know (or of the one that is wanted), each series a domain."""
    told: dict[str, Told] = {}
    covers = set()
    present = {match[1] for line in text.splitlines() if (match := LINE.match(line))}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None or not (match[1] == wanted if wanted else match[1] in KNOWN):
            continue
        if match[1] == "DCGM_FI_DEV_POWER_USAGE" and "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in present:
            continue  # the counter beside it is better
        scale, counts, covered = KNOWN.get(match[1], (1.0, wanted.endswith("_total"), "node"))
        labels = dict(LABEL.findall(match[2] or ""))
        which = labels.get("gpu") or labels.get("zone") or labels.get("domain") or labels.get("package") or ""
        zone = labels.get("zone", "")
        domain = f"gpu{which}" if covered == "gpu" else "-".join(part for part in (match[1], which) if part)
        try:
            value = float(match[3]) * scale
        except ValueError:
            raise MeterError("not the text that Prometheus reads", cause=line[:80]) from None
        counted = not zone.startswith(("psys", "core", "uncore"))
        if domain in told:
            raise MeterError(f"two series would be {domain}", hint=f"name one metric: prometheus:URL#{match[1]}")
        told[domain] = Told(domain, value if counts else None, None if counts else value, counted)
        covers.add(covered)
    if not told:
        raise MeterError("no metric of energy or power that is known", hint="name one: prometheus:URL#METRIC")
    return list(told.values()), frozenset(covers)


def probe(_system: System) -> Probe:
    return Probe(
        NAME, True, (), "asked for by address only", "helio measure --meter prometheus:http://host:9400/metrics -- CMD"
    )


def open_meter(opening: Opening) -> IntegratedMeter:
    url, _, metric = opening.target.partition("#")
    if not url:
        raise InvalidInput(
            "the prometheus meter needs an address", field="meters", hint="prometheus:http://host:9400/metrics"
        )

    def look() -> list[Told]:
        return parse(fetch(url).decode("utf-8", "replace"), metric)[0]

    covers = parse(fetch(url).decode("utf-8", "replace"), metric)[1]
    return IntegratedMeter(NAME, look, covers=covers, resolution_s=15.0, every_s=1.0)
