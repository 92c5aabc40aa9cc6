"""`with frugal() as power: … power.step()`: finds the limit at which a step costs least, and leaves no trace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from heliotrope.errors import MeterError
from heliotrope.measure import registry
from heliotrope.measure.machine.system import System
from heliotrope.measure.power.knobs import Found
from heliotrope.measure.power.lease import Lease, borrow, check
from heliotrope.measure.power.search import Finding, Search
from heliotrope.measure.protocol import Meter, Usage
from heliotrope.measure.training import devices
from heliotrope.measure.training.ranks import who


class Outcome(msgspec.Struct, frozen=True):
    """What was found and what it did. Shares are against the same work without a limit, 90 % from low to high."""

    knobs: tuple[str, ...]
    unit: str
    chosen: Finding
    settled: bool
    tried: tuple[Finding, ...]
    steps: int
    duration_s: float
    flags: tuple[str, ...]


class Frugal:
    """Opt-in. `max_slowdown`: how much longer the work may take, search included (0.05: 5 %).

    `knobs`: turned together, at equal shares of what stood; by default the limits of all GPUs, else of all packages.
    `rest_w`: watts that go on while the work does and no meter here sees (the rest of the node).
    """

    def __init__(
        self,
        *,
        max_slowdown: float = 0.05,
        knobs: Sequence[str] = (),
        rest_w: float = 0.0,
        window_s: float = 2.0,
        lease: Lease | None = None,
        joules: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        system: System | None = None,
    ) -> None:
        self._system = system or System()
        self._clock = clock
        self._meters: list[Meter] = []
        self._joules = joules or self._metered()
        self._flags: dict[str, None] = {}
        self._lease: Lease | None = lease or borrow(self._system)
        try:
            self.knobs = tuple(knobs) or by_default(self._lease.knobs())
            levels = [self._lease.take(knob) for knob in self.knobs]
            for knob, theirs in zip(self.knobs, levels, strict=True):
                check(theirs, knob)
            self._unit = next(found.unit for found in self._lease.knobs() if found.name == self.knobs[0])
            # Together, at equal shares of what stood: none falls below its own lowest level.
            self._tops = [theirs[-1] for theirs in levels]
            lowest = max(theirs[0] / theirs[-1] for theirs in levels)
            self.search = Search(
                [level for level in levels[0] if level / levels[0][-1] >= lowest - 1e-9],
                max_slowdown=max_slowdown,
                window_s=window_s,
                rest_w=rest_w,
            )
        except BaseException:
            self._close()
            raise
        self._began_s = self._last_s = self._clock()

    def step(self) -> None:
        """Call it once a step of the work, always at the same place."""
        now_s = self._clock()
        elapsed_s, self._last_s = now_s - self._last_s, now_s
        if self._lease is not None and self.search.step(elapsed_s, self._edge):
            self._turn()

    def _turn(self) -> None:
        assert self._lease is not None
        share = self.search.level / self._tops[0]
        try:
            for knob, top in zip(self.knobs, self._tops, strict=True):
                self._lease.set(knob, top * share)
        except MeterError as error:
            # The work matters more than its limit: it goes on without us.
            self._flags[f"power: {error.what}; the search has ended"] = None
            self.close()

    def _edge(self) -> float:
        """Joules so far, once what was handed to the GPU is done."""
        devices.finish()
        return self._joules()

    def _metered(self) -> Callable[[], float]:
        """Everything that is measured here, counted once."""
        self._meters = registry.open_all(self._system, (*registry.MEASURED, "daemon"), skip=True)
        if not self._meters:
            raise MeterError(
                "energy is not measured here, so no limit can be judged", hint="helio doctor   # says why not"
            )
        total_j, last_s, cpus = 0.0, time.monotonic(), self._system.cpus()
        for meter in self._meters:
            meter.read(Usage(0.0, 0.0, 0.0, cpus))

        def joules() -> float:
            nonlocal total_j, last_s
            now_s = time.monotonic()
            usage = Usage(now_s - last_s, 0.0, 0.0, cpus)
            last_s = now_s
            total_j += sum(draw.energy_j for meter in self._meters for draw in meter.read(usage) if draw.counted)
            return total_j

        return joules

    @property
    def outcome(self) -> Outcome:
        return Outcome(
            self.knobs,
            self._unit,
            self.search.chosen,
            self.search.settled,
            self.search.findings(),
            self.search.steps,
            self._last_s - self._began_s,
            tuple(self._flags),
        )

    def close(self) -> None:
        """Everything stands again as it stood."""
        try:
            self._close()
        except MeterError as error:
            self._flags[f"power: {error.what}; {error.hint}"] = None

    def _close(self) -> None:
        lease, self._lease = self._lease, None
        for meter in self._meters:
            meter.close()
        self._meters = []
        if lease is not None:
            lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Rider:
    """A rank beside the one that turns the knobs of its node: it has nothing to do."""

    outcome: Outcome | None = None

    def step(self) -> None:
        """Counted by the first rank."""

    def close(self) -> None:
        """Nothing was taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def frugal(**wishes: Any) -> Frugal | Rider:
    """What `Frugal` takes. Of several ranks on one node the first decides: they wait for one another anyhow."""
    return Rider() if who().local else Frugal(**wishes)


def by_default(found: Sequence[Found]) -> tuple[str, ...]:
    limits = [knob for knob in found if knob.name.endswith("/limit")]
    cards = tuple(knob.name for knob in limits if knob.domain.startswith("gpu"))
    chosen = cards or tuple(knob.name for knob in limits)
    if not chosen:
        raise MeterError(
            "this machine has no power limit to set", hint="helio power show   # says what there is, and why not"
        )
    return chosen
