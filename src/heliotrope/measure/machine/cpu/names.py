"""Any CPU name to a socket: exact where the model is known, its family's span where not, never nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from heliotrope import facts
from heliotrope.facts import Fact

_NOISE = re.compile(
    r"\((?:r|tm)\)|[®™]|@.*$|\b(?:cpu|processor|processors|arm64|with radeon.*|w/ radeon.*)\b"
    r"|\b\w+-cores?\b|\b\d+(?:\.\d+)? ?ghz\b|\baws\b|\bamazon\b|\bgoogle\b|\bazure\b|\bmicrosoft\b",
    re.IGNORECASE,
)
# Makers that put it into the name: AMD EPYC 9V74 80-Core Processor, Threadripper PRO 7995WX 96-Cores
_COUNTS = {"dual": 2, "triple": 3, "quad": 4, "six": 6, "eight": 8, "twelve": 12, "sixteen": 16}
_CORES = re.compile(rf"\b(\d+|{'|'.join(_COUNTS)})-cores?\b", re.IGNORECASE)
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
    more = {} if sku is None else sku.more
    per_core = int(more.get("threads_per_core") or family.more["threads_per_core"])
    cores = int(more.get("cores") or 0) or _cores_told(name)
    if sku is None:
        return _of_family(text, family, cores * per_core, per_core, _unknown(name, family))
    tdp = Span.exact(sku.value)
    if cores:
        threads = Span.exact(float(cores * per_core))
        watts = Span.exact(sku.value / threads.value)
        return Socket(text, family.name, True, tdp, threads, per_core, watts, (sku, family))
    low, high = float(family.more["w_low"]), float(family.more["w_high"])
    typical = min(max(sku.value / (float(family.more["cores"]) * per_core), low), high)
    threads = Span(sku.value / typical, sku.value / high, sku.value / low)
    flag = f"number of cores of {name!r} is not known: the span of {family.name} is used"
    return Socket(text, family.name, False, tdp, threads, per_core, Span(typical, low, high), (sku, family), (flag,))


def _cores_told(name: str) -> int:
    """By the name itself; 0 where it says nothing."""
    found = _CORES.search(name)
    if found is None:
        return 0
    word = found[1].lower()
    return int(word) if word.isdigit() else _COUNTS[word]


def _of_family(text: str, family: Fact, told: int, per_core: int, flag: str) -> Socket:
    """A model that nobody here knows, of `told` threads, or, where that is 0, as many as its family has."""
    cores, fewest, most = (float(family.more[key]) * per_core for key in ("cores", "cores_low", "cores_high"))
    low, high = float(family.more["w_low"]), float(family.more["w_high"])
    if not told:
        watts = min(max(family.value / cores, low), high)
        tdp = Span(family.value, *_span(family.value, watts, low, high))
        threads = Span(cores, fewest, most)
        return Socket(text, family.name, False, tdp, threads, per_core, Span(watts, low, high), (family,), (flag,))
    # The fewer the cores, the faster they run: a socket's power grows about as the root of their number.
    watts = max(family.value / cores * (cores / told) ** 0.5, low)
    each = Span(watts, low, max(high, 1.6 * watts))
    return Socket(
        text, family.name, False, each.times(told), Span.exact(float(told)), per_core, each, (family,), (flag,)
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
