"""`helio plan`: when and where work would run, and why; for one workload, or for many under one capacity."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.errors import UsageError
from heliotrope.units import from_epoch, parse_duration_s, show_carbon, show_duration

FILE = click.Path(dir_okay=False, path_type=Path)


def joint_options(command: Any) -> Any:
    """What both planning and verifying many jobs are told."""
    for option in (
        click.option("--time-unit", type=click.Choice(["s", "h"]), default="s", help="Unit of the jobs' times."),
        click.option("--start-hour", type=float, default=0.0, help="The hour of the grid at which the jobs begin."),
        click.option("--zones", default="any", help="Zones in play: A,B or any."),
        click.option("--slack", default="24h", help="How long a job without a deadline may wait."),
        click.option("--capacity", help="Devices in each zone: N, or ZONE=N,…."),
        click.option("--grid", type=FILE, help="Intensities, CSV: time, then a column a zone, g/kWh."),
        click.option("--jobs", type=FILE, help="Jobs, CSV: submitted, length_s, devices, …."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.option("--length", help="How long one workload takes at full speed, as in 2h.")
@click.option("--within", help="How soon it must be done, as in 24h.")
@click.option("--pausable", is_flag=True, help="It may pause and resume.")
@click.option("--pause-cost", default="0s", help="What one pause and resume takes, as in 2m.")
@click.option("--power", "power_w", type=float, help="What it draws, in watts.")
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@click.option("--zone", help="The grid zone of this machine, where there is no fleet file.")
@click.option("--explain", is_flag=True, help="Also what each limit costs.")
@joint_options
@click.option("--out", type=FILE, help="Write the slots of many jobs, and beside them the certificate.")
@shared_options
def plan(context: Context, **options: Any) -> None:
    """Show when and where it would run, and why."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    if options["jobs"] is not None:
        _many(context, options)
    elif options["length"] is not None:
        _one(context, options)
    else:
        raise UsageError(
            "nothing to plan", hint="--length 2h for one workload, or --jobs FILE --grid FILE --capacity N"
        )


@plan.command("verify")
@click.argument("slots", type=FILE)
@joint_options
@shared_options
def verify(context: Context, slots: Path, **options: Any) -> None:
    """Check SLOTS against every limit, its grams and its certified bound."""
    from heliotrope.cli import planjoint

    verdict = planjoint.verified(slots, planjoint.question(options))
    if context.json:
        print_json({"holds": verdict.holds, **_fields(verdict)})
    else:
        click.echo(f"{verdict.jobs:,} jobs, {show_carbon(verdict.carbon_g)}")
        if verdict.bound_g is not None and verdict.gap is not None:
            click.echo(f"  no plan below {show_carbon(verdict.bound_g)}: at most {verdict.gap:.3%} from the best")
        for fault in verdict.faults:
            click.echo(f"  broken: {fault}")
        click.echo("holds" if verdict.holds else "does not hold")
    if not verdict.holds:
        raise SystemExit(4)


def _many(context: Context, options: dict[str, Any]) -> None:
    from heliotrope.cli import planjoint

    found = planjoint.planned(planjoint.question(options), options["out"])
    if context.json:
        print_json(found)
        return
    click.echo(
        f"{found.jobs:,} jobs: {show_carbon(found.carbon_g)}   (run now, room or not: {show_carbon(found.run_now_g)})"
    )
    click.echo(f"  no plan below {show_carbon(found.bound_g)}: at most {found.gap:.3%} from the best")
    click.echo(f"  {found.wall_s:.1f} s, {found.peak_mb:.0f} MB")
    for flag in found.flags:
        click.echo(f"  note: {flag}")


def _one(context: Context, options: dict[str, Any]) -> None:
    from heliotrope import fleet
    from heliotrope.grid import Grid
    from heliotrope.model import Flexibility, Length, Resources, SignalKind, Workload, WorkloadKind
    from heliotrope.plan import Candidate
    from heliotrope.plan.explain import explained

    settings = context.settings
    now_s = datetime.now(UTC).timestamp()
    within_s = None if options["within"] is None else parse_duration_s(options["within"], field="--within")
    workload = Workload(
        id="plan",
        kind=WorkloadKind.BATCH,
        command=("-",),
        submitted_at=from_epoch(now_s),
        length=Length.known(parse_duration_s(options["length"], field="--length")),
        resources=Resources(power_w=options["power_w"]),
        flexibility=Flexibility(
            pausable=options["pausable"], pause_cost_s=parse_duration_s(options["pause_cost"], field="--pause-cost")
        ),
        deadline=None if within_s is None else from_epoch(now_s + within_s),
    )
    sites = fleet.load(options["fleet"] or settings.fleet, zone=options["zone"] or settings.zone)
    grid, kind = Grid(settings.grid, settings.home_path), SignalKind.parse(settings.grid.kind)
    end_s = int(now_s + settings.plan.horizon_s) + 3600
    candidates = [
        Candidate(s, grid.forecast(s.zone, int(now_s), end_s, issued_at_s=int(now_s), kind=kind)) for s in sites.sites
    ]
    made, prices = explained(
        workload,
        candidates,
        now_s=now_s,
        home=sites.home,
        latency_ms=sites.latency_ms,
        horizon_s=settings.plan.horizon_s,
        step_s=settings.plan.step_s,
        eased=options["explain"],
    )
    if context.json:
        print_json({"plan": made, "prices": prices} if options["explain"] else made)
        return
    for slot in made.slots:
        click.echo(f"{slot.site}  {slot.start:%a %d %b %H:%M} – {slot.end:%a %H:%M} UTC")
    expected, now = made.expected, made.run_now
    bounds = f"{show_carbon(expected.carbon_low_g)}–{show_carbon(expected.carbon_high_g)}"
    sooner_s = (expected.finish - now.finish).total_seconds()
    click.echo(f"  expected   {show_carbon(expected.carbon_g)}  ({bounds})")
    sooner = f", done {show_duration(sooner_s)} sooner" if sooner_s >= 1 else ""
    click.echo(f"  run now    {show_carbon(now.carbon_g)}{sooner}")
    for other in made.alternatives:
        click.echo(f"  {other.name}: {other.reason}")
    for price in prices:
        click.echo(f"  {price.limit}: {price.sentence}")
    for flag in made.flags:
        click.echo(f"  note: {flag}")


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
