"""What work is told on the command line, the same for `helio run` and `helio plan`."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.config import Settings
from heliotrope.errors import InvalidInput, UsageError
from heliotrope.units import parse_bytes, parse_duration_s, parse_instant, show_duration

if TYPE_CHECKING:
    from heliotrope.model import Lateness, Length, Workload

KINDS = ("train", "finetune", "infer", "batch", "federate", "slim")
ASSUMED_LENGTH_S = 3600.0


def work_options(command: Any) -> Any:
    for option in (
        click.option("--cpu-time", metavar="TIME", help="At most this much CPU time, held by the kernel."),
        click.option("--memory", metavar="SIZE", help="At most this much memory a process, as in 4GB."),
        click.option("--pause-cost", metavar="TIME", default="0s", show_default=True, help="Work lost by one pause."),
        click.option(
            "--pause-by",
            type=click.Choice(("signal", "checkpoint")),
            default="signal",
            show_default=True,
            help="Stopped in memory; or told by SIGTERM to save in $HELIO_CHECKPOINT and leave.",
        ),
        click.option(
            "--speedup", metavar="1,A,B…", help="Speed at width 1, 2, 3 …, as in 1,1.9,2.7; the plan chooses the width."
        ),
        click.option("--late", metavar="GRAMS", help="Grams that an hour past the deadline counts as; then it may be."),
        click.option(
            "--state",
            metavar="SIZE",
            default="0B",
            show_default=True,
            help="What a move carries from site to site, as in 4GB.",
        ),
        click.option(
            "--movable", is_flag=True, help="Paused by checkpoint, it may go on at another site: the state is carried."
        ),
        click.option("--pausable", is_flag=True, help="It may be paused and resumed between green hours."),
        click.option(
            "--length",
            metavar="TIME",
            help="How long it takes: 3h, or 1h,3h,8h (least, expected, most); else as last time, else 1h is assumed.",
        ),
        click.option(
            "--kind", type=click.Choice(KINDS), default="batch", show_default=True, help="What kind of work it is."
        ),
        click.option("--zone", metavar="ZONE", help="Grid zone of this machine, where there is no fleet."),
        click.option("--fleet", metavar="FILE", help="A fleet file, or `example`."),
        click.option("--sites", metavar="A,B", help="Only these sites of the fleet."),
        click.option("--until", metavar="TIME", help="Finish by this time: 07:00 (local) or ISO 8601 with a zone."),
        click.option("--within", metavar="TIME", help="Finish within this time from now, as in 24h."),
    ):
        command = option(command)
    return command


def settled(settings: Settings, told: dict[str, Any]) -> Settings:
    """The settings with what the command line says of place."""
    import msgspec

    if told["zone"] and told["fleet"]:
        raise UsageError("--zone is for this machine alone; a fleet's sites have their own", hint="leave one out")
    return msgspec.structs.replace(
        settings,
        fleet="" if told["zone"] else told["fleet"] or settings.fleet,
        zone=told["zone"] or settings.zone,
    )


def workload_of(
    settings: Settings, command: tuple[str, ...], told: dict[str, Any], past_s: float | None, *, at_once: bool = False
) -> Workload:
    """`past_s`: how long the same command took last time, for when nobody says."""
    from heliotrope.model import Flexibility, Length, PauseBy, Resources, Workload, WorkloadKind
    from heliotrope.run.desk import new_id

    now = datetime.now(UTC)
    stated = _length(told["length"])
    length_s = stated.expected_s if stated else past_s
    deadline = _deadline(told, now)
    if told["movable"] and not (told["pausable"] and told["pause_by"] == "checkpoint"):
        raise UsageError("only what saves its state can move", hint="say --pausable --pause-by checkpoint too")
    assumed = length_s is None
    if length_s is None:
        # An assumption must not make a stated deadline impossible.
        room_s = (deadline - now).total_seconds() if deadline else ASSUMED_LENGTH_S
        length_s = min(ASSUMED_LENGTH_S, room_s)
    elif deadline and now + timedelta(seconds=length_s) > deadline:
        raise InvalidInput(
            f"the deadline is shorter than the work: {show_duration((deadline - now).total_seconds())} for "
            f"{show_duration(length_s)}",
            field="--until" if told["until"] else "--within",
            hint=f"allow at least {show_duration(length_s)}, or tell a shorter --length",
        )
    return Workload(
        id=new_id(now),
        kind=WorkloadKind(told["kind"]),
        command=command,
        submitted_at=now,
        length=stated or (Length(length_s, length_s * 0.5, length_s) if assumed else Length.known(length_s)),
        flexibility=Flexibility(
            pausable=told["pausable"],
            pause_by=PauseBy(told["pause_by"]),
            pause_cost_s=parse_duration_s(told["pause_cost"], field="--pause-cost"),
            movable=told["movable"],
            move_bytes=parse_bytes(told["state"], field="--state"),
            speedup=_speedup(told["speedup"]),
        ),
        resources=Resources(
            memory_bytes=parse_bytes(told["memory"], field="--memory") if told["memory"] else 0,
            cpu_time_s=parse_duration_s(told["cpu_time"], field="--cpu-time") if told["cpu_time"] else None,
        ),
        deadline=None if at_once or told["late"] else deadline,
        late=None if at_once else _late(told["late"], deadline),
        sites=tuple(filter(None, (told["sites"] or "").split(","))),
        organisation=settings.organisation,
        working_directory=str(Path.cwd()),
        environment=dict(os.environ),
    )


def _length(text: str | None) -> Length | None:
    """Known, or three numbers between which it lies."""
    from heliotrope.model import Length

    if not text:
        return None
    found = [parse_duration_s(part, field="--length") for part in text.split(",")]
    if found[0] <= 0:
        raise InvalidInput("work takes some time", field="--length", found=text, allowed="more than 0s")
    if len(found) == 1:
        return Length.known(found[0])
    if len(found) != 3 or found != sorted(found):
        raise InvalidInput(
            "not a length", field="--length", found=text, allowed="3h, or 1h,3h,8h: least, expected, most"
        )
    return Length(found[1], found[0], found[2])


def _speedup(text: str | None) -> tuple[float, ...]:
    if text is None:
        return (1.0,)
    try:
        speeds = tuple(float(part) for part in text.split(","))
    except ValueError:
        speeds = ()
    if not speeds or speeds[0] != 1 or not all(math.isfinite(speed) and speed > 0 for speed in speeds):
        raise InvalidInput("not a speed-up curve", field="--speedup", found=text, allowed="as in 1,1.9,2.7: 1 first")
    return speeds


def _late(text: str | None, due: datetime | None) -> Lateness | None:
    """A deadline with a price in place of one that holds."""
    from heliotrope.model import Lateness

    if text is None:
        return None
    if due is None:
        raise UsageError("--late is the price of missing a deadline", hint="say which, with --within or --until")
    try:
        g_per_h = float(text)
    except ValueError:
        g_per_h = -1.0
    if not 0 < g_per_h < math.inf:
        raise InvalidInput("not a price", field="--late", found=text, allowed="grams an hour, more than 0")
    return Lateness(due, g_per_h)


def _deadline(told: dict[str, Any], now: datetime) -> datetime | None:
    if told["within"] and told["until"]:
        raise UsageError("--within and --until both say when it must end", hint="leave one out")
    if told["within"]:
        within_s = parse_duration_s(told["within"], field="--within")
        if within_s <= 0:
            raise InvalidInput("a deadline in the past", field="--within", found=told["within"], allowed="more than 0s")
        return now + timedelta(seconds=within_s)
    if told["until"]:
        until = instant(told["until"], now)
        if until <= now:
            raise InvalidInput(
                "a deadline in the past",
                field="--until",
                found=told["until"],
                allowed=f"after {now:%Y-%m-%dT%H:%M}Z",
                hint="write a later time, or --within 24h",
            )
        return until
    return None


def instant(text: str, now: datetime) -> datetime:
    """`07:00` is the next such time on this machine's own clock face."""
    try:
        face = datetime.strptime(text, "%H:%M")  # noqa: DTZ007  a clock face has no zone; the machine's is meant
    except ValueError:
        return parse_instant(text, field="--until")
    # Days are added to the face, not to the instant: the night in between may have 23 hours, or 25.
    local = now.astimezone().replace(tzinfo=None)
    until = local.replace(hour=face.hour, minute=face.minute, second=0, microsecond=0)
    if until <= local:
        until += timedelta(days=1)
    return until.astimezone(UTC)
