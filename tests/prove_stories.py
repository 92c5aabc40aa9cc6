"""A run that anybody can compute again, and ways to lie about it: what auditors are tried on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from heliotrope import footprint
from heliotrope.config import GridSettings
from heliotrope.grid import Grid
from heliotrope.model import (
    CARBON,
    Cooling,
    Estimate,
    Length,
    Measurement,
    MeterTotal,
    Outlook,
    Plan,
    Provenance,
    Reading,
    Run,
    RunState,
    Site,
    Slot,
    Workload,
    WorkloadKind,
)
from heliotrope.prove import run_statement

START_S = 1_767_225_600
T0 = datetime.fromtimestamp(START_S, UTC)
LYON = Site("lyon", "FR", cooling=Cooling(pue=1.2, source="metered"))
HOME = Site("home", "DE", cooling=Cooling(pue=1.1, source="metered"))


def signals():
    grid = Grid(GridSettings())
    return [grid.history(zone, START_S, START_S + 24 * 3600) for zone in ("FR", "DE")]


SIGNALS = signals()
WORKLOAD = Workload("w1", WorkloadKind.TRAIN, ("python", "train.py"), T0, Length.known(600.0))
OUTLOOK = Outlook(7200.0, 1.0, 0.9, 1.1, 0.001, T0 + timedelta(hours=3))
PLAN = Plan(
    "w1", T0, (Slot("lyon", T0 + timedelta(hours=2), T0 + timedelta(hours=3)),), OUTLOOK, OUTLOOK, (), 0.9, 0.1, str(CARBON)
)  # fmt: skip
BEGAN = START_S + 7200.0
READINGS = tuple(
    Reading("rapl", "package", BEGAN + i * 60, BEGAN + (i + 1) * 60, 100.0 + i / 7, 1.0) for i in range(10)
)
ENERGY = sum(r.energy_j for r in READINGS)
MEASUREMENT = Measurement(
    "r1", BEGAN, BEGAN + 600, 600.0, Estimate(ENERGY, ENERGY * 0.98, ENERGY * 1.02),
    (MeterTotal("rapl", "package", Provenance.MEASURED, ENERGY),), READINGS,
)  # fmt: skip


def run(**changes):
    began = datetime.fromtimestamp(BEGAN, UTC)
    made = Run("r1", "w1", RunState.DONE, T0, site="lyon", zone="FR", started_at=began, ended_at=began, exit_code=0)
    return msgspec.structs.replace(made, **changes)


def story(*, measurement=MEASUREMENT, carbon=None, lie=lambda f: f, now_times=1.0, plan=PLAN, training=None):
    carbon = carbon or SIGNALS[0]
    made = lie(footprint.compute(measurement, LYON, carbon))
    now = footprint.compute(footprint.at_once(measurement, START_S), HOME, SIGNALS[1]).carbon_g * now_times
    return run_statement(
        WORKLOAD,
        plan,
        run(),
        measurement,
        made,
        now,
        [carbon, SIGNALS[1]],
        clock_factor=1.0,
        site=LYON,
        home=HOME,
        training=training,
    )


def half(made):
    """Half the grams, and all the rest as it was."""
    return msgspec.structs.replace(made, carbon_operational_g=made.carbon_operational_g * 0.5)
