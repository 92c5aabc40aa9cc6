"""Sources that tell watts, or a counter of joules, now and then: turned into energy, with what the gaps may hide."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from heliotrope import facts
from heliotrope.errors import MeterError
from heliotrope.facts import Fact
from heliotrope.measure.protocol import Draw, Usage
from heliotrope.model import Provenance

ERROR = 0.05  # of a watt-meter in a machine, where its maker says nothing: assumed
FRESH = 3.0  # times its usual interval that a last reading may stand for what follows


class Told(NamedTuple):
    """One domain as its source tells it: a counter of joules, or watts.

    `counter_range_j`: where the counter begins again. `shared`: CPU time tells who used it; else all of it is counted.
    """

    domain: str
    joules: float | None = None
    watts: float | None = None
    counted: bool = True
    counter_range_j: float = 0.0
    shared: bool = True


class Point(NamedTuple):
    """What a source told at one second of a steady clock."""

    at_s: float
    told: list[Told]


class Source(Protocol):
    """Where points come from. `take` gives those since the last; it raises MeterError when there is no answer."""

    def take(self, elapsed_s: float) -> list[Point]: ...

    def now_s(self) -> float: ...

    def close(self) -> None: ...


class Direct:
    """A source that answers at once (a file): asked at every sample, or every `every_s`."""

    def __init__(self, look: Callable[[], list[Told]], every_s: float = 0.0) -> None:
        self._look = look
        self._every_s = every_s
        self._now_s = 0.0
        self._next_s = 0.0

    def take(self, elapsed_s: float) -> list[Point]:
        self._now_s += elapsed_s
        if self._now_s < self._next_s:
            return []
        self._next_s = self._now_s + self._every_s
        return [Point(self._now_s, self._look())]

    def now_s(self) -> float:
        return self._now_s

    def close(self) -> None:
        """Holds nothing open."""


class _Domain:
    """Joules of one domain up to its last point, and how many of them (with bounds) have been handed out."""

    def __init__(self, at_s: float, told: Told, idle: Fact) -> None:
        self.at_s, self.told = at_s, told
        self.least_w: float | None = None
        self._idle, self._idle_low = idle.value, float(idle.more["low"])
        self.known = (0.0, 0.0, 0.0)
        self.given = (0.0, 0.0, 0.0)
        self.watts: tuple[float, float, float] | None = None if told.watts is None else _around(told.watts)
        self.present = True

    def add(self, at_s: float, now: Told) -> list[str]:
        """Joules since the last point are known now; what is strange about them."""
        before, span_s = self.told, at_s - self.at_s
        self.told, self.at_s = now, at_s
        flags: list[str] = []
        if before.joules is not None and now.joules is not None:
            used_j = now.joules - before.joules
            if used_j < 0 and now.counter_range_j and used_j + now.counter_range_j < now.counter_range_j / 2:
                used_j += now.counter_range_j
            low_j, high_j = used_j * (1 - ERROR), used_j * (1 + ERROR)
            if used_j < 0:
                used_j, low_j = now.joules, now.joules * (1 - ERROR)
                high_j = now.joules * (1 + ERROR) + (self.watts[2] if self.watts else 0.0) * span_s
                flags.append(f"{now.domain}: counter was reset, energy before it is missing")
            if span_s > 0 and used_j > 0:
                self.watts = _around(used_j / span_s)
        else:
            pair = (before.watts or 0.0, now.watts or 0.0)
            used_j = sum(pair) / 2 * span_s
            # Between two looks the draw may have been either all the time.
            low_j, high_j = min(pair) * span_s * (1 - ERROR), max(pair) * span_s * (1 + ERROR)
            self.watts = (pair[1], min(pair) * (1 - ERROR), max(pair) * (1 + ERROR))
        if span_s > 0 and used_j > 0:
            self.least_w = used_j / span_s if self.least_w is None else min(self.least_w, used_j / span_s)
        self.known = (self.known[0] + used_j, self.known[1] + low_j, self.known[2] + high_j)
        return flags

    def hand_out(self, now_s: float, flags: list[str]) -> Draw:
        """All that was used until now and was not handed out yet: the last watts stand for what follows them."""
        since_s = max(0.0, now_s - self.at_s)
        upto = self.known
        if since_s > 0 and self.watts is not None:
            upto = (
                upto[0] + self.watts[0] * since_s,
                upto[1] + self.watts[1] * since_s,
                upto[2] + self.watts[2] * since_s,
            )
        value, low, high = (max(0.0, now - given) for now, given in zip(upto, self.given, strict=True))
        low, high = min(low, value), max(high, value)
        if self.watts is None:
            flags = [*flags, f"{self.told.domain}: a counter that was read once tells nothing yet"]
        self.given = (self.given[0] + value, self.given[1] + low, self.given[2] + high)
        told = self.told
        if not told.shared:
            flags = [*flags, f"{told.domain}: its users are not shown, all of it is counted"]
            return Draw(told.domain, value, low, high, mine=True, counted=told.counted, flags=tuple(flags))
        # Idle power lies below the least seen, and nobody is ever idle enough to show it.
        power_w = 0.0 if self.watts is None else self.watts[0]
        least_w = power_w if self.least_w is None else min(self.least_w, power_w)
        idle = (min(least_w, self._idle * power_w), least_w, self._idle_low * least_w)
        return Draw(told.domain, value, low, high, *idle, counted=told.counted, flags=tuple(flags))


def _around(watts: float) -> tuple[float, float, float]:
    return watts, watts * (1 - ERROR), watts * (1 + ERROR)


class IntegratedMeter:
    """A source that does not answer is flagged, never fatal; what it tells when it is back fills the gap."""

    def __init__(
        self,
        name: str,
        look: Callable[[], list[Told]] | None,
        *,
        covers: frozenset[str],
        resolution_s: float,
        source: Source | None = None,
        provenance: Provenance = Provenance.MEASURED,
    ) -> None:
        assert look is not None or source is not None
        self.provenance = provenance
        self._idle = facts.fact("power_model", "node_idle")
        self.name = name
        self.covers = covers
        self.resolution_s = resolution_s
        self._source: Source = source or Direct(look)  # type: ignore[arg-type]  # one of the two is there
        self._domains: dict[str, _Domain] = {}
        self._lost = False

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        try:
            points = self._source.take(usage.elapsed_s)
        except MeterError as error:
            self._lost = True
            return (Draw(self.name, 0.0, 0.0, 0.0, flags=(f"{self.name}: {error.what}",)),)
        new = not self._domains
        flags: dict[str, list[str]] = {}
        for point in points:
            self._add(point, flags)
        if points:
            self._lost = False
        if new:
            return ()
        now_s = self._source.now_s()
        return tuple(
            domain.hand_out(
                now_s if domain.present and self._fresh(domain, now_s) else domain.at_s, flags.get(name, [])
            )
            for name, domain in self._domains.items()
        )

    def _add(self, point: Point, flags: dict[str, list[str]]) -> None:
        told = {one.domain: one for one in point.told}
        for name, one in told.items():
            domain = self._domains.get(name)
            if domain is None:
                self._domains[name] = _Domain(point.at_s, one, self._idle)
                continue
            strange = domain.add(point.at_s, one)
            if self._lost or not domain.present:
                strange.append(f"{name}: was away; its energy meanwhile is interpolated")
            domain.present = True
            flags.setdefault(name, []).extend(strange)
        for name, domain in self._domains.items():
            if name not in told:
                domain.present = False
                flags.setdefault(name, []).append(f"{name}: has vanished")

    def _fresh(self, domain: _Domain, now_s: float) -> bool:
        return now_s - domain.at_s <= FRESH * self.resolution_s

    def close(self) -> None:
        self._source.close()
