"""`helio meter`: the node's daemon, calibration, and measurements for other tools."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options

if TYPE_CHECKING:
    from heliotrope.measure.power.desk import Desk

FILE = click.Path(exists=False, dir_okay=False, path_type=Path)


@click.group()
def meter() -> None:
    """Serve a node's counters, calibrate them, hand measurements to other tools."""


@meter.command()
@click.option("--socket", "path", type=FILE, default=Path("/run/heliotrope/meter.sock"), show_default=True)
@click.option("--interval", type=click.FloatRange(min=0.01), default=0.1, show_default=True, metavar="S")
@click.option("--meter", "meters", multiple=True, metavar="NAME", help="Serve only this one; repeat for more.")
@click.option("--metrics", metavar="HOST:PORT", help="Also show the counters to Prometheus there.")
@click.option("--power", is_flag=True, help="Lend limits and clocks too, beside the socket, as power.sock.")
@click.option("--power-group", default="", metavar="GROUP", help="Who may borrow them, besides root.")
@shared_options
def serve(
    context: Context,
    path: Path,
    interval: float,
    meters: tuple[str, ...],
    metrics: str | None,
    power: bool,
    power_group: str,
) -> None:
    """Own the counters that need root, so that jobs need none.

    With --power also the limits and clocks: what a killed borrower had set is put back at once, what a killed daemon
    had lent is put back when it starts again.
    """
    from contextlib import ExitStack

    from heliotrope.measure.publish.daemon import Daemon, page

    daemon = Daemon(path, interval_s=interval, meters=meters or context.settings.measure.meters)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: daemon.stop())
    with ExitStack() as opened:
        if power or power_group:
            opened.callback(_desk(path.parent, power_group).close)
        if metrics:
            from heliotrope.measure.publish.scrape import Scrape

            shown = Scrape(metrics, lambda: page(daemon.counters()))
            opened.callback(shown.close)
            say(f"metrics at http://{shown.address}/metrics")
        say(f"serving {', '.join(one.name for one in daemon.meters)} at {path}")
        daemon.serve()


def _desk(folder: Path, group: str) -> Desk:
    from heliotrope.measure.machine.system import System
    from heliotrope.measure.power.desk import Desk
    from heliotrope.measure.power.keeper import Keeper
    from heliotrope.measure.power.knobs import find

    keeper = Keeper(find(System()), folder / "power.jsonl")
    if keeper.recovered:
        say(f"put back what a killed daemon had set: {', '.join(keeper.recovered)}")
    return Desk(folder / "power.sock", keeper, group=group)


@meter.command()
@click.argument("journal", type=FILE)
@click.argument("reference", type=FILE)
@click.option("--window", type=click.FloatRange(min=0.1), default=10.0, show_default=True, metavar="S")
@shared_options
def calibrate(context: Context, journal: Path, reference: Path, window: float) -> None:
    """Fit this machine's meters to a plug meter, a PDU or a BMC.

    JOURNAL: of a measurement over some levels of load. REFERENCE: CSV with time and watts of the same while, or
    the journal of a measurement by such a meter.
    """
    from heliotrope.measure.reference import calibration

    fitted = calibration.fit(journal, reference, window_s=window)
    path = context.settings.home_path / "calibration.json"
    calibration.save(fitted, path)
    if context.json:
        print_json({"calibration": fitted, "file": str(path)})
    else:
        click.echo(
            f"reference = {fitted.factor:.3f} x metered + {fitted.base_w:.1f} W, ±{fitted.spread:.1%} a window, "
            f"{fitted.points} windows; kept in {path}"
        )
        if fitted.shift_s:
            click.echo(f"the reference's clock was {fitted.shift_s:+g} s off, which was put right")


@meter.command()
@click.argument("journal", type=FILE)
@click.option(
    "--as", "form", type=click.Choice(["prometheus", "csv", "parquet", "json"]), default="json", show_default=True
)
@click.option("--out", type=FILE, help="A file; stdout if there is none (not for Parquet).")
@shared_options
def export(context: Context, journal: Path, form: str, out: Path | None) -> None:
    """Hand a measurement to another tool."""
    import msgspec

    from heliotrope.errors import UsageError
    from heliotrope.measure import recover
    from heliotrope.measure.publish import export as room
    from heliotrope.worth import worth

    measurement = recover(journal)
    if form == "parquet":
        if out is None:
            raise UsageError("Parquet is not for a terminal", hint="--out FILE.parquet")
        room.to_parquet(measurement, out)
        return
    if form == "prometheus":
        text = room.to_prometheus(measurement, worth(measurement, context.settings).carbon_g)
    elif form == "csv":
        text = room.to_csv(measurement)
    else:
        text = msgspec.json.encode(measurement).decode() + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@meter.command(name="import")
@click.argument("file", type=FILE)
@shared_options
def import_(context: Context, file: Path) -> None:
    """Read CodeCarbon's emissions.csv: one measurement a row, each as a JSON line."""
    from heliotrope.measure.publish.export import from_codecarbon
    from heliotrope.units import show_duration, show_energy

    for measurement in from_codecarbon(file):
        if context.json:
            print_json(measurement)
        else:
            energy = show_energy(measurement.energy_j.value)
            click.echo(f"{measurement.name}: {energy} in {show_duration(measurement.duration_s)}, assumed")
