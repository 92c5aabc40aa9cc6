"""`helio simulate`: what a policy would have done with a trace of jobs on a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import parse_duration_s, show_carbon, show_duration


class Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return parse_duration_s(value, field=f"--{param.name}" if param else "") if isinstance(value, str) else value


DURATION = Duration()
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--jobs", required=True, help="Jobs, CSV: submitted,length_s,devices,…; GAIA's; or synthetic:N[:SEED].")
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
@shared_options
def simulate(context: Context, **options: Any) -> None:
    """Replay a trace of jobs on a grid under a policy."""
    from heliotrope.simulate.scenario import Scenario
    from heliotrope.simulate.scenario import simulate as run

    found = run(Scenario(**options))
    if context.json:
        print_json(found)
        return
    click.echo(f"{found.jobs:,} jobs under {found.policy}")
    click.echo(f"  carbon     {show_carbon(found.carbon_g):>12}   run now {show_carbon(found.run_now_g)}")
    if found.saving is not None:
        click.echo(f"  saved      {found.saving:>11.2%}")
    if found.kept_share is not None:
        click.echo(f"  of what was possible {found.kept_share:.1%}   (bound {show_carbon(found.bound_g)})")
    if found.mean_wait_s is not None:
        click.echo(f"  mean wait  {show_duration(found.mean_wait_s):>12}   deadlines missed {found.deadline_misses:,}")
    for flag in found.flags:
        click.echo(f"  note: {flag}")
