"""Makes traces of jobs that look like a cluster's, as many as asked, the same for the same seed.

Fitted by tools/fit_trace.py to a public year of 99,988 cloud jobs: lengths are a mixture of log-normals,
devices a distribution of their own (no correlation was found), arrivals Poisson with a daily and a weekly beat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Floats, Longs
from heliotrope.simulate.source import Block, Columns, Frame, Source
from heliotrope.units import S_PER_DAY

PREFIX = "synthetic:"
BLOCK_ROWS = 1 << 16
TICKETS = 1 << 16


class Profile(msgspec.Struct, frozen=True):
    """`lengths`: (weight, median s, log-sigma) of each part. `days`: load by day of the week, mean 1."""

    lengths: tuple[tuple[float, float, float], ...]
    shortest_s: float
    longest_s: float
    devices: tuple[tuple[float, float], ...]
    days: tuple[float, ...]


CLOUD_YEAR = Profile(
    lengths=((0.1841, 600.0, 0.0), (0.4428, 1693.5, 0.5005), (0.3731, 16072.2, 1.2791)),
    shortest_s=600.0,
    longest_s=258_900.0,
    devices=((2.0, 0.5811), (4.0, 0.3024), (8.0, 0.0769), (24.0, 0.0352), (30.0, 0.0044)),
    days=(1.0811, 1.0691, 1.0249, 0.9826, 0.9425, 0.9153, 0.9846),
)


class Synthetic(Source):
    """`synthetic:JOBS[:SEED]`: that many jobs, spread over what the grid leaves after the trace's origin."""

    def __init__(self, spec: str, frame: Frame, *, ids: bool = False, profile: Profile = CLOUD_YEAR) -> None:
        self.jobs, self.seed = _parsed(spec)
        self.profile = profile
        room = frame.curves.end_s - frame.origin_s - profile.longest_s - max(frame.waits.short_s, frame.waits.long_s)
        if room <= 0:
            raise InvalidInput(
                "the grid is too short for a synthetic trace",
                found=f"{frame.curves.end_s / 3600:g} h",
                allowed=f"more than {(frame.curves.end_s - room) / 3600:.0f} h from --start-hour",
            )
        self._span_s = room
        super().__init__(spec, ("submitted", "length_s", "devices"), frame, ids=ids)

    def blocks(self) -> Iterator[Block]:
        for row in range(0, self.jobs, BLOCK_ROWS):
            yield Block(b"", row + 1, row)

    def columns_of(self, block: Block) -> Columns:
        """Block by block from the seed and the block's place: any order, any thread, the same trace."""
        rng = np.random.Generator(np.random.SFC64((self.seed, block.row)))
        count = min(BLOCK_ROWS, self.jobs - block.row)
        low, high = block.row / self.jobs, (block.row + count) / self.jobs
        # Gaps over their sum: uniform, and in order. Each number is worked on where it lies.
        u = np.cumsum(rng.standard_exponential(count + 1, dtype=np.float32), dtype=np.float64)
        u *= (high - low) / u[-1]
        u += low
        length, devices = rng.integers(0, TICKETS, (2, count), dtype=np.uint16)
        seconds, sizes = _tickets(self.profile)
        return {
            "submitted": self._arrival(u[:-1]),
            "length_s": seconds[length] / self.frame.unit_s,
            "devices": sizes[devices],
        }

    def _arrival(self, u: Floats) -> Floats:
        """Whole seconds, in order: the share `u` of all load has come by then, days being of unequal load."""
        come, edges = self._days
        inner = come[1:-1]
        first, last = np.searchsorted(inner, u[[0, -1]], side="right")
        parts = np.split(u, np.searchsorted(u, inner[first:last]))
        for day, of_day in enumerate(parts, start=int(first)):
            np.subtract(of_day, come[day], out=of_day)
            np.multiply(of_day, (edges[day + 1] - edges[day]) / (come[day + 1] - come[day]), out=of_day)
            np.add(of_day, edges[day], out=of_day)
        return np.asarray(np.rint(u, out=u) / self.frame.unit_s)

    @cached_property
    def _days(self) -> tuple[Floats, Floats]:
        """The share of all load that has come when each day begins, and that beginning in seconds; then the end."""
        days = max(1, math.ceil(self._span_s / S_PER_DAY))
        edges = np.minimum(np.arange(days + 1.0) * S_PER_DAY, self._span_s)
        load = np.cumsum([0.0, *(np.diff(edges) * np.resize(self.profile.days, days))])
        return load / load[-1], edges


@lru_cache(maxsize=4)
def _tickets(profile: Profile) -> tuple[Floats, Floats]:
    """Lengths in whole seconds, and devices; each on as many tickets as its share is, so that a draw is a look-up."""
    x = np.linspace(-8.0, 8.0, 1 << 14)
    below = np.cumsum(np.exp(-(x**2) / 2))
    parts = []
    for (_, median, sigma), held in zip(profile.lengths, _shares([w for w, *_ in profile.lengths]), strict=True):
        normal = np.interp((np.arange(held) + 0.5) / held, below / below[-1], x)
        parts.append(median * np.exp(sigma * normal))
    seconds = np.rint(np.clip(np.concatenate(parts), profile.shortest_s, profile.longest_s))
    return seconds, np.repeat([size for size, _ in profile.devices], _shares([share for _, share in profile.devices]))


def _shares(weights: list[float]) -> Longs:
    """How many tickets each has."""
    edges = np.rint(np.cumsum([0.0, *weights]) / sum(weights) * TICKETS)
    return np.diff(edges).astype(np.int64)


def _parsed(spec: str) -> tuple[int, int]:
    parts = spec.removeprefix(PREFIX).split(":")
    if len(parts) > 2 or not all(p.isdigit() for p in parts) or int(parts[0]) < 1:
        raise InvalidInput("not a synthetic trace", field="--jobs", found=spec, allowed="synthetic:JOBS[:SEED]")
    return int(parts[0]), int(parts[1]) if len(parts) == 2 else 0


def write(source: Source, path: Path) -> None:
    """As CSV, in our columns."""
    with path.open("w", encoding="utf-8") as file:
        file.write("submitted,length_s,devices\n")
        for block in source.blocks():
            columns = source.columns_of(block)
            file.writelines(
                f"{a:.12g},{b:.12g},{c:g}\n"
                for a, b, c in zip(*(columns[n].tolist() for n in ("submitted", "length_s", "devices")), strict=True)
            )
