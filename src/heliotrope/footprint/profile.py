"""How the joules of a measurement lie in time, step by step of a signal."""

from __future__ import annotations

from collections.abc import Iterable

from heliotrope.model import Measurement, Signal


def by_step(measurement: Measurement, signal: Signal) -> dict[int, float]:
    """Share of the energy in each step of `signal`, by the step's index; the shares sum to 1.

    Readings give the shape, `measurement.energy_j` the amount: meters whose domains overlap bend the
    shape a little but can never count a joule twice. Without readings the power was even.
    """
    shares: dict[int, float] = {}
    whole = sum(reading.energy_j for reading in measurement.readings)
    pieces: Iterable[tuple[float, float, float]] = (
        ((reading.start_s, reading.end_s, reading.energy_j / whole) for reading in measurement.readings)
        if whole > 0
        else ((measurement.start_s, measurement.end_s, 1.0),)
    )
    for start_s, end_s, share in pieces:
        if share > 0:
            _spread(shares, signal, start_s, end_s, share)
    return shares


def _spread(shares: dict[int, float], signal: Signal, start_s: float, end_s: float, share: float) -> None:
    first = signal.index(start_s)
    length = end_s - start_s
    if length <= 0:
        shares[first] = shares.get(first, 0.0) + share
        return
    edge = signal.start_s + (first + 1) * signal.step_s
    if end_s <= edge:
        shares[first] = shares.get(first, 0.0) + share
        return
    at_s, i = start_s, first
    while at_s < end_s:
        until = min(end_s, signal.start_s + (i + 1) * signal.step_s)
        signal.index(at_s)
        shares[i] = shares.get(i, 0.0) + share * (until - at_s) / length
        at_s, i = until, i + 1
