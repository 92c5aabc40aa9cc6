"""`helio simulate`: what a policy would have done with a trace of jobs on a grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import parse_duration_s, show_carbon, show_duration

if TYPE_CHECKING:
    from heliotrope.simulate.replay import Result
    from heliotrope.simulate.scenario import Scenario


class Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return parse_duration_s(value, field=param.opts[0] if param else "") if isinstance(value, str) else value


DURATION = Duration()
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--jobs", help="Jobs, CSV: submitted,length_s,devices,…; GAIA's columns; or synthetic:N[:SEED].")
@click.option("--from-slurm", "sacct", metavar="FILE", help="Jobs, as `sacct -a -X -P -o JobID,Submit,ElapsedRaw,…`.")
@click.option("--grid", type=FILE, required=True, help="Intensities, CSV: time, then a column a zone, g/kWh.")
@click.option("--kind", default="carbon/average/lifecycle", show_default=True, help="What the grid's numbers are.")
@click.option("--policy", default="helio", show_default=True, help="Who decides; an unknown name lists them.")
@click.option("--slack", "slack_s", type=DURATION, help="How long a job may wait in all [default: 24h].")
@click.option("--wait-short", "wait_short_s", type=DURATION, help="The same for jobs under two hours.")
@click.option("--wait-long", "wait_long_s", type=DURATION, help="The same for the others.")
@click.option("--zones", help="Zones in play, the first is home: A,B or any.")
@click.option("--start-hour", type=float, default=0.0, help="The hour of the grid at which the trace begins.")
@click.option("--capacity", help="Devices in each zone: N, or ZONE=N,….")
@click.option("--forecast", default="perfect", show_default=True, help="perfect, FILE, builtin or none.")
@click.option("--replan", "replan_s", type=DURATION, default="1h", show_default=True, help="How often to plan anew.")
@click.option("--time-unit", type=click.Choice(["s", "h"]), default="s", help="Unit of the trace's times.")
@click.option("--out", type=FILE, help="Write every slot: .csv or .parquet.")
@click.option("--picture", type=FILE, help="Draw zones, hours and devices at work: .svg.")
@click.option("--sweep", multiple=True, metavar="NAME=A,B", help="Try each, as slack=6h,24h; may be repeated.")
@click.option("--results", type=FILE, help="Write a sweep's rows: .csv or .parquet.")
@click.option("--ray", "on_ray", is_flag=True, help="Spread a sweep over Ray.")
@shared_options
def simulate(
    context: Context,
    jobs: str | None,
    sacct: str | None,
    sweep: tuple[str, ...],
    results: Path | None,
    on_ray: bool,
    **options: Any,
) -> None:
    """Replay a trace of jobs on a grid under a policy."""
    from heliotrope.simulate.scenario import Scenario
    from heliotrope.simulate.scenario import simulate as run

    if (jobs is None) == (sacct is None):
        raise click.UsageError("name the jobs once: --jobs FILE or --from-slurm FILE")
    scenario = Scenario(
        jobs=jobs or sacct or "", from_slurm=sacct is not None, home=context.settings.home_path, **options
    )
    if sweep:
        _sweep(context, scenario, sweep, results, on_ray=on_ray)
        return
    if results is not None or on_ray:
        raise click.UsageError("--results and --ray belong to --sweep")
    found = run(scenario)
    if context.json:
        print_json(found)
    else:
        _say(found)


def _say(found: Result) -> None:
    click.echo(f"{found.jobs:,} jobs under {found.policy}")
    click.echo(f"  carbon     {show_carbon(found.carbon_g):>12}   run now {show_carbon(found.run_now_g)}")
    if found.saving is not None:
        click.echo(f"  saved      {found.saving:>12.2%}")
    if found.kept_share is not None:
        click.echo(f"  of what was possible {found.kept_share:.1%}   (bound {show_carbon(found.bound_g)})")
    if found.mean_wait_s is not None:
        click.echo(f"  mean wait  {show_duration(found.mean_wait_s):>12}   deadlines missed {found.deadline_misses:,}")
    for flag in found.flags:
        click.echo(f"  note: {flag}")


def _sweep(context: Context, base: Scenario, texts: tuple[str, ...], path: Path | None, *, on_ray: bool) -> None:
    """A line as each setting is done; the file at the end."""
    import msgspec

    from heliotrope.simulate import output
    from heliotrope.simulate import sweep as sweeps

    rows = []
    for row in sweeps.sweep(base, sweeps.parsed(texts), on_ray=on_ray):
        flat = row.settings | {
            k: v for k, v in msgspec.structs.asdict(row.result).items() if k not in {"policy", "flags"}
        }
        rows.append({"policy": row.result.policy} | flat)
        if context.json:
            print_json(row)
            continue
        named = "  ".join(f"{name}={value}" for name, value in row.settings.items())
        found = row.result
        saved = "" if found.saving is None else f"{found.saving:8.2%}"
        wait = "" if found.mean_wait_s is None else show_duration(found.mean_wait_s)
        click.echo(f"{named:<48}{show_carbon(found.carbon_g):>12}{saved}  wait {wait}")
    if path is not None:
        output.write_rows(path, rows)
