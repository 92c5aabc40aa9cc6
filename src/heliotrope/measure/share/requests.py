"""Splits what a server drew among the requests it served at the same time; what it drew for none of them is idle."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Estimate, Provenance, Reading, least_trusted

Z90 = 1.645


class Request(msgspec.Struct, frozen=True):
    """`work` is what it asked of the machine, in any unit that all requests share (tokens, FLOP); done evenly."""

    id: str
    start_s: float
    end_s: float
    work: float = 1.0


class RequestShares(msgspec.Struct, frozen=True):
    """Joules of each request; with `idle_j` they are all that the readings hold."""

    energy_j: dict[str, Estimate]
    idle_j: float


def share(readings: Sequence[Reading], requests: Sequence[Request]) -> RequestShares:
    """At every instant the power is shared by the rate of work of the requests that are being served.

    Bounds: what sharing by heads would have given instead, and the meters' error. The parts and idle sum to the whole.
    """
    for request in requests:
        if not (request.end_s >= request.start_s and request.work >= 0):
            raise InvalidInput("a request ends after it begins and does some work", field=request.id, found=request)
    served = [request for request in requests if request.end_s > request.start_s]
    times = sorted(
        {edge for reading in readings for edge in (reading.start_s, reading.end_s)}
        | {edge for request in served for edge in (request.start_s, request.end_s)}
    )
    power_w = _levels(times, [(r.start_s, r.end_s, r.energy_j) for r in readings])
    rate = _levels(times, [(r.start_s, r.end_s, r.work) for r in served])
    heads = _levels(times, [(r.start_s, r.end_s, r.end_s - r.start_s) for r in served if r.work > 0])
    per_work, per_head = [0.0], [0.0]  # joules for each unit of work, and for each head, until each time
    idle_j = 0.0
    for i in range(len(times) - 1):
        energy_j = power_w[i] * (times[i + 1] - times[i])
        if rate[i] > 0:
            per_work.append(per_work[-1] + energy_j / rate[i])
            per_head.append(per_head[-1] + energy_j / heads[i])
        else:
            idle_j += energy_j
            per_work.append(per_work[-1])
            per_head.append(per_head[-1])
    whole_j = sum(reading.energy_j for reading in readings)
    relative = Z90 * sum(reading.error_j for reading in readings) / whole_j if whole_j else 0.0
    provenance = least_trusted(reading.provenance for reading in readings)
    parts: dict[str, Estimate] = dict.fromkeys((r.id for r in requests), Estimate.exact(0.0, provenance))
    for request in served:
        first, last = (bisect_right(times, edge) - 1 for edge in (request.start_s, request.end_s))
        value = request.work / (request.end_s - request.start_s) * (per_work[last] - per_work[first])
        equal = per_head[last] - per_head[first] if request.work > 0 else 0.0
        parts[request.id] += _bounded(value, equal, relative, provenance)
    return RequestShares(parts, idle_j)


def _levels(times: Sequence[float], spans: Sequence[tuple[float, float, float]]) -> list[float]:
    """The sum of the spans' amounts per second from each time on; exactly 0 where there is none."""
    change: dict[float, float] = {}
    count: dict[float, int] = {}
    for start_s, end_s, amount in spans:
        if end_s > start_s and amount > 0:
            rate = amount / (end_s - start_s)
            for at_s, sign in ((start_s, 1), (end_s, -1)):
                change[at_s] = change.get(at_s, 0.0) + sign * rate
                count[at_s] = count.get(at_s, 0) + sign
    levels = []
    level, active = 0.0, 0
    for at_s in times:
        level += change.get(at_s, 0.0)
        active += count.get(at_s, 0)
        level = max(level, 0.0) if active else 0.0
        levels.append(level)
    return levels


def _bounded(value: float, other: float, relative: float, provenance: Provenance) -> Estimate:
    low, high = min(value, other), max(value, other)
    return Estimate(value, low * max(0.0, 1 - relative), high * (1 + relative), provenance)
