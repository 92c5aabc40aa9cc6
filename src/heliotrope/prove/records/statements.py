"""What is said of a plan before it runs and of a run when it ended: integers, digests and where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from heliotrope.model import (
    Estimate,
    Factor,
    Footprint,
    Measurement,
    Outlook,
    Plan,
    Run,
    Signal,
    Site,
    Workload,
)
from heliotrope.prove.records import evidence, record
from heliotrope.prove.records.record import Statement, micro

_FOOTPRINT_FIELDS = {
    "energy_uj": "energy_j",
    "facility_energy_uj": "facility_energy_j",
    "carbon_operational_ug": "carbon_operational_g",
    "carbon_embodied_ug": "carbon_embodied_g",
    "water_ul": "water_l",
    "cost_micro": "cost",
    "heat_reused_uj": "heat_reused_j",
}


class TrainingStep(msgspec.Struct, frozen=True):
    """One step that can be taken again: from the checkpoint `before`, bit for bit, comes `after`."""

    step: int
    before: str
    after: str


class Training(msgspec.Struct, frozen=True):
    """Where a trained model came from: what another could train it again by. Digests are SHA-256, hexadecimal.

    `steps` are for jobs whose code, called with `BEFORE AFTER STEP`, takes a step again deterministically.
    """

    code_digest: str = ""
    data_digest: str = ""
    loss_curve_digest: str = ""
    seed: int | None = None
    hyper_parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    steps: tuple[TrainingStep, ...] = ()


def plan_statement(workload: Workload, plan: Plan, *, clock_factor: float) -> Statement:
    """Logged before anything runs: the plan, and the baseline that it will be measured against."""
    body = plan_body(plan)
    predicate = {
        "workload": workload_body(workload),
        "plan": body,
        "baseline": {"rule": "at-once-at-home", "expected": _outlook(plan.run_now)},
        "clock_factor_micro": micro(clock_factor),
        "software": software(),
    }
    return Statement("plan", workload.id, record.statement("plan", workload.id, _digest(body), predicate))


def run_statement(
    workload: Workload,
    plan: Plan,
    run: Run,
    measurement: Measurement,
    footprint: Footprint,
    run_now_g: Estimate,
    signals: Sequence[Signal],
    *,
    clock_factor: float,
    site: Site | None = None,
    home: Site | None = None,
    device_s: float | None = None,
    training: Training | None = None,
) -> Statement:
    """`measurement`, `site`, `device_s` and `signals` as the footprint was computed from; `home` as `run_now_g` was.

    Without `site` there is no evidence, and an auditor can only say that it cannot check.
    """
    kept = None
    if site is not None:
        kept = evidence.encode(
            evidence.Evidence(measurement, site, tuple(signals), device_s, home, _submitted_s(workload))
        )
    predicate: dict[str, Any] = {
        "workload": workload_body(workload),
        "run": _run(run),
        "plan": {"made_us": _us(plan.made_at), "digest": _digest(plan_body(plan))},
        "baseline": {"rule": "at-once-at-home", "run_now_ug": estimate(run_now_g)},
        "measurement": measurement_body(measurement),
        "footprint": footprint_body(footprint),
        "signals": [_signal(signal) for signal in signals],
        "factors": [factor_body(factor) for factor in footprint.factors],
        "clock_factor_micro": micro(clock_factor),
        "evidence": None if kept is None else record.digest(kept),
        "training": None if training is None else msgspec.to_builtins(training),
        "software": software(),
    }
    return Statement("run", run.id, record.statement("run", run.id, _digest(_run(run)), predicate), kept)


@cache
def software() -> Mapping[str, str]:
    """Which version said it: models and factors change between them."""
    return {"heliotrope": version("heliotrope")}


def workload_body(workload: Workload) -> dict[str, Any]:
    """No command line, environment or path: those can hold secrets, and receipts travel. Their digest is enough."""
    return {
        "id": workload.id,
        "kind": workload.kind.value,
        "command_digest": _digest(list(workload.command)),
        "organisation": workload.organisation,
        "submitted_us": _us(workload.submitted_at),
        "not_before_us": _us(workload.not_before),
        "deadline_us": _us(workload.deadline),
        "expected_length_us": micro(workload.length.expected_s),
        "sites": list(workload.sites),
        "data": [{"name": need.name, "size_bytes": need.size_bytes} for need in workload.data],
    }


def plan_body(plan: Plan) -> dict[str, Any]:
    return {
        "workload": plan.workload,
        "made_us": _us(plan.made_at),
        "slots": [
            {
                "site": slot.site,
                "start_us": _us(slot.start),
                "end_us": _us(slot.end),
                "width": slot.width,
                "power_cap_uw": None if slot.power_cap_w is None else micro(slot.power_cap_w),
            }
            for slot in plan.slots
        ],
        "expected": _outlook(plan.expected),
        "run_now": _outlook(plan.run_now),
        "bound_ug": micro(plan.bound_g),
        "signal_kind": plan.signal_kind,
        "signal_sources": list(plan.signal_sources),
        "flags": list(plan.flags),
    }


def footprint_body(footprint: Footprint) -> dict[str, Any]:
    """Every number of a footprint in millionths of the unit that its name had."""
    numbers = {name: estimate(getattr(footprint, field)) for name, field in _FOOTPRINT_FIELDS.items()}
    return numbers | {"currency": footprint.currency, "flags": list(footprint.flags)}


def estimate(value: Estimate) -> dict[str, Any]:
    return {
        "value": micro(value.value),
        "low": micro(value.low),
        "high": micro(value.high),
        "provenance": value.provenance.value,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "workload": run.workload,
        "attempt": run.attempt,
        "state": run.state.value,
        "site": run.site,
        "zone": run.zone,
        "engine": run.engine,
        "started_us": _us(run.started_at),
        "ended_us": _us(run.ended_at),
        "exit_code": run.exit_code,
        "checkpoints": list(run.checkpoints),
    }


def measurement_body(measurement: Measurement) -> dict[str, Any]:
    readings = [
        [
            reading.meter,
            reading.domain,
            micro(reading.start_s),
            micro(reading.end_s),
            micro(reading.energy_j),
            micro(reading.error_j),
            reading.provenance.value,
        ]
        for reading in measurement.readings
    ]
    return {
        "start_us": micro(measurement.start_s),
        "end_us": micro(measurement.end_s),
        "duration_us": micro(measurement.duration_s),
        "energy_uj": estimate(measurement.energy_j),
        "meters": [
            {
                "name": meter.name,
                "domain": meter.domain,
                "provenance": meter.provenance.value,
                "energy_uj": micro(meter.energy_j),
            }
            for meter in measurement.meters
        ],
        "readings": {"count": len(readings), "digest": _digest(readings)},
        "flags": list(measurement.flags),
    }


def _signal(signal: Signal) -> dict[str, Any]:
    quality = signal.quality
    return {
        "kind": str(signal.kind),
        "zone": signal.zone,
        "start_s": signal.start_s,
        "step_s": signal.step_s,
        "count": len(signal.values),
        "digest": _digest(evidence.encode_signal(signal)),
        "quality": quality.kind.value,
        "source": quality.source,
        "licence": quality.licence,
        "issued_at_s": quality.issued_at_s,
        "year": quality.year,
        "flags": list(quality.flags),
    }


def factor_body(factor: Factor) -> dict[str, Any]:
    """`value` as a decimal string: factors are of any size."""
    return {
        "name": factor.name,
        "value": repr(factor.value),
        "unit": factor.unit,
        "kind": factor.kind,
        "source": factor.source,
        "licence": factor.licence,
        "year": factor.year,
    }


def _outlook(outlook: Outlook) -> dict[str, Any]:
    return {
        "energy_uj": micro(outlook.energy_j),
        "carbon_ug": micro(outlook.carbon_g),
        "carbon_low_ug": micro(outlook.carbon_low_g),
        "carbon_high_ug": micro(outlook.carbon_high_g),
        "cost_micro": micro(outlook.cost),
        "finish_us": _us(outlook.finish),
    }


def _submitted_s(workload: Workload) -> float:
    """When the work could have started at once."""
    return max(workload.submitted_at, workload.not_before or workload.submitted_at).timestamp()


def _us(when: datetime | None) -> int | str | None:
    return None if when is None else micro(when.timestamp())


def _digest(value: Any) -> str:
    return record.digest(record.canonical(value))
