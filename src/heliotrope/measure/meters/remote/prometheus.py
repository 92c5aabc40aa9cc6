"""Joules that others export for Prometheus: DCGM, Kepler, Scaphandre, our own daemon, or any metric you name."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.remote.watch import Watch
from heliotrope.measure.meters.remote.web import fetch
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.model import Provenance, least_trusted

NAME = "prometheus"
EXAMPLE = "helio measure --meter prometheus:http://host:9400/metrics -- CMD"
LINE = re.compile(r"^([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)")
LABEL = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')


class Known(NamedTuple):
    """`scale`: joules or watts in one unit of it; `counts`: goes up; `which`: the labels that tell its domains apart.

    Series that differ in other labels are parts of one domain, and add up.
    """

    scale: float
    counts: bool
    covers: str
    which: tuple[str, ...] = ()
    better: str = ""  # a metric that, where it is there too, says the same better


KNOWN = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Known(1e-3, True, "gpu", ("gpu",)),
    "DCGM_FI_DEV_POWER_USAGE": Known(1.0, False, "gpu", ("gpu",), "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
    # Kepler: from 0.10 on by zone; before it by package and mode (dynamic and idle are parts of one).
    "kepler_node_cpu_joules_total": Known(1.0, True, "cpu", ("zone", "path")),
    "kepler_node_package_joules_total": Known(1.0, True, "cpu", ("package",)),
    "kepler_node_dram_joules_total": Known(1.0, True, "dram", ("package",)),
    "scaph_socket_energy_microjoules": Known(1e-6, True, "cpu", ("socket_id",)),
    "heliotrope_node_joules_total": Known(1.0, True, "cpu", ("meter", "domain")),
}
PER_GPU = {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE"}


def parse(text: str, wanted: str = "") -> tuple[list[Told], frozenset[str]]:
    """Samples of the metrics we know (or of the one that is wanted), each set of telling labels a domain."""
    sums: dict[str, tuple[Known, float, bool]] = {}
    shared: set[tuple[str, str]] = set()
    present = {match[1] for line in text.splitlines() if (match := LINE.match(line))}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        name, labels = match[1], dict(LABEL.findall(match[2] or ""))
        known = _known(name, wanted, labels)
        if known is None or known.better in present:
            continue
        value = _value(match[3], line)
        if value is None:
            continue
        which = [labels[label] for label in known.which if labels.get(label)]
        domain = f"gpu{which[0]}" if name in PER_GPU and which else "-".join([name, *which])
        if name in PER_GPU:
            # Every pod or slice on a GPU is told the whole GPU's figure: the first tells all.
            if (name, domain) in shared:
                continue
            shared.add((name, domain))
        counted = not labels.get("zone", "").startswith(("psys", "core", "uncore"))
        counted = counted and labels.get("counted", "true") != "false"
        before = sums[domain][1] if domain in sums else 0.0
        sums[domain] = (known, before + value * known.scale, counted)
    if not sums:
        raise MeterError("no metric of energy or power that is known", hint="name one: prometheus:URL#METRIC")
    told = [
        Told(
            domain,
            joules=value if known.counts else None,
            watts=None if known.counts else value,
            counted=counted,
            shared=known.covers != "gpu",
        )
        for domain, (known, value, counted) in sums.items()
    ]
    return told, frozenset(known.covers for known, _, _ in sums.values())


def provenance(text: str) -> Provenance:
    """The least trusted that any series says of itself; others are taken to be measured."""
    said = re.findall(r'\bprovenance="(\w+)"', text)
    kinds = [kind for kind in Provenance if kind.value in said]
    return least_trusted(kinds) if kinds else Provenance.MEASURED


def _known(name: str, wanted: str, labels: dict[str, str]) -> Known | None:
    if not wanted:
        return KNOWN.get(name)
    if name != wanted:
        return None
    return KNOWN.get(name) or Known(1.0, wanted.endswith("_total"), "node", tuple(sorted(labels)))


def _value(text: str, line: str) -> float | None:
    """None for NaN, which says that there is no value."""
    try:
        value = float(text)
    except ValueError:
        raise MeterError("not the text that Prometheus reads", cause=line[:80]) from None
    return value if math.isfinite(value) else None


def probe(_system: System) -> Probe:
    return Probe(NAME, True, (), "asked for by address only", EXAMPLE)


def open_meter(opening: Opening) -> IntegratedMeter:
    url, _, metric = opening.target.partition("#")
    if not url:
        raise InvalidInput("the prometheus meter needs an address", field="meters", hint=EXAMPLE)

    def look() -> list[Told]:
        return parse(fetch(url).decode("utf-8", "replace"), metric)[0]

    text = fetch(url).decode("utf-8", "replace")
    covers = parse(text, metric)[1]
    return IntegratedMeter(
        NAME, None, covers=covers, resolution_s=15.0, source=Watch(look), provenance=provenance(text)
    )
