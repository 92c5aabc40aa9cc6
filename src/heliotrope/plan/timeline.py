"""A signal cut to a window, as rates and their running integral: what every kernel computes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from heliotrope.errors import SignalGap
from heliotrope.model import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Segment = tuple[float, float]


class Timeline:
    """`rates[i]` per second over `[edges[i], edges[i+1])`; edges in seconds after `origin_s`, so floats stay exact.

    Where the site is `busy` (spans, in order, apart from each other) the rate is infinite: nothing may run there.
    """

    __slots__ = ("busy", "cumulative", "edges", "end", "origin_s", "rates", "start")

    def __init__(self, origin_s: float, edges: Floats, rates: Floats, busy: Sequence[Segment] = ()) -> None:
        self.origin_s = origin_s
        self.edges = edges
        self.start, self.end = edges.item(0), edges.item(-1)
        self.cumulative = np.zeros(len(edges))
        np.multiply(rates, edges[1:] - edges[:-1]).cumsum(out=self.cumulative[1:])
        self.busy = tuple(busy)
        self.rates = rates
        if busy:
            middles = (edges[1:] + edges[:-1]) / 2
            held = np.zeros(len(rates), dtype=bool)
            for start, end in busy:
                held |= (middles > start) & (middles < end)
            self.rates = np.where(held, np.inf, rates)

    def integral(self, start: float, end: float) -> float:
        return self._until(end) - self._until(start)

    def _until(self, at: float) -> float:
        """`np.interp` of one point, at a tenth of its price."""
        edges, total = self.edges, self.cumulative
        i = min(max(int(edges.searchsorted(at, "right")) - 1, 0), len(edges) - 2)
        low, high, done = edges.item(i), edges.item(i + 1), total.item(i)
        return done + (total.item(i + 1) - done) * (min(max(at, low), high) - low) / ((high - low) or 1.0)

    def over(self, segments: list[Segment]) -> float:
        return sum(self.integral(start, end) for start, end in segments)

    def without(self, spans: Iterable[Segment]) -> Timeline:
        """The same, nothing allowed in `spans` (seconds after `origin_s`, in any order, overlapping or not)."""
        busy: list[Segment] = []
        for start, end in sorted((max(a, self.start), min(b, self.end)) for a, b in spans):
            if end <= start:
                continue
            if busy and start <= busy[-1][1]:
                busy[-1] = (busy[-1][0], max(busy[-1][1], end))
            else:
                busy.append((start, end))
        if not busy:
            return self
        return self._at(np.union1d(self.edges, np.ravel(busy)), busy)

    def _at(self, edges: Floats, busy: Sequence[Segment]) -> Timeline:
        cumulative = np.interp(edges, self.edges, self.cumulative)
        return Timeline(self.origin_s, edges, np.diff(cumulative) / np.diff(edges), busy)

    def raised(self, rate: float) -> Timeline:
        """Every second dearer by `rate`."""
        rates = np.diff(self.cumulative) / np.diff(self.edges)
        return Timeline(self.origin_s, self.edges, rates + rate, self.busy)

    def plus(self, other: Timeline) -> Timeline:
        """The sum of two rates over the same window, busy where this one is."""
        edges = np.union1d(self.edges, other.edges)
        total = np.interp(edges, self.edges, self.cumulative) + np.interp(edges, other.edges, other.cumulative)
        return Timeline(self.origin_s, edges, np.diff(total) / np.diff(edges), self.busy)

    def gaps(self) -> list[Segment]:
        """Where work may run: what no busy span covers, in order."""
        if not self.busy:
            return [(self.start, self.end)] if self.end > self.start else []
        ends = [self.start, *(at for span in self.busy for at in span), self.end]
        return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if b > a]

    def held_s(self, starts: Floats, length: float) -> Floats:
        """Seconds of each [start, start + length) that are busy."""
        held = np.zeros(len(starts))
        for start, end in self.busy:
            held += np.clip(np.minimum(starts + length, end) - np.maximum(starts, start), 0.0, None)
        return held

    def coarser(self, step: float) -> Timeline:
        """Steps shorter than `step` merged into their mean, so that no decision is finer than `step`."""
        if len(self.rates) < 3 or float(np.diff(self.edges[1:-1]).min(initial=step)) >= step:
            return self
        inner = np.arange(self.start + step, self.end, step)
        return self._at(np.unique(np.concatenate(([self.start], inner, np.ravel(self.busy), [self.end]))), self.busy)


def timeline(signal: Signal, per_unit: float, origin_s: float, start_s: float, end_s: float) -> Timeline:
    """`signal` over [start_s, end_s), each value times `per_unit` (as in g/s for each g/kWh)."""
    if start_s < signal.start_s or end_s > signal.end_s:
        raise SignalGap(
            "the signal does not cover the window to plan in",
            field=signal.zone,
            found=f"{signal.start_s} to {signal.end_s}",
            allowed=f"{start_s:.0f} to {end_s:.0f} (epoch seconds)",
        )
    first, edges = _steps(signal.start_s, signal.step_s, origin_s, start_s, end_s)
    return Timeline(origin_s, edges, signal.values[first : first + len(edges) - 1] * per_unit)


@lru_cache(maxsize=64)
def _steps(signal_start_s: int, step_s: int, origin_s: float, start_s: float, end_s: float) -> tuple[int, Floats]:
    """The first step that [start_s, end_s) touches, and the edges of all; sites of one plan mostly share them."""
    first = int((start_s - signal_start_s) // step_s)
    last = int(-((signal_start_s - end_s) // step_s))
    inner = (signal_start_s - origin_s) + step_s * np.arange(first + 1, last, dtype=np.float64)
    edges = np.concatenate(([start_s - origin_s], inner, [end_s - origin_s]))
    edges.setflags(write=False)
    return first, edges
