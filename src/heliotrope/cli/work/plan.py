"""`helio plan`: when and where work would run, and why; for one workload, or for many under one capacity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.cli.work.options import settled, work_options, workload_of
from heliotrope.errors import InvalidInput, UsageError
from heliotrope.units import show_carbon, show_duration

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


class _PlanGroup(click.Group):
    """`helio plan verify SLOTS` is a command of ours; any other first word begins the COMMAND to plan."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "COMMAND", _planned, args


@click.group(
    cls=_PlanGroup, invoke_without_command=True, subcommand_metavar="[-- COMMAND] | verify SLOTS", add_help_option=True
)
@work_options
@click.option("--power", "power_w", type=float, help="What it draws, in watts.")
@click.option("--explain", is_flag=True, help="Also what each limit costs.")
@click.option("--front", is_flag=True, help="Every choice between grams, money and finishing time.")
@joint_options
@click.option("--out", type=FILE, help="Write the slots of many jobs, and beside them the certificate.")
@shared_options
def plan(context: Context, **options: Any) -> None:
    """Show when and where it would run, and why."""
    within = click.get_current_context()
    if within.invoked_subcommand is not None:
        within.obj = (context, options)
    elif options["jobs"] is not None:
        _many(context, options)
    elif options["length"] is not None:
        _one(context, options, ("-",))
    else:
        raise UsageError(
            "nothing to plan",
            hint="helio plan --within 24h -- COMMAND, or --jobs FILE --grid FILE --capacity N for many",
        )


@click.command(hidden=True, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def _planned(told: tuple[Context, dict[str, Any]], command: tuple[str, ...]) -> None:
    """One COMMAND, as `helio run` would plan it."""
    context, options = told
    _one(context, options, command)


@plan.command("verify")
@click.argument("slots", type=FILE)
@joint_options
@shared_options
def verify(context: Context, slots: Path, **options: Any) -> None:
    """Check SLOTS against every limit, its grams and its certified bound."""
    from heliotrope.cli.work import planjoint

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
    from heliotrope.cli.work import planjoint

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


def _one(context: Context, options: dict[str, Any], command: tuple[str, ...]) -> None:
    import msgspec

    from heliotrope.plan.whatif.explain import explained
    from heliotrope.plan.whatif.front import front
    from heliotrope.run import Controller

    controller = Controller(settled(context.settings, options))
    try:
        workload = workload_of(controller.settings, command, options, controller.past_length_s(command, 1.0))
        if options["power_w"] is not None:
            if not 0 < options["power_w"] < math.inf:
                raise InvalidInput(
                    "not a power", field="--power", found=options["power_w"], allowed="watts, more than 0"
                )
            resources = msgspec.structs.replace(workload.resources, power_w=options["power_w"])
            workload = msgspec.structs.replace(workload, resources=resources)
        now_s, fleet = workload.submitted_at.timestamp(), controller.fleet
        for name in workload.sites:
            fleet.site(name)  # refuses a name that no site has
        candidates, horizon_s = controller.candidates(workload, now_s, fleet)
    finally:
        controller.close()
    told: dict[str, Any] = {
        "now_s": now_s,
        "home": fleet.home,
        "latency_ms": fleet.latency_ms,
        "horizon_s": horizon_s,
        "step_s": controller.settings.plan.step_s,
    }
    if options["front"]:
        _front(context, front(workload, candidates, **told))
        return
    made, prices = explained(workload, candidates, **told, eased=options["explain"])
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


def _front(context: Context, points: Any) -> None:
    if context.json:
        print_json({"front": points})
        return
    for point in points:
        where = ", ".join(dict.fromkeys(slot.site for slot in point.slots))
        outlook = point.outlook
        click.echo(
            f"{outlook.finish:%a %d %b %H:%M} UTC  {show_carbon(outlook.carbon_g):>10}  {outlook.cost:8.3f} EUR  "
            f"{where}: {point.sentence}"
        )


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
