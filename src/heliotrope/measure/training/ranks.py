"""Distributed training: who this process is among the ranks, and all ranks' readings as one, nothing counted twice."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.model import ZERO, Estimate, Measurement, MeterTotal

# rank, size, rank within the node: torch.distributed, Open MPI, MPICH and Intel MPI, Slurm
_NAMES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)
WHOLE = "all of it is counted"  # the flag of a domain whose users are not shown: every rank on the node counts it


class Rank(msgspec.Struct, frozen=True):
    rank: int = 0
    size: int = 1
    local: int = 0


class RankPart(msgspec.Struct, frozen=True):
    """What one rank measured of its own process tree, on `host`."""

    host: str
    rank: int
    measurement: Measurement


def who(environment: Mapping[str, str] = os.environ) -> Rank:
    """Who this process is among the ranks; alone where no launcher says otherwise."""
    for rank, size, local in _NAMES:
        if rank in environment and size in environment:
            try:
                found = Rank(int(environment[rank]), int(environment[size]), int(environment.get(local, "0")))
            except ValueError:
                raise InvalidInput(
                    "not a rank", field=f"{rank}, {size}, {local}", found=environment[rank], allowed="whole numbers"
                ) from None
            if not 0 <= found.rank < found.size:
                raise InvalidInput(
                    "a rank beyond their number", field=rank, found=found.rank, allowed=f"0 to {found.size - 1}"
                )
            return found
    return Rank()


def merge(parts: Sequence[RankPart]) -> Measurement:
    """One reading of all ranks: each counted its own processes, so they add.

    A device whose users the driver hides was counted whole by every rank of its node, so it counts once a node.
    """
    if not parts:
        raise InvalidInput("no rank measured anything", field="parts")
    seen: set[int] = set()
    for part in parts:
        if part.rank in seen:
            raise InvalidInput("the same rank twice", field="rank", found=part.rank)
        seen.add(part.rank)
    energy = ZERO
    totals: dict[tuple[str, str], MeterTotal] = {}
    whole: set[tuple[str, str]] = set()
    readings = []
    flags: dict[str, None] = {}
    for part in sorted(parts, key=lambda one: one.rank):
        measurement = part.measurement
        hidden = {flag.partition(":")[0] for flag in measurement.flags if WHOLE in flag}
        repeated = {domain for domain in hidden if (part.host, domain) in whole}
        whole.update((part.host, domain) for domain in hidden)
        left_out_j = sum(reading.energy_j for reading in measurement.readings if reading.domain in repeated)
        energy += _without(measurement.energy_j, left_out_j)
        readings += [
            msgspec.structs.replace(reading, domain=f"{part.host}/{reading.domain}")
            for reading in measurement.readings
            if reading.domain not in repeated
        ]
        for meter in measurement.meters:
            if meter.domain in repeated:
                continue
            key = (meter.name, f"{part.host}/{meter.domain}")
            before = totals[key].energy_j if key in totals else 0.0
            totals[key] = MeterTotal(meter.name, key[1], meter.provenance, before + meter.energy_j)
        flags.update(dict.fromkeys(measurement.flags))
    start_s = min(part.measurement.start_s for part in parts)
    end_s = max(part.measurement.end_s for part in parts)
    return Measurement(
        parts[0].measurement.name,
        start_s,
        end_s,
        end_s - start_s,
        energy,
        tuple(totals.values()),
        tuple(readings),
        tuple(flags),
    )


def _without(energy: Estimate, left_out_j: float) -> Estimate:
    """The rest keeps its relative bounds."""
    if not left_out_j or not energy.value:
        return energy
    return energy * max(0.0, 1 - left_out_j / energy.value)


def gather(measurement: Measurement, *, folder: Path | None = None, timeout_s: float = 60.0) -> Measurement | None:
    """All ranks' readings on rank 0, None elsewhere.

    Over torch.distributed, which must be initialised; with a `folder` that all ranks see, by files in it, for MPI and
    Slurm jobs without torch.
    """
    if folder is not None:
        return _gather_files(measurement, folder, timeout_s)
    import torch.distributed as group

    part = RankPart(socket.gethostname(), group.get_rank(), measurement)
    parts: list[bytes] = [b""] * group.get_world_size()
    group.all_gather_object(parts, msgspec.json.encode(part))
    if group.get_rank() != 0:
        return None
    return merge([msgspec.json.decode(one, type=RankPart) for one in parts])


def _gather_files(measurement: Measurement, folder: Path, timeout_s: float) -> Measurement | None:
    """Each rank leaves its part whole or not at all; rank 0 waits for all of them."""
    rank = who()
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"rank-{rank.rank}-of-{rank.size}.json"
    unfinished = mine.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.encode(RankPart(socket.gethostname(), rank.rank, measurement)))
    unfinished.replace(mine)
    if rank.rank != 0:
        return None
    until_s = time.monotonic() + timeout_s
    wanted = [folder / f"rank-{number}-of-{rank.size}.json" for number in range(rank.size)]
    while missing := [path.name for path in wanted if not path.exists()]:
        if time.monotonic() > until_s:
            raise MeterError(
                f"{len(missing)} of {rank.size} ranks left no reading",
                cause=f"{', '.join(missing[:3])} did not come within {timeout_s:g} s",
                hint=f"each rank must call gather(…, folder={str(folder)!r}) on a file system that all share",
            )
        time.sleep(0.05)
    return merge([msgspec.json.decode(path.read_bytes(), type=RankPart) for path in wanted])
