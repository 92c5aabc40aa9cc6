"""Any CPU name to a socket: exact where the model is known, its family's span where not, never nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from heliotrope import facts
from heliotrope.facts import Fact

_NOISE = re.compile(
    r"\((?:r|tm)\)|[®™]|@.*$|\b(?:cpu|processor|processors|arm64|with radeon.*|w/ radeon.*)\b"
    r"|\b\d+-core\b|\b\d+(?:\.\d+)? ?ghz\b|\baws\b|\bamazon\b|\bgoogle\b|\bazure\b|\bmicrosoft\b",
    re.IGNORECASE,
)
# A cloud's name for a machine: m7g.large, n2d-standard-8, Standard_D8s_v5, VM.Standard.E4.Flex, ecs.g7.large
_INSTANCE = re.compile(
    r"[a-z]+\d+[a-z]*(?:-[a-z]+)?\.(?:\d*x?large|nano|micro|small|medium|metal)|[a-z]\d[a-z]?-[a-z]+|Standard_|VM\.|ecs\.",
    re.IGNORECASE,
)
UNKNOWN = "any server"
ALONE_ON_CORE = 1.5  # a core with one busy thread draws about three quarters of what it draws with two
HIDDEN = frozenset({UNKNOWN, "qemu x86", "amd epyc", "intel xeon", "aws graviton", "intel core", "amd ryzen", "arm"})


class Span(NamedTuple):
    """A modelled value, 90 % between low and high."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Span:
        return cls(value, value, value)

    def times(self, factor: float) -> Span:
        return Span(self.value * factor, self.low * factor, self.high * factor)


class Socket(NamedTuple):
    """One CPU package. `watts_per_thread` is its design power over its threads; `share` is one vCPU's part of it."""

    name: str
    family: str
    exact: bool
    tdp_w: Span
    threads: Span
    threads_per_core: int
    watts_per_thread: Span
    facts: tuple[Fact, ...]
    flags: tuple[str, ...] = ()

    @property
    def share(self) -> Span:
        """Of the socket, for one vCPU: a hardware thread, at the most a core of its own."""
        threads = self.threads
        return Span(1 / threads.value, 1 / threads.high, self.threads_per_core / threads.low)

    @property
    def vcpu_w(self) -> Span:
        """Watts of one busy vCPU; the interval holds the model, the code and whether it has its core alone."""
        full = facts.fact("power_model", "cpu_full")
        watts = self.watts_per_thread
        alone = ALONE_ON_CORE if self.threads_per_core > 1 else 1.0
        return Span(
            watts.value * full.value,
            watts.low * float(full.more["low"]),
            watts.high * float(full.more["high"]) * alone,
        )

    @property
    def vcpu_idle_w(self) -> Span:
        idle = facts.fact("power_model", "cpu_idle")
        watts = self.watts_per_thread
        low, high = float(idle.more["low"]), float(idle.more["high"])
        return Span(watts.value * idle.value, watts.low * low, watts.high * high)


def clean(name: str) -> str:
    """`AMD EPYC 7763 64-Core Processor` to `amd epyc 7763`."""
    return re.sub(r"\s+", " ", _NOISE.sub(" ", name)).strip(" ,").lower()


def resolve(name: str, cpuid: str = "") -> Socket:
    """`name`: of a CPU, or a cloud's of a machine. `cpuid`, which may be empty: as /proc/cpuinfo has it.

    That is `family/model/stepping` on x86 and `implementer/part` on Arm.
    """
    text = clean(name)
    family = _family(text, name.strip(), cpuid)
    sku = _sku(text)
    w_low, w_high = float(family.more["w_low"]), float(family.more["w_high"])
    per_core = int(family.more["threads_per_core"])
    cores, fewest, most = (float(family.more[key]) * per_core for key in ("cores", "cores_low", "cores_high"))
    threads = Span(cores, fewest, most)
    if sku is None:
        watts = min(max(family.value / threads.value, w_low), w_high)
        return Socket(
            text,
            family.name,
            False,
            Span(family.value, *_span(family.value, watts, w_low, w_high)),
            threads,
            per_core,
            Span(watts, w_low, w_high),
            (family,),
            (_unknown(name, family),),
        )
    tdp = Span.exact(sku.value)
    if sku.more.get("cores"):
        threads = Span.exact(float(int(sku.more["cores"]) * per_core))
        watts_per_thread = Span.exact(sku.value / threads.value)
        return Socket(text, family.name, True, tdp, threads, per_core, watts_per_thread, (sku, family))
    watts = min(max(sku.value / threads.value, w_low), w_high)
    return Socket(
        text,
        family.name,
        False,
        tdp,
        Span(sku.value / watts, sku.value / w_high, sku.value / w_low),
        per_core,
        Span(watts, w_low, w_high),
        (sku, family),
        (f"number of cores of {name!r} is not known: the span of {family.name} is used",),
    )


def _unknown(name: str, family: Fact) -> str:
    if family.name == UNKNOWN:
        return f"CPU {name or 'without a name'!r} is not known: the span of all servers is used"
    if family.more["cores_low"] == family.more["cores_high"]:
        return f"power of {family.name} is not published: a span of estimates is used"
    return f"CPU model behind {name!r} is not known: the span of {family.name} is used"


def _span(tdp_w: float, watts: float, w_low: float, w_high: float) -> tuple[float, float]:
    """A family's sockets differ in cores more than in watts a thread: the socket's bounds are a milder span."""
    return tdp_w * max(0.4, w_low / watts), tdp_w * min(2.0, w_high / watts)


def _sku(text: str) -> Fact | None:
    if not any(letter.isdigit() for letter in text):
        return None
    rows = {row.name: row for row in facts.table("cpu_skus")}
    for candidate in (text, f"amd {text}", f"intel {text}", re.sub(r" v(\d)$", r"v\1", text)):
        if candidate in rows:
            return rows[candidate]
    return None


def _family(text: str, name: str, cpuid: str) -> Fact:
    """By name; a name that hides the generation (as guests' names do) is helped out by what CPUID says."""
    rows = facts.table("cpu_families")
    if _INSTANCE.match(name):
        for row in rows:
            if row.more["instances"] and re.search(row.more["instances"], name.lower()):
                return row
    by_name = next(row for row in rows if re.search(row.more["pattern"], text))
    if by_name.name in HIDDEN and cpuid:
        for row in rows:
            if row.more["cpuid"] and _matches(row.more["cpuid"], cpuid):
                return row
    return by_name


def _matches(pattern: str, cpuid: str) -> bool:
    """Part by part; a part of the pattern may be a range; parts that the pattern leaves out match anything."""
    found = cpuid.lower().split("/")
    wanted = pattern.lower().split("/")
    if len(found) < len(wanted):
        return False
    for want, have in zip(wanted, found, strict=False):
        low, _, high = want.partition("-")
        try:
            if not int(low, 0) <= int(have, 0) <= int(high or low, 0):
                return False
        except ValueError:
            return False
    return True
