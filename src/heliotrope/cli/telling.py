"""How a run is told: a line while it goes on, its summary when it is over, one object for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say
from heliotrope.units import from_epoch, show_carbon, show_duration, show_energy

STOPPED = 130  # as a shell says of Ctrl-C

if TYPE_CHECKING:
    from heliotrope.model import Estimate, Plan, Run, Workload
    from heliotrope.run.views import RunView


def when(plan: Plan) -> str:
    first, last = plan.slots[0], plan.slots[-1]
    count = len(plan.slots) - 1
    pauses = f", {count} pause{'s' if count > 1 else ''}" if count else ""
    ends = f"{last.end:%H:%M}" if last.end.date() == first.start.date() else f"{last.end:%a %d %b %H:%M}"
    return f"{first.site}, {first.start:%a %d %b %H:%M} to {ends} UTC{pauses}"


class Progress:
    """One line on a terminal that is written over; plain lines, one a change, elsewhere."""

    def __init__(self, workload: Workload, plan: Plan) -> None:
        self.live = sys.stderr.isatty()
        self.last = ""
        self.width = 0
        saved = plan.run_now.carbon_g - plan.expected.carbon_g
        less = f", {saved / plan.run_now.carbon_g:.0%} less carbon than at once" if saved > 0 else ""
        say(f"planned {workload.id}: {when(plan)}{less}")

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


def summary(view: RunView) -> None:
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


def patiently(job: str, follow: Callable[[], str], cancel: Callable[[], object], progress: Progress) -> str | None:
    """The run, when it is over; None where Ctrl-C was said twice."""
    try:
        done = follow()
    except KeyboardInterrupt:
        progress.end()
        say("cancelling; Ctrl-C again leaves it to itself")
        cancel()
        try:
            done = follow()
        except KeyboardInterrupt:
            say(f"left to itself: helio runs show {job}")
            return None
    progress.end()
    return done


def say_length(workload: Workload) -> None:
    if workload.length.low_s < workload.length.expected_s == workload.length.high_s:
        say(f"length unknown: {show_duration(workload.length.high_s)} assumed; --length says it")


def accepted(context: Context, job: str, plan: Plan) -> None:
    if context.json:
        print_json({"job": job, "site": plan.slots[0].site, "starts_at": plan.slots[0].start})
    else:
        click.echo(f"{job}: {when(plan)}; `helio up` runs it, `helio jobs` shows it")


def told_of(context: Context, view: RunView) -> int:
    """Its result, and the command's own exit code."""
    run = view.run
    assert run is not None
    if context.json:
        print_json(result(view))
    else:
        summary(view)
    if run.exit_code is None:
        return STOPPED if run.state.value == "cancelled" else 1
    return run.exit_code if run.exit_code >= 0 else 128 - run.exit_code
