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


def measured(name, readings, error=0.0):
    """One meter's readings without a gap between them; `error`: the relative half of its interval."""
    energy_j = sum(reading.energy_j for reading in readings)
    start_s, end_s = readings[0].start_s, readings[-1].end_s
    used = Estimate(energy_j, energy_j * (1 - error), energy_j * (1 + error), Provenance.MEASURED)
    totals = (MeterTotal(readings[0].meter, readings[0].domain, Provenance.MEASURED, energy_j),)
    return Measurement(name, start_s, end_s, end_s - start_s, used, totals, readings)


MEASUREMENT = measured("r1", READINGS, error=0.02)
ENERGY = MEASUREMENT.energy_j.value


def run(**changes):
    began = datetime.fromtimestamp(BEGAN, UTC)
    made = Run("r1", "w1", RunState.DONE, T0, site="lyon", zone="FR", started_at=began, ended_at=began, exit_code=0)
    return msgspec.structs.replace(made, **changes)


def story(*, measurement=MEASUREMENT, carbon=None, lie=lambda f: f, now_times=1.0, plan=PLAN, training=None, site=LYON):
    carbon = carbon or SIGNALS[0]
    made = lie(footprint.compute(measurement, site, carbon))
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
        site=site,
        home=HOME,
        training=training,
    )


def half(made):
    """Half the grams, and all the rest as it was."""
    return msgspec.structs.replace(made, carbon_operational_g=made.carbon_operational_g * 0.5)
