"""Reads what `helio meter serve` owns: measured energy without any right of root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.errors import MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.model import Provenance

if TYPE_CHECKING:
    from heliotrope.measure.publish.daemon import Counter, Told

NAME = "daemon"
FOLDER = "run/heliotrope"
FILE = "meter.sock"
STALE_S = 10.0


class DaemonMeter:
    """Only what no other meter here covers is taken from it, so that nothing is counted twice."""

    name = NAME
    resolution_s = 0.1

    def __init__(self, path: str, covered: frozenset[str] = frozenset()) -> None:
        from heliotrope.measure.publish.daemon import Client  # loads its client only where there is somebody to ask

        self._client = Client(path)
        told = self._client.ask()
        self._covered = covered
        wanted = [counter for counter in told.counters if self._wanted(counter)]
        self.covers = frozenset(domain for counter in wanted for domain in counter.covers)
        kinds = [counter.provenance for counter in wanted]
        self.provenance = Provenance.MODELLED if Provenance.MODELLED in kinds else Provenance.MEASURED
        self._before: Told | None = None
        self._old_s = 0.0

    def _wanted(self, counter: Counter) -> bool:
        return not counter.covers or not self._covered.issuperset(counter.covers)

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        try:
            now = self._client.ask()
        except MeterError as error:
            flag = f"daemon: {error.what}; its energy comes when it is back, if it lived"
            return (Draw(NAME, 0.0, 0.0, 0.0, flags=(flag,)),)
        before, self._before = self._before, now
        if before is None:
            return ()
        if before.started_s != now.started_s:
            return (Draw(NAME, 0.0, 0.0, 0.0, flags=("daemon: began anew; energy of a gap is missing",)),)
        self._old_s = self._old_s + usage.elapsed_s if now.read_s <= before.read_s else 0.0
        stale = ("daemon: its readings are old",) if self._old_s > STALE_S else ()
        last = {(counter.meter, counter.domain): counter for counter in before.counters}
        return tuple(
            _draw(counter, last.get((counter.meter, counter.domain)), stale)
            for counter in now.counters
            if self._wanted(counter)
        )

    def close(self) -> None:
        self._client.close()


def _draw(now: Counter, before: Counter | None, flags: tuple[str, ...]) -> Draw:
    energy_j, low_j, high_j = now.energy_j, now.low_j, now.high_j
    users = now.users_j
    if before is not None:
        energy_j, low_j, high_j = energy_j - before.energy_j, low_j - before.low_j, high_j - before.high_j
        if users is not None:
            earlier = before.users_j or {}
            users = {pid: used_j - earlier.get(pid, 0.0) for pid, used_j in users.items()}
    return Draw(
        now.domain,
        energy_j,
        low_j,
        high_j,
        now.idle_w,
        now.idle_with_low_w,
        now.idle_with_high_w,
        users=users,
        counted=now.counted,
        flags=(*now.flags, *flags),
    )


def probe(system: System) -> Probe:
    path = system.path(f"{FOLDER}/{FILE}")
    if FILE not in system.names(FOLDER):
        return Probe(NAME, False, (), f"nobody serves {path}", "sudo helio meter serve   # once a node")
    from heliotrope.measure.publish.daemon import ask

    try:
        told = ask(path)
    except MeterError as error:
        return Probe(NAME, False, (), error.cause, error.hint)
    return Probe(NAME, True, tuple(counter.domain for counter in told.counters), f"served at {path}")


def open_meter(opening: Opening) -> DaemonMeter | None:
    """`daemon` where the default socket is served, `daemon:PATH` elsewhere."""
    if opening.target:
        return DaemonMeter(opening.target, opening.covered)
    if not probe(opening.system).available:
        return None
    meter = DaemonMeter(opening.system.path(f"{FOLDER}/{FILE}"), opening.covered)
    if meter.covers:
        return meter
    meter.close()
    return None
