"""The ways one workload can run at one site: each width under each power cap, slower and leaner or faster."""

from __future__ import annotations

import msgspec

from heliotrope.model import Flexibility, Site


class Mode(msgspec.Struct, frozen=True):
    """`speed`: work-seconds a second, 1 at width 1 without a cap; `watts`: IT power; `cap_w`: of the whole width."""

    width: int
    speed: float
    watts: float
    cap_w: float | None = None


def modes(flexibility: Flexibility, site: Site, devices: int, watts: float) -> tuple[Mode, ...]:
    """Every way the site has room and power for, width 1 without a cap first. `watts`: of width 1 without a cap."""
    found = []
    for width, speed in enumerate(flexibility.speedup, 1):
        if width > 1 and width * max(1, devices) > site.capacity:
            break
        found.append(Mode(width, speed / flexibility.speedup[0], width * watts))
        found += [
            Mode(width, speed / flexibility.speedup[0] * cap.speed, width * cap.power_w, width * cap.power_w)
            for cap in flexibility.caps
            if cap.power_w < watts
        ]
    if len(found) == 1:
        return (found[0],)
    allowed = [m for m in found if site.power_cap_w is None or m.watts <= site.power_cap_w] or found[:1]
    return tuple(m for m in allowed if m == found[0] or not any(_better(o, m) for o in allowed))


def _better(one: Mode, other: Mode) -> bool:
    """No slower and no hungrier, and not just its equal."""
    return (
        one.speed >= other.speed and one.watts <= other.watts and (one.speed, one.watts) != (other.speed, other.watts)
    )
