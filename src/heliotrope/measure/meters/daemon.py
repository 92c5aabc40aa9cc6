"""Reads what `helio meter serve` owns: measured energy without any right of root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.errors import MeterError
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.measure.system import System
from heliotrope.model import Provenance

if TYPE_CHECKING:
    from heliotrope.measure.daemon import Counter, Told

NAME = "daemon"
SOCKET = "run/heliotrope/meter.sock"
STALE_S = 10.0


def ask(path: str) -> Told:
    """Loads the client only where there is somebody to ask."""
    from heliotrope.measure import daemon

    return daemon.ask(path)


class DaemonMeter:
    name = NAME
    resolution_s = 0.1

    def __init__(self, path: str) -> None:
        self.path = path
        told = ask(path)
        self.covers = frozenset(domain for counter in told.counters for domain in counter.covers)
        kinds = [counter.provenance for counter in told.counters]
        self.provenance = Provenance.MODELLED if Provenance.MODELLED in kinds else Provenance.MEASURED
        self._before: Told | None = None

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        try:
            now = ask(self.path)
        except MeterError as error:
            return (
                Draw(
                    NAME, 0.0, 0.0, 0.0, flags=(f"daemon: {error.what}; its energy comes when it is back, if it lived",)
                ),
            )
        before, self._before = self._before, now
        if before is None:
            return ()
        if before.started_s != now.started_s:
            return (Draw(NAME, 0.0, 0.0, 0.0, flags=("daemon: began anew; energy of a gap is missing",)),)
        stale = (
            ("daemon: its readings are old",) if now.read_s - before.read_s <= 0 and usage.elapsed_s > STALE_S else ()
        )
        last = {(counter.meter, counter.domain): counter for counter in before.counters}
        return tuple(_draw(counter, last.get((counter.meter, counter.domain)), stale) for counter in now.counters)

    def close(self) -> None:
        """Holds nothing open."""


def _draw(now: Counter, before: Counter | None, flags: tuple[str, ...]) -> Draw:
    energy_j, low_j, high_j = (
        (getattr(now, field) - (getattr(before, field) if before else 0.0)) for field in ("energy_j", "low_j", "high_j")
    )
    return Draw(
        now.domain,
        energy_j,
        low_j,
        high_j,
        now.idle_w,
        now.idle_with_low_w,
        now.idle_with_high_w,
        users=now.users,
        counted=now.counted,
        flags=(*now.flags, *flags),
    )


def probe(system: System) -> Probe:
    path = system.path(SOCKET)
    if SOCKET.rpartition("/")[2] not in system.names(SOCKET.rpartition("/")[0]):
        return Probe(NAME, False, (), f"nobody serves {path}", "sudo helio meter serve   # once a node")
    try:
        told = ask(path)
    except MeterError as error:
        return Probe(NAME, False, (), error.cause, error.hint)
    return Probe(NAME, True, tuple(counter.domain for counter in told.counters), f"served at {path}")


def open_meter(opening: Opening) -> DaemonMeter | None:
    """`daemon` where the default socket is served, `daemon:PATH` elsewhere."""
    if opening.target:
        return DaemonMeter(opening.target)
    if not probe(opening.system).available:
        return None
    meter = DaemonMeter(opening.system.path(SOCKET))
    return None if meter.covers <= opening.covered else meter
