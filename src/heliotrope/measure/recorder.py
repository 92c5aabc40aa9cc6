"""Adds up the draws of one window into a Measurement. Pure: it knows no meter and no clock."""

from __future__ import annotations

import msgspec

from heliotrope.measure.attribution import Part
from heliotrope.model import ZERO, Estimate, Measurement, MeterTotal, Provenance, Reading, least_trusted

MAX_BINS = 600  # readings kept for one domain; beyond it, neighbours are joined
Z90 = 1.645  # standard errors from the middle of a normal distribution to where 5 % lie beyond


class Sample(msgspec.Struct, frozen=True):
    """One meter's domain over one interval: the line of the journal."""

    meter: str
    domain: str
    provenance: Provenance
    counted: bool
    part: Part
    flags: tuple[str, ...] = ()


class _Bin(msgspec.Struct):
    start_s: float
    end_s: float
    energy_j: float
    low_j: float
    high_j: float
    flags: set[str]

    def add(
        self, end_s: float, energy_j: float, low_j: float, high_j: float, flags: tuple[str, ...] | set[str]
    ) -> None:
        self.end_s = end_s
        self.energy_j += energy_j
        self.low_j += low_j
        self.high_j += high_j
        self.flags.update(flags)


class _Line(msgspec.Struct):
    """Everything of one domain."""

    provenance: Provenance
    counted: bool
    total: _Bin
    others_j: float = 0.0
    idle_j: float = 0.0
    bins: list[_Bin] = msgspec.field(default_factory=list)


class Recorder:
    """`bin_s` grows with the length of the window, so that a week at 10 Hz fits in memory."""

    def __init__(self, name: str, start_s: float, *, bin_s: float) -> None:
        self.name = name
        self.start_s = self.end_s = start_s
        self.bin_s = bin_s
        self.flags: dict[str, None] = {}
        self.lines: dict[tuple[str, str], _Line] = {}

    def add(self, start_s: float, end_s: float, samples: tuple[Sample, ...], flags: tuple[str, ...] = ()) -> None:
        self.end_s = max(self.end_s, end_s)
        self.flags.update(dict.fromkeys(flags))
        for sample in samples:
            part = sample.part
            line = self.lines.get((sample.meter, sample.domain))
            if line is None:
                line = _Line(sample.provenance, sample.counted, _Bin(start_s, start_s, 0.0, 0.0, 0.0, set()))
                self.lines[sample.meter, sample.domain] = line
            line.total.add(end_s, part.mine_j, part.low_j, part.high_j, sample.flags)
            line.others_j += part.others_j
            line.idle_j += part.idle_j
            if not line.bins or end_s - line.bins[-1].start_s > self.bin_s or start_s > line.bins[-1].end_s + 1e-6:
                line.bins.append(_Bin(start_s, start_s, 0.0, 0.0, 0.0, set()))
                if len(line.bins) > MAX_BINS:
                    self._coarsen()
            line.bins[-1].add(end_s, part.mine_j, part.low_j, part.high_j, sample.flags)
            self.flags.update(dict.fromkeys(sample.flags))

    def _coarsen(self) -> None:
        self.bin_s *= 2
        for line in self.lines.values():
            joined: list[_Bin] = []
            for one in line.bins:
                if joined and one.end_s - joined[-1].start_s <= self.bin_s + 1e-6:
                    joined[-1].add(one.end_s, one.energy_j, one.low_j, one.high_j, one.flags)
                else:
                    joined.append(one)
            line.bins = joined

    def node(self) -> dict[str, dict[str, float]]:
        """Of each counted domain: mine, others, idle, and the node that they sum to; joules."""
        return {
            domain: {
                "mine": line.total.energy_j,
                "others": line.others_j,
                "idle": line.idle_j,
                "node": line.total.energy_j + line.others_j + line.idle_j,
            }
            for (_, domain), line in self.lines.items()
            if line.counted
        }

    def measurement(self, journal: str | None = None) -> Measurement:
        counted = [line for line in self.lines.values() if line.counted]
        energy = ZERO
        if counted:
            value, low, high = (
                sum(getattr(line.total, field) for line in counted) for field in ("energy_j", "low_j", "high_j")
            )
            energy = Estimate(value, min(low, value), max(high, value), least_trusted(l.provenance for l in counted))
        flags = dict(self.flags)
        if not counted:
            flags["nothing was measured"] = None
        return Measurement(
            name=self.name,
            start_s=self.start_s,
            end_s=self.end_s,
            duration_s=self.end_s - self.start_s,
            energy_j=energy,
            meters=tuple(
                MeterTotal(meter, domain, line.provenance, line.total.energy_j)
                for (meter, domain), line in self.lines.items()
            ),
            readings=tuple(
                Reading(
                    meter,
                    domain,
                    one.start_s,
                    one.end_s,
                    one.energy_j,
                    (one.high_j - one.low_j) / (2 * Z90),
                    line.provenance,
                    tuple(sorted(one.flags)),
                )
                for (meter, domain), line in self.lines.items()
                if line.counted
                for one in line.bins
                if one.end_s > one.start_s
            ),
            flags=tuple(flags),
            journal=journal,
        )
