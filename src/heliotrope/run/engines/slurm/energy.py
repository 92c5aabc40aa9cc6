"""What Slurm's own meters say of a job: joules of whole nodes, shared out among the jobs that were on them.

Slurm charges each job with everything that its node drew while it ran: two jobs on one node are each charged for both.
Here every moment of a node is divided once: by the CPUs that were allocated at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from heliotrope.model import Estimate, Measurement, MeterTotal, Provenance, Reading

ROUNDS = 50
METER, DOMAIN = "slurm", "node"
TICK_S = 1.0  # Slurm's accounting knows whole seconds


class OnNode(msgspec.Struct, frozen=True):
    """One job on one node. `node_j`: what the whole node drew between `start_s` and `end_s`; None while it runs."""

    job: str
    start_s: float
    end_s: float
    cpus: float
    node_j: float | None


def shares_j(jobs: Sequence[OnNode]) -> dict[str, float]:
    """Joules of each; together what the node drew while any of them was there.

    The draw between any two starts or ends is unknown; the jobs' charges over different spans say what it was on
    average. Fitted in proportion, it meets every charge where they agree, and stays near all of them where they do not.
    """
    cuts = sorted({moment for job in jobs for moment in (job.start_s, job.end_s)})
    spans = [(a, b, [job for job in jobs if job.start_s <= a and b <= job.end_s]) for a, b in pairwise(cuts)]
    spans = [(a, b, there) for a, b, there in spans if any(job.node_j is not None for job in there)]
    known = [job for job in jobs if job.node_j is not None]
    mean_w = sum(job.node_j or 0.0 for job in known) / max(sum(job.end_s - job.start_s for job in known), TICK_S)
    energy_j = [(b - a) * mean_w for a, b, _ in spans]
    for _ in range(ROUNDS):
        for job in known:
            mine = [i for i, (_, _, there) in enumerate(spans) if job in there]
            fitted_j = sum(energy_j[i] for i in mine)
            for i in mine:
                energy_j[i] *= (job.node_j or 0.0) / fitted_j if fitted_j > 0 else 0.0
    shared = dict.fromkeys((job.job for job in jobs), 0.0)
    for (_, _, there), joules in zip(spans, energy_j, strict=True):
        cpus = sum(job.cpus for job in there)
        for job in there:
            shared[job.job] += joules * job.cpus / cpus
    return shared


def metered(measurement: Measurement, mine: OnNode, others: Sequence[OnNode]) -> Measurement:
    """The same span, by the node's meter: measured where the job was alone, else modelled between nothing and all."""
    assert mine.node_j is not None
    near = [job for job in others if job.start_s < mine.end_s and mine.start_s < job.end_s]
    value_j = shares_j([mine, *near])[mine.job]
    tick_j = mine.node_j / max(mine.end_s - mine.start_s, TICK_S) * TICK_S
    if near:
        kind = Provenance.MODELLED
        energy = Estimate(value_j, 0.0, mine.node_j + tick_j, kind)
        flag = f"the node's meter, shared by CPUs with {len(near)} other job{'s' if len(near) > 1 else ''}"
    else:
        kind = Provenance.MEASURED
        energy = Estimate(value_j, max(value_j - tick_j, 0.0), value_j + tick_j, kind)
        flag = "the node's meter, whole: no other job was there"
    return msgspec.structs.replace(
        measurement,
        energy_j=energy,
        meters=(MeterTotal(METER, DOMAIN, kind, value_j),),
        readings=_spread(measurement, value_j, tick_j, kind),
        flags=(*measurement.flags, flag),
    )


def _spread(measurement: Measurement, value_j: float, error_j: float, kind: Provenance) -> tuple[Reading, ...]:
    """Over time as the job's own readings were; evenly where it had none. The hours decide what a joule emitted."""
    seen = measurement.readings or (Reading(METER, DOMAIN, measurement.start_s, measurement.end_s, 1.0),)
    seen_j = sum(reading.energy_j for reading in seen)
    if seen_j <= 0:
        return (Reading(METER, DOMAIN, measurement.start_s, measurement.end_s, value_j, error_j, kind),)
    return tuple(
        Reading(
            METER,
            DOMAIN,
            reading.start_s,
            reading.end_s,
            value_j * reading.energy_j / seen_j,
            error_j * reading.energy_j / seen_j,
            kind,
        )
        for reading in seen
    )
