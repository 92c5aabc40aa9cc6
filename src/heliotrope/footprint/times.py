"""Moves a measurement in time: onto an accelerated clock, or to when it would have run at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import TRANSFER, Measurement, Reading


def shift(measurement: Measurement, by_s: float, *, stretch: float = 1.0) -> Measurement:
    """The window starts `by_s` later and lasts `stretch` times as long; joules and `duration_s` stay what they were.

    `stretch` is the factor of an accelerated clock: an hour of simulated grid may pass in a second of work.
    """
    if not stretch > 0:
        raise InvalidInput("time can only be stretched by a positive factor", field="stretch", found=stretch)
    origin = measurement.start_s

    def moved(at_s: float) -> float:
        return origin + by_s + (at_s - origin) * stretch

    return _mapped(measurement, moved)


def at_once(measurement: Measurement, start_s: float) -> Measurement:
    """The same work from `start_s` on, never moved and without its pauses: time without a reading is taken out."""
    measurement = _stayed(measurement)
    spans = _busy(measurement.readings)
    if not spans:
        return shift(measurement, start_s - measurement.start_s)

    def moved(at_s: float) -> float:
        return start_s + sum(max(0.0, min(at_s, end) - start) for start, end in spans)

    return _mapped(measurement, moved)


def _stayed(measurement: Measurement) -> Measurement:
    """Without what carrying its state from site to site took."""
    carried_j = sum(reading.energy_j for reading in measurement.readings if reading.domain == TRANSFER)
    whole_j = measurement.energy_j.value
    if not carried_j or not whole_j:
        return measurement
    return msgspec.structs.replace(
        measurement,
        readings=tuple(reading for reading in measurement.readings if reading.domain != TRANSFER),
        energy_j=measurement.energy_j * max(0.0, 1.0 - carried_j / whole_j),
    )


def _mapped(measurement: Measurement, moved: Callable[[float], float]) -> Measurement:
    return msgspec.structs.replace(
        measurement,
        start_s=moved(measurement.start_s),
        end_s=moved(measurement.end_s),
        readings=tuple(
            msgspec.structs.replace(reading, start_s=moved(reading.start_s), end_s=moved(reading.end_s))
            for reading in measurement.readings
        ),
    )


def _busy(readings: Sequence[Reading]) -> list[tuple[float, float]]:
    """The union of the readings' intervals, in order."""
    spans: list[tuple[float, float]] = []
    for reading in sorted(readings, key=lambda r: r.start_s):
        if spans and reading.start_s <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], reading.end_s))
        else:
            spans.append((reading.start_s, reading.end_s))
    return spans
