"""Many jobs for `helio plan`: files in, the planner or the verifier called, files out."""

from __future__ import annotations

import csv
import resource
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heliotrope.errors import InvalidInput, UnknownName, UnknownZone, UsageError, nearest
from heliotrope.plan.joint import solve
from heliotrope.plan.joint.problem import problem
from heliotrope.plan.joint.verify import Certificate, Held, Verdict
from heliotrope.plan.joint.verify import verify as check
from heliotrope.plan.kernels.shapes import Batch, Curves
from heliotrope.plan.kernels.solve import grams, run_now
from heliotrope.simulate import gridfile
from heliotrope.simulate.output import SlotWriter
from heliotrope.simulate.scenario import capacity
from heliotrope.simulate.source import Frame, Left, Waits
from heliotrope.simulate.trace import Trace
from heliotrope.units import S_PER_HOUR, parse_duration_s, parse_instant

COLUMNS = ("job", "zone", "start", "end", "width", "power_w")


class Question(msgspec.Struct, frozen=True, eq=False):
    batch: Batch
    frame: Frame
    curves: Curves
    capacity: tuple[float, ...]
    iso: bool
    flags: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """What `helio plan --jobs --json` prints. `run_now_g`: every job at once in its first zone, room or not."""

    jobs: int
    carbon_g: float
    run_now_g: float
    bound_g: float
    gap: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    flags: tuple[str, ...]


def question(options: dict[str, Any]) -> Question:
    for needed in ("jobs", "grid", "capacity"):
        if options[needed] is None:
            raise UsageError(f"--{needed} is missing", hint="many jobs need --jobs FILE --grid FILE --capacity N")
    curves, epoch_s = gridfile.read(options["grid"])
    limits = capacity(options["capacity"], curves)
    assert limits is not None
    slack_s = parse_duration_s(options["slack"], field="--slack")
    frame = Frame(
        curves=curves,
        epoch_s=epoch_s,
        origin_s=options["start_hour"] * S_PER_HOUR,
        zones=gridfile.chosen(options["zones"], curves),
        waits=Waits(slack_s, slack_s),
        unit_s=S_PER_HOUR if options["time_unit"] == "h" else 1.0,
        capacity=limits,
    )
    trace = Trace(options["jobs"], frame, ids=True)
    left = Left()
    batches = [trace.batch(block, left) for block in trace.blocks()]
    flags = [f"{left.late} jobs end after the grid does and were left out"] if left.late else []
    flags += [f"{left.clipped} windows were cut at the grid's end"] if left.clipped else []
    flags += [f"{left.assumed_power} jobs state no power: 1 W a device assumed"] if left.assumed_power else []
    batch = _joined(batches)
    if "pausable" not in trace.columns:
        batch = msgspec.structs.replace(batch, pausable=np.zeros_like(batch.pausable))
    # A plan leaves each job in one zone; a stranger's slots are held to that too, so that its bound stays one.
    batch = msgspec.structs.replace(batch, movable=np.zeros_like(batch.movable))
    return Question(batch, frame, curves, limits, trace.iso, tuple(flags))


def _joined(batches: list[Batch]) -> Batch:
    """Blocks of one file as one batch; a later block knows all sets of zones that an earlier one did."""
    if not batches:
        raise InvalidInput("there is no job to plan", field="--jobs")
    columns = ("submitted_s", "length_s", "devices", "power_w", "slack_s", "pausable", "movable", "places")
    return msgspec.structs.replace(
        batches[-1],
        first=0,
        ids=tuple(name for batch in batches for name in batch.ids or ()),
        **{name: np.concatenate([getattr(batch, name) for batch in batches]) for name in columns},
    )


def planned(asked: Question, out: Path | None) -> Answer:
    began, cpu = time.perf_counter(), time.process_time()
    batch, curves = asked.batch, asked.curves
    found = solve(problem(batch, curves, asked.capacity))
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    if out is not None:
        with SlotWriter(out, asked.frame, iso=asked.iso) as writer:
            writer(batch, found.slots, grams(found.slots, batch, curves))
        price = tuple(tuple(row) for row in found.price.tolist())
        step_s = curves.end_s / found.price.shape[1]
        certificate = Certificate(curves.zones, step_s, price, found.carbon_g, found.bound_g)
        _beside(out).write_bytes(msgspec.json.encode(certificate))
    return Answer(
        jobs=len(batch),
        carbon_g=found.carbon_g,
        run_now_g=float(grams(run_now(batch), batch, curves).sum()),
        bound_g=found.bound_g,
        gap=found.gap,
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        flags=asked.flags,
    )


def _beside(slots: Path) -> Path:
    return slots.with_suffix(".certificate.json")


def verified(slots: Path, asked: Question) -> Verdict:
    """Without a certificate beside the slots, the limits and the grams are still checked."""
    path = _beside(slots)
    certificate = None
    if path.is_file():
        try:
            certificate = msgspec.json.decode(path.read_bytes(), type=Certificate)
        except msgspec.DecodeError as error:
            raise InvalidInput("not a certificate", file=str(path), cause=str(error)) from error
    return check(asked.batch, asked.curves, asked.capacity, _read_slots(slots, asked), certificate)


def _read_slots(path: Path, asked: Question) -> Held:
    rows = {name: i for i, name in enumerate(asked.batch.ids or ())}
    zones = {name: i for i, name in enumerate(asked.curves.zones)}
    frame = asked.frame
    found: list[tuple[int, int, float, float, float]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise InvalidInput("not a file of slots", file=str(path), line=1, allowed=",".join(COLUMNS))
            for line, row in enumerate(reader, start=2):
                if len(row) != len(COLUMNS):
                    raise InvalidInput("not six fields", file=str(path), line=line, found=len(row))
                job, zone, start, end, width, _ = row
                if job not in rows:
                    raise UnknownName(
                        "a slot of a job that is not in the jobs file",
                        file=str(path),
                        line=line,
                        field="job",
                        found=job,
                    )
                if zone not in zones:
                    raise UnknownZone(
                        "the grid has no such zone",
                        file=str(path),
                        line=line,
                        field="zone",
                        found=zone,
                        hint=nearest(zone, zones),
                    )
                try:
                    times = [_clock(text, frame, iso=asked.iso) for text in (start, end)]
                    held = float(width)
                except ValueError:
                    raise InvalidInput("not a number", file=str(path), line=line, found=",".join(row)) from None
                found.append((rows[job], zones[zone], times[0], times[1], held))
    except FileNotFoundError:
        raise InvalidInput("no such file", file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("cannot be read", file=str(path), cause=str(error)) from error
    table = np.array(found, dtype=np.float64).reshape(-1, 5)
    return Held(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4])


def _clock(text: str, frame: Frame, *, iso: bool) -> float:
    if iso:
        return parse_instant(text).timestamp() - frame.epoch_s
    return float(text) * frame.unit_s + frame.origin_s
