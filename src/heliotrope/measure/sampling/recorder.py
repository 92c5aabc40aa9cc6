"""Adds up the draws of one window into a Measurement. Pure: it knows no meter and no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heliotrope.measure.share.attribution import Part
from heliotrope.model import Provenance, least_trusted

if TYPE_CHECKING:
    from heliotrope.model import Measurement

MAX_BINS = 600  # readings kept for one domain; beyond it, neighbours are joined
Z90 = 1.645  # standard errors from the middle of a normal distribution to where 5 % lie beyond


class Sample(NamedTuple):
    """One meter's domain over one interval: the line of the journal."""

    meter: str
    domain: str
    provenance: Provenance
    counted: bool
    part: Part
    flags: tuple[str, ...] = ()


class _Bin:
    __slots__ = ("end_s", "energy_j", "flags", "high_j", "low_j", "start_s")

    def __init__(self, start_s: float, end_s: float, part: Part, flags: tuple[str, ...]) -> None:
        self.start_s = start_s
        self.end_s = end_s
        self.energy_j, self.low_j, self.high_j, _, _ = part
        self.flags = flags

    def join(self, later: _Bin) -> None:
        self.end_s = later.end_s
        self.energy_j += later.energy_j
        self.low_j += later.low_j
        self.high_j += later.high_j
        if later.flags != self.flags:
            self.flags = tuple(sorted({*self.flags, *later.flags}))


class _Line:
    """Everything of one domain; its bins sum to what is ours of it."""

    __slots__ = ("bins", "counted", "idle_j", "others_j", "provenance")

    def __init__(self, provenance: Provenance, *, counted: bool) -> None:
        self.provenance = provenance
        self.counted = counted
        self.others_j = self.idle_j = 0.0
        self.bins: list[_Bin] = []

    @property
    def mine_j(self) -> float:
        return sum(one.energy_j for one in self.bins)


class Pace:
    """The highest mean watts over stretches no shorter than a meter's own look: what one look may hold."""

    def __init__(self, resolution_s: float) -> None:
        self.resolution_s = resolution_s
        self.peak_w = self._energy_j = self._span_s = 0.0

    def add(self, energy_j: float, span_s: float) -> None:
        self._energy_j += energy_j
        self._span_s += span_s
        if self._span_s >= self.resolution_s:
            self.peak_w = max(self.peak_w, self._energy_j / self._span_s)
            self._energy_j = self._span_s = 0.0

    @property
    def edge_j(self) -> float:
        """What a window may have too much or too little of, since its edges lie between two looks."""
        return self.peak_w * self.resolution_s


class Recorder:
    """`bin_s` grows with the length of the window, so that a week at 10 Hz fits in memory."""

    def __init__(self, name: str, start_s: float, *, bin_s: float) -> None:
        self.name = name
        self.start_s = self.end_s = start_s
        self.bin_s = bin_s
        self.flags: dict[str, None] = {}
        self.lines: dict[tuple[str, str], _Line] = {}

    def tell(self, flags: tuple[str, ...]) -> None:
        if flags:
            self.flags.update(dict.fromkeys(flags))

    def add(self, start_s: float, end_s: float, samples: tuple[Sample, ...]) -> None:
        self.end_s = max(self.end_s, end_s)
        for meter, domain, provenance, counted, part, own_flags in samples:
            line = self.lines.get((meter, domain))
            if line is None:
                line = self.lines[meter, domain] = _Line(provenance, counted=counted)
            line.others_j += part.others_j
            line.idle_j += part.idle_j
            if own_flags:
                self.flags.update(dict.fromkeys(own_flags))
            latest = _Bin(start_s, end_s, part, own_flags)
            bins = line.bins
            if bins and end_s - bins[-1].start_s <= self.bin_s and start_s <= bins[-1].end_s + 1e-6:
                bins[-1].join(latest)
            else:
                bins.append(latest)
                if len(bins) > MAX_BINS:
                    self._coarsen()

    def _coarsen(self) -> None:
        self.bin_s *= 2
        for line in self.lines.values():
            joined: list[_Bin] = []
            for one in line.bins:
                if joined and one.end_s - joined[-1].start_s <= self.bin_s + 1e-6:
                    joined[-1].join(one)
                else:
                    joined.append(one)
            line.bins = joined

    def node(self) -> dict[str, dict[str, float]]:
        """Of each counted domain: mine, others, idle, and the node that they sum to; joules."""
        return {
            domain: {
                "mine": line.mine_j,
                "others": line.others_j,
                "idle": line.idle_j,
                "node": line.mine_j + line.others_j + line.idle_j,
            }
            for (_, domain), line in self.lines.items()
            if line.counted
        }

    def measurement(self, journal: str | None = None, edge_j: float = 0.0) -> Measurement:
        """`edge_j`: by how much the bounds are wider, since meters look only now and then."""
        from heliotrope.model import ZERO, Estimate, Measurement, MeterTotal, Reading

        counted = [line for line in self.lines.values() if line.counted]
        energy = ZERO
        if counted:
            value, low, high = (
                sum(getattr(one, field) for line in counted for one in line.bins)
                for field in ("energy_j", "low_j", "high_j")
            )
            low, high = max(0.0, min(low, value) - edge_j), max(high, value) + edge_j
            energy = Estimate(value, low, high, least_trusted(line.provenance for line in counted))
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
                MeterTotal(meter, domain, line.provenance, line.mine_j) for (meter, domain), line in self.lines.items()
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
                    one.flags,
                )
                for (meter, domain), line in self.lines.items()
                if line.counted
                for one in line.bins
                if one.end_s > one.start_s
            ),
            flags=tuple(flags),
            journal=journal,
        )
