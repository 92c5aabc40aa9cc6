"""What a meter is: something that says how many joules its domains used since it was last asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from heliotrope.measure.machine.system import System
from heliotrope.model import Provenance

BYTES_PER_GB = 1e9
NOBODY = 0  # among the users of a draw: the part that no process has, as an empty slice of a GPU; it is idle


class Probe(NamedTuple):
    """Whether a meter works here; `why` says why not, `hint` is the command or setting that would change it."""

    meter: str
    available: bool
    domains: tuple[str, ...] = ()
    why: str = ""
    hint: str = ""


class Usage(NamedTuple):
    """Work of one interval. `tree_s` and `busy_s` are CPU-seconds of those followed and of the whole node."""

    elapsed_s: float
    tree_s: float
    busy_s: float
    cpus: int
    tree_bytes: int = 0
    pids: frozenset[int] = frozenset()

    @property
    def capacity_s(self) -> float:
        return self.elapsed_s * self.cpus


class Draw(NamedTuple):
    """Joules that one domain of the node used since the last read, 90 % between `low_j` and `high_j`.

    `idle_w`: what the domain draws when nobody works, and what to reckon with beside `low_j` and `high_j`. `users`:
    weight of each process that used it, and of NOBODY; None shares it by CPU time. `mine`: of those followed alone.
    `counted`: False where another domain holds these joules too.
    """

    domain: str
    energy_j: float
    low_j: float
    high_j: float
    idle_w: float = 0.0
    idle_with_low_w: float = 0.0
    idle_with_high_w: float = 0.0
    users: Mapping[int, float] | None = None
    mine: bool = False
    counted: bool = True
    flags: tuple[str, ...] = ()


class Line(NamedTuple):
    """A domain whose draw is a straight line of the work: watts of a busy CPU and of each gigabyte held, with bounds.

    `idle_w`: of an idle CPU, which is nobody's.
    """

    domain: str
    busy_w: tuple[float, float, float]
    idle_w: float
    w_per_gb: tuple[float, float, float]
    flags: tuple[str, ...] = ()


class Meter(Protocol):
    """Siblings under one protocol. The first `read` only sets the counters' start and returns nothing.

    One that has no counter may say the `lines` of its domains: these are reckoned without asking it, and later.
    """

    name: str
    provenance: Provenance
    covers: frozenset[str]  # of "cpu", "dram", "gpu", "node": a modelled meter stands back where a measured one covers
    resolution_s: float

    def read(self, usage: Usage) -> tuple[Draw, ...]: ...

    def close(self) -> None: ...


class Opening(NamedTuple):
    """What a meter is opened with: `target` is what follows its name (`replay:FILE`), `covered` what others measure."""

    system: System
    target: str = ""
    covered: frozenset[str] = frozenset()


class MeterModule(Protocol):
    """What an entry point of the group `heliotrope.meters` names."""

    def probe(self, system: System) -> Probe: ...

    def open_meter(self, opening: Opening) -> Meter | None: ...
