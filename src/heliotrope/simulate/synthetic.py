"""Makes traces of jobs that look like a cluster's, as many as asked, the same for the same seed.

Fitted by tools/fit_trace.py to a public year of 99,988 cloud jobs: lengths are a mixture of log-normals,
devices a distribution of their own (no correlation was found), arrivals Poisson with a daily and a weekly beat.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Floats
from heliotrope.simulate.source import Block, Columns, Frame, Source

PREFIX = "synthetic:"
BLOCK_ROWS = 1 << 16


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
        self._span = room / frame.unit_s
        super().__init__(spec, ("submitted", "length_s", "devices"), frame, ids=ids)

    def blocks(self) -> Iterator[Block]:
        for row in range(0, self.jobs, BLOCK_ROWS):
            yield Block(b"", row + 1, row)

    def columns_of(self, block: Block) -> Columns:
        """Block by block from the seed and the block's place: any order, any thread, the same trace."""
        rng = np.random.Generator(np.random.SFC64((self.seed, block.row)))
        count = min(BLOCK_ROWS, self.jobs - block.row)
        low, high = block.row / self.jobs, (block.row + count) / self.jobs
        gaps = np.cumsum(rng.standard_exponential(count + 1))  # over their sum: uniform, and in order
        u = gaps[:-1] * ((high - low) / gaps[-1]) + low
        # Single precision holds every whole second of a length, at a third of the time.
        weight, median, sigma = np.array(self.profile.lengths, dtype=np.float32).T
        part = _drawn(rng, weight, count)
        length = median[part] * np.exp(sigma[part] * rng.standard_normal(count, dtype=np.float32))
        seconds = np.round(np.clip(length, self.profile.shortest_s, self.profile.longest_s)).astype(np.float64)
        size, share = np.array(self.profile.devices).T
        unit = self.frame.unit_s
        return {
            "submitted": np.round(self._arrival(u) * unit) / unit,
            "length_s": seconds / unit,
            "devices": size[_drawn(rng, share, count)],
        }

    def _arrival(self, u: Any) -> Any:
        """Arrivals in order: the share `u` of all load has come by then, days being of unequal load."""
        days = max(1, int(np.ceil(self._span * self.frame.unit_s / 86_400)))
        edges = np.minimum(np.arange(days + 1) * 86_400 / self.frame.unit_s, self._span)
        load = np.diff(edges) * np.array([self.profile.days[d % 7] for d in range(days)])
        return np.interp(u, np.concatenate([[0.0], np.cumsum(load) / load.sum()]), edges)


def _drawn(rng: np.random.Generator, weight: Floats, count: int) -> Any:
    """Places 0, 1, … in proportion to `weight`. A comparison for each place is faster than a search for few of them."""
    draw = rng.integers(0, 1 << 16, count, dtype=np.uint16)
    place = np.zeros(count, dtype=np.uint8)
    for edge in np.round(np.cumsum(weight) / weight.sum() * (1 << 16))[:-1].astype(np.uint16):
        place += draw >= edge
    return place


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
