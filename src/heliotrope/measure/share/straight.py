"""Domains whose draw is a straight line of the work: samples without a meter asked, as late as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from heliotrope.measure.protocol import BYTES_PER_GB, Line, Meter
from heliotrope.measure.sampling.recorder import Sample
from heliotrope.measure.share.attribution import Part
from heliotrope.model import Provenance

Lap = tuple[float, float, tuple[Sample, ...]]  # start and end of an interval, what each domain drew in it
# Work noted: when, CPU-seconds of those followed since the beat before, bytes held. Bare, since a class costs more.
Beat = tuple[float, float, int]


class Straight(NamedTuple):
    """The lines of all meters (name, provenance, line) on a node of so many CPUs."""

    lines: tuple[tuple[str, Provenance, Line], ...]
    cpus: int

    def samples(self, elapsed_s: float, beat: Beat, others_s: float | None) -> tuple[Sample, ...]:
        """`others_s`: CPU-seconds of all others; None where nobody looked, and nothing is said of them or of idle."""
        return tuple(
            Sample(meter, line.domain, provenance, True, self._part(line, elapsed_s, beat, others_s), line.flags)
            for meter, provenance, line in self.lines
        )

    def _part(self, line: Line, elapsed_s: float, beat: Beat, others_s: float | None) -> Part:
        """What `part_of` makes of the same meter's draw, at a third of the price."""
        _, tree_s, tree_bytes = beat
        _, (value_w, low_w, high_w), idle_w, (value, low, high), _ = line
        gb_s = tree_bytes / BYTES_PER_GB * elapsed_s
        idle_s = 0.0 if others_s is None else max(0.0, self.cpus * elapsed_s - tree_s - others_s)
        return Part(
            value_w * tree_s + value * gb_s,
            low_w * tree_s + low * gb_s,
            high_w * tree_s + high * gb_s,
            value_w * (others_s or 0.0),
            idle_w * idle_s,
        )

    def laps(self, start_s: float, beats: list[Beat], others_s: float | None) -> Iterator[Lap]:
        """Of each beat; what the others worked is spread over them evenly."""
        pace = None if others_s is None or not beats else others_s / max(beats[-1][0] - start_s, 1e-9)
        for beat in beats:
            end_s, _, _ = beat
            elapsed_s = end_s - start_s
            yield start_s, end_s, self.samples(elapsed_s, beat, None if pace is None else pace * elapsed_s)
            start_s = end_s


def straight(meters: list[Meter], cpus: int) -> Straight | None:
    """None where one of them has to be asked."""
    lines = {meter: getattr(meter, "lines", ()) for meter in meters}
    if not all(lines.values()):
        return None
    return Straight(tuple((meter.name, meter.provenance, line) for meter in meters for line in lines[meter]), cpus)
