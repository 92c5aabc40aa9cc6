"""One question to the simulator, from what a person types to a result: reads, replays, counts, writes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput, UnknownZone, UsageError, nearest
from heliotrope.model.signal import Quantity, SignalKind
from heliotrope.plan.kernels.policies import registry as policies
from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Slots
from heliotrope.plan.kernels.world import Policy, World
from heliotrope.simulate import beliefs, gridfile, synthetic
from heliotrope.simulate.output import SlotWriter
from heliotrope.simulate.picture import Picture
from heliotrope.simulate.replay import Outcome, Result, Sink, replay, replay_queued, result
from heliotrope.simulate.slurm import Sacct
from heliotrope.simulate.source import Frame, Source, Waits
from heliotrope.simulate.trace import Trace
from heliotrope.units import S_PER_HOUR


class Scenario(msgspec.Struct, frozen=True):
    """The options of `helio simulate`, parsed. Waits in seconds; `capacity` as typed: N, or ZONE=N,….

    What forecasts learn is kept in `home`, else for this process alone.
    """

    jobs: str
    grid: Path
    policy: str = "helio"
    kind: str = "carbon/average/lifecycle"
    slack_s: float | None = None
    wait_short_s: float | None = None
    wait_long_s: float | None = None
    zones: str | None = None
    start_hour: float = 0.0
    capacity: str | None = None
    forecast: str = "perfect"
    replan_s: float = 3600.0
    time_unit: str = "s"
    out: Path | None = None
    picture: Path | None = None
    from_slurm: bool = False
    home: Path | None = None


def waits(scenario: Scenario) -> Waits:
    """`--slack` for all, or the two queues' own; a day where nothing is said."""
    short, long = scenario.wait_short_s, scenario.wait_long_s
    if scenario.slack_s is not None:
        if short is not None or long is not None:
            raise UsageError("--slack and --wait-short/--wait-long say the same thing twice", hint="keep one")
        return Waits(scenario.slack_s, scenario.slack_s)
    both = Waits()
    return Waits(both.short_s if short is None else short, both.long_s if long is None else long)


def capacity(text: str | None, curves: Curves) -> tuple[float, ...] | None:
    """Devices a zone: one number for each zone, or ZONE=N for those named and nothing elsewhere."""
    if text is None:
        return None
    if "=" not in text:
        return tuple(_devices(text) for _ in curves.zones)
    named: dict[str, float] = {}
    for part in text.split(","):
        zone, _, number = part.partition("=")
        if zone.strip() not in curves.zones:
            raise UnknownZone(
                "the grid has no such zone", field="--capacity", found=zone, hint=nearest(zone.strip(), curves.zones)
            )
        if zone.strip() in named:
            raise InvalidInput("a zone is there twice", field="--capacity", found=text, allowed="ZONE=N once a zone")
        named[zone.strip()] = _devices(number)
    return tuple(named.get(zone, 0.0) for zone in curves.zones)


def _devices(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise InvalidInput(
            "not a capacity",
            field="--capacity",
            found=text,
            allowed="devices, more than 0: N, or ZONE=N,… where a zone left out has none",
        )
    return number


def _source(scenario: Scenario, frame: Frame) -> Source:
    ids = scenario.out is not None
    if scenario.from_slurm:
        return Sacct(Path(scenario.jobs), frame, ids=ids)
    if scenario.jobs.startswith(synthetic.PREFIX):
        return synthetic.Synthetic(scenario.jobs, frame, ids=ids)
    return Trace(Path(scenario.jobs), frame, ids=ids)


def simulate(scenario: Scenario) -> Result:
    kind = SignalKind.parse(scenario.kind)
    if kind.quantity is not Quantity.CARBON:
        raise UsageError(f"{scenario.kind} is not carbon", hint="--kind carbon/average/lifecycle")
    policy = policies.named(scenario.policy)
    limits = waits(scenario)
    curves, epoch_s = gridfile.read(scenario.grid)
    zones = gridfile.chosen(scenario.zones, curves)
    frame = Frame(
        curves=curves,
        epoch_s=epoch_s,
        origin_s=scenario.start_hour * S_PER_HOUR,
        zones=zones,
        waits=limits,
        unit_s=S_PER_HOUR if scenario.time_unit == "h" else 1.0,
        capacity=capacity(scenario.capacity, curves),
    )
    trace = _source(scenario, frame)
    world = World(
        curves=curves,
        epoch_s=epoch_s,
        queue_means=trace.queue_means,
        lengths=trace.lengths,
        sample=trace.sample,
        belief=beliefs.of(
            scenario.forecast,
            curves,
            zones or curves.zones,
            epoch_s,
            scenario.start_hour,
            beliefs.kept_in(scenario.home),
        ),
        blind=scenario.forecast == "none",
        replan_s=scenario.replan_s,
    )
    flags = trace.notes()
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if scenario.out is not None:
            sinks.append(stack.enter_context(SlotWriter(scenario.out, frame, iso=trace.iso)))
        if scenario.picture is not None:
            picture = Picture(scenario.picture, frame, scenario.policy)
            sinks.append(picture)
            stack.callback(picture.write)
        return result(scenario.policy, _replayed(trace, world, policy, _all(sinks)), flags)


def _all(sinks: list[Sink]) -> Sink | None:
    if not sinks:
        return None

    def each(batch: Batch, slots: Slots, grams: Floats) -> None:
        for sink in sinks:
            sink(batch, slots, grams)

    return each


def _replayed(trace: Source, world: World, policy: Policy, sink: Sink | None) -> Outcome:
    limits = trace.frame.capacity
    if limits is None:
        return replay(trace, world, policy, sink)
    return replay_queued(trace, world, policy, limits, sink)
