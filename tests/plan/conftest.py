"""Small signals, sites and workloads for planning."""

import numpy as np
import pytest

from heliotrope.model import (
    CARBON,
    Cooling,
    Flexibility,
    Length,
    Quality,
    QualityKind,
    Resources,
    Signal,
    Site,
    Workload,
    WorkloadKind,
)
from heliotrope.plan import Candidate
from heliotrope.units import from_epoch

NOW = 1_800_000_000 // 3600 * 3600


class World:
    """Everything about planning at NOW with hourly signals."""

    now = NOW

    def signal(self, values, *, zone="DE", kind=CARBON, start=NOW, step=3600, spread=0.1):
        values = np.asarray(values, dtype=float)
        quality = Quality(QualityKind.FORECAST, "test", "CC0", issued_at_s=NOW)
        return Signal(kind, zone, start, step, values, values * (1 - spread), values * (1 + spread), quality)

    def site(self, name="home", **more):
        return Site(
            name=name,
            zone=more.pop("zone", "DE"),
            cooling=more.pop("cooling", Cooling(pue=1.2, source="meter")),
            **more,
        )

    def candidate(self, values, name="home", *, power_w=1000.0, price=None, step=3600, start=NOW, **more):
        signal = self.signal(values, step=step, start=start)
        return Candidate(self.site(name, **more), signal, price, power_w)

    def work(self, hours=1.0, *, within_h=None, now=NOW, **more):
        length = more.pop("length", None) or Length.known(hours * 3600)
        return Workload(
            id="w",
            kind=WorkloadKind.TRAIN,
            command=("true",),
            submitted_at=from_epoch(now),
            length=length,
            deadline=None if within_h is None else from_epoch(now + within_h * 3600),
            **more,
        )

    def pausable(self, pause_cost_s=0.0, **more):
        return Flexibility(pausable=True, pause_cost_s=pause_cost_s, **more)

    def resources(self, **more):
        return Resources(**more)


@pytest.fixture(scope="session")
def world():
    return World()
