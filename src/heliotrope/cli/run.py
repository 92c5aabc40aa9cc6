"""`helio run`: a command, when and where power is clean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.cli.work import settled, work_options, workload_of
from heliotrope.units import (
    from_epoch,
    show_carbon,
    show_duration,
    show_energy,
)

if TYPE_CHECKING:
    from heliotrope.model import Estimate, Plan, Run, Workload
    from heliotrope.run import Clock, Controller
    from heliotrope.run.views import RunView


@click.command()
@work_options
@click.option("--now", "at_once", is_flag=True, help="Run at once; still measured, compared and proven.")
@click.option("--faster", type=click.FloatRange(min=1), default=1.0, metavar="N", help="Run the clock N times as fast.")
@click.option("--detach", is_flag=True, help="Return when it is accepted; `helio up` runs it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@shared_options
def run(context: Context, command: tuple[str, ...], **told: Any) -> None:
    """Run COMMAND when and where power is clean; measure it; prove it.

    The exit code is COMMAND's own. Ctrl-C cancels; a second Ctrl-C leaves it to itself.
    """
    from heliotrope.run import Controller

    controller = Controller(settled(context.settings, told))
    try:
        past_s = controller.past_length_s(command, told["faster"])
        workload = workload_of(controller.settings, command, told, past_s, at_once=told["at_once"])
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
