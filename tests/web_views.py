"""A run seen whole, made by the real grid model, planner and footprint from one made-up measurement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from heliotrope import fleet, footprint, plan
from heliotrope.config import GridSettings
from heliotrope.grid import Grid
from heliotrope.model import (
    Estimate,
    Length,
    Measurement,
    MeterTotal,
    Provenance,
    Reading,
    Resources,
    Run,
    RunState,
    Workload,
    WorkloadKind,
)
from heliotrope.plan import Candidate
from heliotrope.run.views import Event, RunView, Strip
from heliotrope.units import S_PER_HOUR

SUBMITTED = datetime(2026, 11, 21, 9, 20, tzinfo=UTC)


def strip_of(site, signal):
    return Strip(
        site=site.name, zone=site.zone, start_s=signal.start_s, step_s=signal.step_s,
        values=tuple(signal.values.tolist()), low=tuple(signal.low.tolist()), high=tuple(signal.high.tolist()),
        unit="g/kWh", quality=signal.quality.kind.value, source=signal.quality.source,
    )  # fmt: skip


def make_view(*, command=("python", "train.py", "--epochs", "40"), ended=True, hours=24, work_s=5400.0):
    sites = fleet.example()
    grid = Grid(GridSettings())
    start = int(SUBMITTED.timestamp()) // S_PER_HOUR * S_PER_HOUR
    signals = {
        site.name: grid.forecast(site.zone, start, start + (hours + 2) * S_PER_HOUR, issued_at_s=start)
        for site in sites.sites
    }
    workload = Workload(
        id="w-0001", kind=WorkloadKind.TRAIN, command=command, submitted_at=SUBMITTED, length=Length.known(work_s),
        resources=Resources(power_w=180.0), deadline=SUBMITTED + timedelta(hours=hours),
    )  # fmt: skip
    placed = plan.place(
        workload,
        [Candidate(site, signals[site.name]) for site in sites.sites],
        now_s=SUBMITTED.timestamp(),
        home=sites.home,
        latency_ms=sites.latency_ms,
    )
    slot = placed.slots[0]
    run = Run(
        id="r-7f3a", workload="w-0001", state=RunState.DONE if ended else RunState.WAITING, created_at=SUBMITTED,
        site=slot.site if ended else "", zone=sites.site(slot.site).zone if ended else "", engine="local",
        started_at=slot.start if ended else None, ended_at=slot.end if ended else None, exit_code=0 if ended else None,
    )  # fmt: skip
    measurement = cost = once = None
    if ended:
        begin, step = slot.start.timestamp(), work_s / 90
        readings = tuple(
            Reading("modelled", "cpu", begin + i * step, begin + (i + 1) * step, step * (150 + 60 * ((i * 7) % 11) / 11),
                    provenance=Provenance.MODELLED)
            for i in range(90)
        )  # fmt: skip
        total = sum(r.energy_j for r in readings)
        measurement = Measurement(
            "train", begin, begin + work_s, work_s, Estimate(total, 0.7 * total, 1.4 * total, Provenance.MODELLED),
            meters=(MeterTotal("modelled", "cpu", Provenance.MODELLED, total),), readings=readings,
        )  # fmt: skip
        cost = footprint.compute(measurement, sites.site(slot.site), signals[slot.site])
        at_home = footprint.at_once(measurement, SUBMITTED.timestamp())
        once = footprint.compute(at_home, sites.site(sites.home), signals[sites.home])
    events = [(SUBMITTED.timestamp(), "planned", f"{slot.site}")]
    if ended:
        events += [(slot.start.timestamp(), "started", "pid 4711"), (slot.end.timestamp(), "ended", "exit code 0")]
    return RunView(
        workload=workload, plan=placed, run=run, attempts=(run,), measurement=measurement, footprint=cost,
        run_now_g=once.carbon_g if once else None,
        run_now_operational_g=once.carbon_operational_g if once else None, events=tuple(Event(a, n, t) for a, n, t in events),
        strips=tuple(strip_of(site, signals[site.name]) for site in sites.sites),
        receipt="/home/me/.heliotrope/receipts/r-7f3a.proof" if ended else "", home=sites.home,
    )  # fmt: skip
