"""Computes a record again from its evidence, with the auditor's own facts and model, and lists what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from heliotrope import footprint
from heliotrope.errors import HelioError
from heliotrope.model import Quality, QualityKind, Quantity, Signal, SignalKind
from heliotrope.prove.records import record, statements
from heliotrope.prove.records.evidence import Evidence, encode_signal

# What one rounding to millionths, there and here, may differ by, and what float arithmetic may.
TOLERANCE_MICRO = 2
TOLERANCE_RATIO = 1e-9
SLACK_S = 1.0

# (zone, start_s, end_s, kind) to the auditor's own series, or None where it has none to compare.
OwnSignal = Callable[[str, int, int, SignalKind, Quality], Signal | None]


def reasons_against(said: Mapping[str, Any], evidence: Evidence, own_signal: OwnSignal) -> list[str]:
    """`said` is a run's predicate. Empty: the auditor agrees."""
    return [
        *_measured(said, evidence),
        *_signals(said, evidence, own_signal),
        *_computed(said, evidence),
        *_baseline(said, evidence),
    ]


def plan_reasons(said: Mapping[str, Any], plan_index: int | None, index: int) -> list[str]:
    """The plan and baseline must have been in the log before the run's record, and made before the run began."""
    if plan_index is None:
        return ["no such plan was logged for this workload: its baseline was not registered before the run"]
    if plan_index >= index:
        return [f"its plan is entry {plan_index}, after the run's own"]
    made, started = said["plan"]["made_us"], said["run"]["started_us"]
    if started is not None and int(made) > int(started) + SLACK_S * 1e6:
        return ["its plan was made after the run had started"]
    return []


def _measured(said: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    measurement = evidence.measurement
    if statements.measurement_body(measurement) != said["measurement"]:
        yield "the measurement in the record is not the one in the evidence"
    total = sum(reading.energy_j for reading in measurement.readings)
    if measurement.readings and measurement.energy_j.value > total * (1 + TOLERANCE_RATIO) + 1e-6:
        yield f"more energy is claimed ({measurement.energy_j.value:.6g} J) than was read ({total:.6g} J)"
    for reading in measurement.readings:
        if reading.end_s < reading.start_s:
            yield f"a reading of {reading.meter} ends before it begins"
            break
        if reading.start_s < measurement.start_s - SLACK_S or reading.end_s > measurement.end_s + SLACK_S:
            yield f"a reading of {reading.meter} lies outside the measured window"
            break


def _signals(said: Mapping[str, Any], evidence: Evidence, own_signal: OwnSignal) -> Iterator[str]:
    shown = [record.digest(record.canonical(encode_signal(signal))) for signal in evidence.signals]
    if shown != [signal["digest"] for signal in said["signals"]]:
        yield "the signals in the record are not those in the evidence"
    for signal in evidence.signals:
        # Another version's model may rightly give another series.
        if signal.quality.kind is not QualityKind.MODELLED or said["software"] != statements.software():
            continue
        own = own_signal(signal.zone, signal.start_s, signal.end_s, signal.kind, signal.quality)
        if own is not None and not _same_series(signal, own):
            yield f"the modelled {signal.kind.quantity} signal of {signal.zone} is not what the model gives"


def _same_series(theirs: Signal, own: Signal) -> bool:
    import numpy as np

    if (theirs.start_s, theirs.step_s, len(theirs.values)) != (own.start_s, own.step_s, len(own.values)):
        return False
    return bool(np.allclose(theirs.values, own.values, rtol=1e-6, atol=1e-9))


def _computed(said: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    if evidence.site.name != said["run"]["site"]:
        yield f"the evidence is of site {evidence.site.name}, the run was at {said['run']['site']}"
    carbon = evidence.signal(evidence.site.zone, Quantity.CARBON)
    if carbon is None:
        yield f"the evidence holds no carbon signal of {evidence.site.zone}"
        return
    try:
        again = footprint.compute(
            evidence.measurement,
            evidence.site,
            carbon,
            price=evidence.signal(evidence.site.zone, Quantity.PRICE),
            water=evidence.signal(evidence.site.zone, Quantity.WATER),
            device_s=evidence.device_s,
        )
    except HelioError as error:
        yield f"the footprint cannot be computed from the evidence: {error.what}"
        return
    claimed, computed = said["footprint"], statements.footprint_body(again)
    for name, number in computed.items():
        if isinstance(number, dict):
            yield from _compare(name, claimed[name], number)
        elif claimed[name] != number:
            yield f"{name} is {claimed[name]!r} in the record, computed again {number!r}"
    factors = [statements.factor_body(factor) for factor in again.factors]
    for theirs, ours in zip(said["factors"], factors, strict=False):
        if theirs != ours:
            yield f"factor {theirs['name']} is {theirs['value']} {theirs['unit']}, here {ours['name']} {ours['value']}"
    if len(said["factors"]) != len(factors):
        yield f"{len(said['factors'])} factors are named, {len(factors)} were needed"


def _baseline(said: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    """At once at home: the same readings without their pauses, from when the work was handed in."""
    if evidence.home is None or evidence.submitted_s is None:
        yield "the baseline cannot be computed: the evidence names no home site"
        return
    carbon = evidence.signal(evidence.home.zone, Quantity.CARBON)
    if carbon is None:
        yield f"the baseline cannot be computed: no carbon signal of {evidence.home.zone}"
        return
    try:
        at_once = footprint.at_once(evidence.measurement, evidence.submitted_s)
        again = footprint.compute(at_once, evidence.home, carbon, device_s=evidence.device_s)
    except HelioError as error:
        yield f"the baseline cannot be computed from the evidence: {error.what}"
        return
    yield from _compare("run_now_ug", said["baseline"]["run_now_ug"], statements.estimate(again.carbon_g))


def _compare(name: str, claimed: Mapping[str, Any], computed: Mapping[str, Any]) -> Iterator[str]:
    for part in ("value", "low", "high"):
        theirs, ours = int(claimed[part]), int(computed[part])
        if abs(theirs - ours) > max(TOLERANCE_MICRO, TOLERANCE_RATIO * abs(ours)):
            yield f"{name} ({part}) is {theirs} in the record, computed again {ours}"
    if claimed["provenance"] != computed["provenance"]:
        yield f"{name} is said to be {claimed['provenance']}, its parts make it {computed['provenance']}"
