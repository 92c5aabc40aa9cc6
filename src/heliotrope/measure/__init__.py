"""The meter people can believe: what was used, by whom, measured or modelled, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.measure import groups, registry
from heliotrope.measure.handle import Handle, measured
from heliotrope.measure.protocol import Probe
from heliotrope.measure.session import Session, own_calibration
from heliotrope.measure.system import System
from heliotrope.rooms import make_callable

if TYPE_CHECKING:
    from pathlib import Path

    from heliotrope.model import Measurement

__all__ = ["Handle", "Probe", "Session", "measured", "probe", "recover", "start"]

__room_call__ = Handle


def start(
    name: str,
    *,
    root_pid: int | None = None,
    interval_s: float = 1.0,
    meters: tuple[str, ...] = (),
    journal: str | Path | None = None,
) -> Session:
    """Begin to measure a process and all its descendants: `root_pid`, or this process."""
    return Session(
        name,
        root_pid=root_pid,
        interval_s=interval_s,
        meters=meters,
        journal=journal,
        calibration=own_calibration(),
    )


def recover(journal: Path) -> Measurement:
    """All that a journal holds, also after a kill."""
    from heliotrope.measure.recovery import recover as read

    return read(journal)


def probe(system: System | None = None) -> tuple[Probe, ...]:
    """What can be measured here, and what would change it."""
    from heliotrope.measure.power.knobs import probe as probe_power

    system = system or System()
    return (*registry.probe_all(system), groups.probe(system), probe_power(system))


make_callable(__name__)
