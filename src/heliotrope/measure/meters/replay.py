"""Plays a recording (a journal) as if its machine were here: every test and demonstration runs without hardware."""

from __future__ import annotations

import time
from bisect import bisect_right
from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.measure.records.recovery import laps
from heliotrope.model import Provenance

NAME = "replay"


class ReplayMeter:
    """Node energy of the recording by time since the start; when it ends it begins again, and says so."""

    name = NAME
    covers = frozenset({"cpu", "dram", "gpu", "node"})
    resolution_s = 0.001

    def __init__(self, path: Path) -> None:
        self.times_s = [0.0]
        self.curves: dict[str, list[float]] = {}
        self.counted: dict[str, bool] = {}
        kinds = set()
        for lap in laps(path):
            self.times_s.append(self.times_s[-1] + lap.end_s - lap.start_s)
            now: dict[str, float] = {}
            for _, domain, provenance, counted, part, _ in lap.samples:
                now[domain] = now.get(domain, 0.0) + part.node_j
                self.counted[domain] = counted
                kinds.add(provenance)
            for domain in now.keys() | self.curves.keys():
                curve = self.curves.setdefault(domain, [0.0] * (len(self.times_s) - 1))
                curve.append(curve[-1] + now.get(domain, 0.0))
        if len(self.times_s) < 2 or self.times_s[-1] <= 0:
            raise InvalidInput("a recording without a sample", file=str(path))
        # What was modelled or measured elsewhere is at best a model of what happens here.
        self.provenance = Provenance.ASSUMED if Provenance.ASSUMED in kinds else Provenance.MODELLED
        self._began_s: float | None = None
        self._last_s = 0.0

    def _joules(self, domain: str, at_s: float) -> float:
        rounds, at_s = divmod(at_s, self.times_s[-1])
        curve = self.curves[domain]
        i = min(bisect_right(self.times_s, at_s), len(self.times_s) - 1)
        span_s = self.times_s[i] - self.times_s[i - 1]
        part = (at_s - self.times_s[i - 1]) / span_s if span_s else 0.0
        return rounds * curve[-1] + curve[i - 1] + part * (curve[i] - curve[i - 1])

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
            return ()
        at_s = now_s - self._began_s
        flags = ["replayed from a recording"]
        if at_s > self.times_s[-1]:
            flags.append("the recording ended and began again")
        draws = []
        for domain in self.curves:
            energy_j = self._joules(domain, at_s) - self._joules(domain, self._last_s)
            draws.append(Draw(domain, energy_j, energy_j, energy_j, counted=self.counted[domain], flags=tuple(flags)))
        self._last_s = at_s
        return tuple(draws)

    def close(self) -> None:
        """Holds nothing."""


def probe(_system: System) -> Probe:
    return Probe(
        NAME, True, (), "plays a journal as if its machine were here", "helio measure --meter replay:FILE -- CMD"
    )


def open_meter(opening: Opening) -> ReplayMeter:
    if not opening.target:
        raise InvalidInput(
            "the replay meter needs a recording", field="meters", hint="replay:FILE, where FILE is a journal"
        )
    return ReplayMeter(Path(opening.target))
