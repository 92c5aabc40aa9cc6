"""`helio measure`: what a command uses, its children included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.errors import UsageError
from heliotrope.model import Estimate, Footprint, Measurement
from heliotrope.units import show_carbon, show_duration, show_energy

if TYPE_CHECKING:
    from heliotrope.measure import Session


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--interval", type=float, metavar="S", help="Seconds between samples.")
@click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="Keep every sample in this file.")
@click.option("--meter", "meters", multiple=True, metavar="NAME", help="Only this meter, as NAME or NAME:TARGET.")
@click.option("--metrics", metavar="[HOST:]PORT", help="Serve live numbers for Prometheus while CMD runs.")
@click.option(
    "--recover", type=click.Path(dir_okay=False, path_type=Path), help="Read a journal instead, after a kill."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@shared_options
def measure(
    context: Context,
    interval: float | None,
    journal: Path | None,
    meters: tuple[str, ...],
    metrics: str | None,
    recover: Path | None,
    command: tuple[str, ...],
) -> None:
    """Measure what a command uses: `helio measure -- CMD`.

    Child processes are included; CMD's exit code and signals are passed through.
    """
    from heliotrope.measure import recover as read_journal
    from heliotrope.measure.sampling.command import run
    from heliotrope.worth import worth

    if (recover is None) == (not command):
        raise UsageError("say what to measure", hint="helio measure -- CMD, or helio measure --recover FILE")
    if recover is not None:
        measurement, exit_code = read_journal(recover), None
    else:
        wanted = context.settings.measure
        with _served(metrics, context) as began:
            measurement, exit_code = run(
                command,
                interval_s=wanted.interval_s if interval is None else interval,
                meters=meters or wanted.meters,
                journal=journal,
                began=began,
            )
    footprint = worth(measurement, context.settings)
    if context.json:
        print_json(report(measurement, footprint, exit_code))
    else:
        _summary(measurement, footprint, exit_code)
    if exit_code:
        click.get_current_context().exit(exit_code)


@contextmanager
def _served(address: str | None, context: Context) -> Iterator[Callable[[Session], None] | None]:
    """The port is taken before the command starts, and given back when it has ended."""
    if address is None:
        yield None
        return
    from heliotrope.measure.publish.scrape import Live, Scrape
    from heliotrope.worth import worth

    live = Live(lambda measurement: worth(measurement, context.settings).carbon_g)
    scrape = Scrape(address, live.text)
    say(f"metrics at http://{scrape.address}/metrics")
    try:
        yield live.follow
    finally:
        scrape.close()


def report(measurement: Measurement, footprint: Footprint, exit_code: int | None) -> dict[str, Any]:
    """The stable shape: every figure with its interval and its provenance."""
    return {
        "name": measurement.name,
        "energy_j": measurement.energy_j,
        "carbon_g": footprint.carbon_g,
        "carbon_operational_g": footprint.carbon_operational_g,
        "started_at_s": measurement.start_s,
        "duration_s": measurement.duration_s,
        "exit_code": exit_code,
        "meters": measurement.meters,
        "flags": footprint.flags,
        "journal": measurement.journal,
    }


def _summary(measurement: Measurement, footprint: Footprint, exit_code: int | None) -> None:
    ended = "" if exit_code is None else f", exit code {exit_code}"
    say(f"{measurement.name}: {show_duration(measurement.duration_s)}{ended}")
    say(f"  energy  {_span(measurement.energy_j, show_energy)}")
    say(f"  carbon  {_span(footprint.carbon_g, show_carbon)}")
    for meter in measurement.meters:
        say(f"  {meter.name} {meter.domain}: {show_energy(meter.energy_j)}, {meter.provenance.value}")
    for flag in footprint.flags:
        say(f"  note: {flag}")
    if measurement.journal:
        say(f"  journal: {measurement.journal}")


def _span(estimate: Estimate, show: Any) -> str:
    bounds = "" if estimate.low == estimate.high else f" ({show(estimate.low)} to {show(estimate.high)})"
    return f"{show(estimate.value)}{bounds}, {estimate.provenance.value}"
