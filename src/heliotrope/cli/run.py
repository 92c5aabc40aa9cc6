"""`helio run`: a command, when and where power is clean."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import InvalidInput, UsageError
from heliotrope.units import (
    from_epoch,
    parse_duration_s,
    parse_instant,
    show_carbon,
    show_duration,
    show_energy,
)

if TYPE_CHECKING:
    from heliotrope.model import Estimate, Plan, Run, Workload
    from heliotrope.run import Clock, Controller
    from heliotrope.run.views import RunView

KINDS = ("train", "finetune", "infer", "batch", "federate", "slim")
ASSUMED_LENGTH_S = 3600.0


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--within", metavar="TIME", help="Finish within this time from now, as in 24h.")
@click.option("--until", metavar="TIME", help="Finish by this time: 07:00 (local) or ISO 8601 with a zone.")
@click.option("--now", "at_once", is_flag=True, help="Run at once; still measured, compared and proven.")
@click.option("--sites", metavar="A,B", help="Only these sites of the fleet.")
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@click.option("--zone", metavar="ZONE", help="Grid zone of this machine, where there is no fleet.")
@click.option("--kind", type=click.Choice(KINDS), default="batch", show_default=True, help="What kind of work it is.")
@click.option("--length", metavar="TIME", help="How long it takes; else as last time, else 1h is assumed.")
@click.option("--pausable", is_flag=True, help="It may be paused and resumed between green hours.")
@click.option(
    "--pause-by",
    type=click.Choice(("signal", "checkpoint")),
    default="signal",
    show_default=True,
    help="Stopped in memory; or told by SIGTERM to save in $HELIO_CHECKPOINT and leave.",
)
@click.option("--pause-cost", metavar="TIME", default="0s", show_default=True, help="Work lost by one pause.")
@click.option("--faster", type=click.FloatRange(min=1), default=1.0, metavar="N", help="Run the clock N times as fast.")
@click.option("--detach", is_flag=True, help="Return when it is accepted; `helio up` runs it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@shared_options
def run(context: Context, command: tuple[str, ...], **told: Any) -> None:
    """Run COMMAND when and where power is clean; measure it; prove it.

    The exit code is COMMAND's own. Ctrl-C cancels; a second Ctrl-C leaves it to itself.
    """
    import msgspec

    from heliotrope.run import Controller

    settings = context.settings
    if told["zone"] and told["fleet"]:
        raise UsageError("--zone is for this machine alone; a fleet's sites have their own", hint="leave one out")
    settings = msgspec.structs.replace(
        settings,
        fleet="" if told["zone"] else told["fleet"] or settings.fleet,
        zone=told["zone"] or settings.zone,
    )
    controller = Controller(settings)
    try:
        workload = _workload(controller, command, told)
        plan, clock = controller.submit(workload, factor=told["faster"], at_once=told["at_once"])
        if workload.length.low_s < workload.length.high_s:
            say(f"length unknown: {show_duration(workload.length.high_s)} assumed; --length says it")
        if told["detach"]:
            _accepted(context, workload, plan)
            return
        code = _follow(context, controller, workload, plan, clock)
    finally:
        controller.close()
    sys.exit(code)


def _workload(controller: Controller, command: tuple[str, ...], told: dict[str, Any]) -> Workload:
    from heliotrope.model import Flexibility, Length, PauseBy, Workload, WorkloadKind
    from heliotrope.run.controller import new_id

    now = datetime.now(UTC)
    length_s = (
        parse_duration_s(told["length"], field="--length")
        if told["length"]
        else controller.past_length_s(command, told["faster"])
    )
    if length_s is not None and length_s <= 0:
        raise InvalidInput("work takes some time", field="--length", found=told["length"], allowed="more than 0s")
    deadline = _deadline(told, now)
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
        length=Length(length_s, length_s * 0.5, length_s) if assumed else Length.known(length_s),
        flexibility=Flexibility(
            pausable=told["pausable"],
            pause_by=PauseBy(told["pause_by"]),
            pause_cost_s=parse_duration_s(told["pause_cost"], field="--pause-cost"),
        ),
        deadline=None if told["at_once"] else deadline,
        sites=tuple(filter(None, (told["sites"] or "").split(","))),
        organisation=controller.settings.organisation,
        working_directory=str(Path.cwd()),
        environment=dict(os.environ),
    )


def _deadline(told: dict[str, Any], now: datetime) -> datetime | None:
    if told["within"] and told["until"]:
        raise UsageError("--within and --until both say when it must end", hint="leave one out")
    if told["within"]:
        within_s = parse_duration_s(told["within"], field="--within")
        if within_s <= 0:
            raise InvalidInput("a deadline in the past", field="--within", found=told["within"], allowed="more than 0s")
        return now + timedelta(seconds=within_s)
    if told["until"]:
        until = _instant(told["until"], now)
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


def _instant(text: str, now: datetime) -> datetime:
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


def _accepted(context: Context, workload: Workload, plan: Plan) -> None:
    if context.json:
        print_json({"job": workload.id, "site": plan.slots[0].site, "starts_at": plan.slots[0].start})
    else:
        click.echo(f"{workload.id}: {_when(plan)}; `helio up` runs it, `helio jobs` shows it")


def _when(plan: Plan) -> str:
    first, last = plan.slots[0], plan.slots[-1]
    count = len(plan.slots) - 1
    pauses = f", {count} pause{'s' if count > 1 else ''}" if count else ""
    ends = f"{last.end:%H:%M}" if last.end.date() == first.start.date() else f"{last.end:%a %d %b %H:%M}"
    return f"{first.site}, {first.start:%a %d %b %H:%M} to {ends} UTC{pauses}"


def _follow(context: Context, controller: Controller, workload: Workload, plan: Plan, clock: Clock) -> int:
    from heliotrope.run.views import run_view

    progress = Progress(workload, plan, clock)
    try:
        done = controller.follow(workload.id, progress.show)
    except KeyboardInterrupt:
        progress.end()
        say("cancelling; Ctrl-C again leaves it to itself")
        controller.cancel(workload.id)
        try:
            done = controller.follow(workload.id, progress.show)
        except KeyboardInterrupt:
            say(f"left to itself: helio runs show {workload.id}")
            return 130
    progress.end()
    view = run_view(controller.store, done.id)
    if context.json:
        print_json(result(view))
    else:
        _summary(view)
    if done.exit_code is None:
        return 130 if done.state.value == "cancelled" else 1
    return done.exit_code if done.exit_code >= 0 else 128 - done.exit_code


class Progress:
    """One line on a terminal that is written over; plain lines, one a change, elsewhere."""

    def __init__(self, workload: Workload, plan: Plan, clock: Clock) -> None:
        self.live = sys.stderr.isatty()
        self.clock = clock
        self.last = ""
        self.width = 0
        saved = plan.run_now.carbon_g - plan.expected.carbon_g
        less = f", {saved / plan.run_now.carbon_g:.0%} less carbon than at once" if saved > 0 else ""
        say(f"planned {workload.id}: {_when(plan)}{less}")

    def show(self, run: Run, plan: Plan, now_s: float) -> None:
        text = f"{run.state.value} at {run.site}"
        if self.live:
            left = plan.slots[run.slot].start.timestamp() - now_s
            clock = f"{from_epoch(now_s):%a %H:%M:%S} UTC"
            line = f"{clock}  {text}" + (f", starts in {show_duration(left)}" if left > 0 else "")
            sys.stderr.write("\r" + line.ljust(self.width))
            sys.stderr.flush()
            self.width = len(line)
        elif text != self.last:
            say(f"{from_epoch(now_s):%Y-%m-%dT%H:%M:%SZ} {text}")
        self.last = text

    def end(self) -> None:
        if self.live and self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            self.width = 0


def result(view: RunView) -> dict[str, Any]:
    """The stable shape that others read."""
    run, footprint = view.run, view.footprint
    assert run is not None
    return {
        "run": run.id,
        "job": view.workload.id,
        "state": run.state.value,
        "exit_code": run.exit_code,
        "reason": run.reason,
        "site": run.site,
        "zone": run.zone,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "energy_j": footprint and footprint.energy_j,
        "carbon_g": footprint and footprint.carbon_g,
        "run_now_g": view.run_now_g,
        "cost": footprint and footprint.cost,
        "receipt": run.receipt or None,
        "clock_factor": run.clock_factor,
        "flags": footprint.flags if footprint else (),
    }


def _summary(view: RunView) -> None:
    run, footprint = view.run, view.footprint
    assert run is not None
    say(
        f"{run.state.value}: {run.id} at {run.site} ({run.zone or 'zone unknown'})"
        + (f", {run.reason}" if run.reason else "")
    )
    if footprint is None or view.run_now_operational_g is None:
        return
    say(f"  energy   {_shown(footprint.energy_j, show_energy)}")
    say(f"  carbon   {_shown(footprint.carbon_operational_g, show_carbon)}")
    say(f"  at once  {_shown(view.run_now_operational_g, show_carbon)}")
    say(f"  embodied {_shown(footprint.carbon_embodied_g, show_carbon)}")
    say(f"  cost     {_shown(footprint.cost, lambda v: f'{v:.2g} {footprint.currency}')}")
    for flag in footprint.flags:
        say(f"  note     {flag}")
    say(f"  receipt  {run.receipt}")


def _shown(estimate: Estimate, show: Any) -> str:
    return f"{show(estimate.value)}  ({show(estimate.low)} to {show(estimate.high)}, {estimate.provenance.value})"
