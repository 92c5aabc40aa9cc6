"""Sources that tell watts, or a counter of joules, now and then: turned into energy, with what the gaps may hide."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from heliotrope.errors import MeterError
from heliotrope.measure.protocol import Draw, Usage
from heliotrope.model import Provenance

ERROR = 0.05  # of a watt-meter in a machine, where its maker says nothing: assumed


class Told(NamedTuple):
    """One domain as its source tells it: a counter of joules, or watts."""

    domain: str
    joules: float | None = None
    watts: float | None = None
    counted: bool = True


class IntegratedMeter:
    """`look` asks the source; it raises MeterError when the source does not answer, which is flagged, never fatal."""

    provenance = Provenance.MEASURED

    def __init__(
        self,
        name: str,
        look: Callable[[], list[Told]],
        *,
        covers: frozenset[str],
        resolution_s: float,
        every_s: float = 0.0,
    ) -> None:
        self.name = name
        self.covers = covers
        self.resolution_s = resolution_s
        self._look = look
        self._every_s = every_s
        self._waited_s = 0.0
        self._last: dict[str, Told] = {}
        self._lost = False

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        self._waited_s += usage.elapsed_s
        if self._last and self._waited_s < self._every_s:
            return ()
        elapsed_s, self._waited_s = self._waited_s, 0.0
        try:
            now = {one.domain: one for one in self._look()}
        except MeterError as error:
            self._lost = True
            return (Draw(self.name, 0.0, 0.0, 0.0, flags=(f"{self.name}: {error.what}",)),)
        before, self._last = self._last, now
        draws = [self._draw(before[domain], one, elapsed_s) for domain, one in now.items() if domain in before]
        gone = [
            Draw(domain, 0.0, 0.0, 0.0, flags=(f"{domain}: has vanished",)) for domain in before if domain not in now
        ]
        self._lost = False
        return (*draws, *gone)

    def _draw(self, before: Told, now: Told, elapsed_s: float) -> Draw:
        flags: list[str] = []
        if before.joules is not None and now.joules is not None:
            energy_j = now.joules - before.joules
            low_j, high_j = energy_j * (1 - ERROR), energy_j * (1 + ERROR)
            if energy_j < 0:
                energy_j = low_j = 0.0
                high_j = now.joules
                flags.append(f"{now.domain}: counter was reset, energy before it is missing")
        else:
            watts = [one.watts or 0.0 for one in (before, now)]
            energy_j = sum(watts) / 2 * elapsed_s
            # Between two looks the draw may have been either all the time.
            low_j, high_j = min(watts) * elapsed_s * (1 - ERROR), max(watts) * elapsed_s * (1 + ERROR)
        if self._lost:
            flags.append(f"{now.domain}: was away; its energy meanwhile is interpolated")
        return Draw(now.domain, energy_j, low_j, high_j, counted=now.counted, flags=tuple(flags))

    def close(self) -> None:
        """Holds nothing open."""
