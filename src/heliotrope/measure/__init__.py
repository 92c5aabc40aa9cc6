"""The meter people can believe: what was used, by whom, measured or modelled, and how sure that is.

`protocol` says what a meter is, `registry` finds them, `meters` are they, `machine` is what they look at.
`sampling` asks them over time, `share` says whose the joules were, `records` keeps them, `reference` corrects them,
`publish` tells others, `training` follows a training loop, `power` lets the machine draw less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.measure import registry
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Probe
from heliotrope.measure.sampling.handle import Handle, measured
from heliotrope.measure.sampling.session import Session, own_calibration
from heliotrope.measure.share import groups
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
    from heliotrope.measure.records.recovery import recover as read

    return read(journal)


def probe(system: System | None = None) -> tuple[Probe, ...]:
    """What can be measured here, and what would change it."""
    from heliotrope.measure.power.knobs import probe as probe_power

    system = system or System()
    return (*registry.probe_all(system), groups.probe(system), probe_power(system))


make_callable(__name__)
