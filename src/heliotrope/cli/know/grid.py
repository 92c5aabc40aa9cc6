"""`helio grid`: what the power is like, now, next and past."""

from __future__ import annotations

import time
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliotrope.cli.shared import Context, print_json, say, shared_options
from heliotrope.units import (
    S_PER_DAY,
    S_PER_HOUR,
    epoch_s,
    from_epoch,
    hour_floor,
    parse_duration_s,
    parse_instant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from heliotrope.grid import Grid
    from heliotrope.model import Signal, SignalKind


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def grid() -> None:
    """The power grid: now, next, past. ZONE is DE, FRA, PJM, London, azure/westeurope …"""


provider_option = click.option(
    "--provider", "providers", multiple=True, metavar="NAME", help="Ask this one; repeatable."
)
kind_option = click.option(
    "--kind", "kind_text", metavar="KIND", help="As in carbon/average/lifecycle, price, carbon_free."
)


csv_option = click.option("--csv", "as_csv", is_flag=True, help="A row an hour, with its provenance.")


def _out(_context: click.Context, _parameter: click.Parameter, name: str | None) -> Path | None:
    """Refused before anybody is asked for anything."""
    if name is None:
        return None
    from heliotrope.grid.show import table

    return table.check(Path(name))


out_option = click.option("--out", callback=_out, metavar="FILE", help="Write .csv, .parquet or .json instead.")


@grid.command()
@click.argument("zones", nargs=-1, required=True, metavar="ZONE...")
@provider_option
@kind_option
@csv_option
@out_option
@shared_options
def now(
    context: Context,
    zones: tuple[str, ...],
    providers: tuple[str, ...],
    kind_text: str | None,
    as_csv: bool,
    out: Path | None,
) -> None:
    """The hour that is, in each ZONE, and where it stands among the next 24."""
    from heliotrope.grid.show import strip, table

    door, kind_of = _door(context, providers, kind_text)
    at = int(time.time())
    start = hour_floor(at)
    asked = (door.forecast(zone, start, start + S_PER_DAY, issued_at_s=at, kind=kind_of(zone)) for zone in zones)
    if out is not None or (as_csv and not context.json):
        _show_rows(context, table.rows_now(asked), out)
        return
    for signal in asked:
        if context.json:
            print_json(table.point(signal))
        else:
            click.echo(strip.now(signal, colour=_colour(), columns=_columns()))


@grid.command()
@click.argument("zones", nargs=-1, required=True, metavar="ZONE...")
@click.option("--hours", default="24h", metavar="LENGTH", help="How far ahead (24h).", show_default=False)
@provider_option
@kind_option
@csv_option
@out_option
@shared_options
def forecast(
    context: Context,
    zones: tuple[str, ...],
    hours: str,
    providers: tuple[str, ...],
    kind_text: str | None,
    as_csv: bool,
    out: Path | None,
) -> None:
    """The hours to come in each ZONE."""
    door, kind_of = _door(context, providers, kind_text)
    at = int(time.time())
    start = hour_floor(at)
    end = start + max(int(parse_duration_s(hours, field="--hours")), S_PER_HOUR)
    _show(context, [door.forecast(zone, start, end, issued_at_s=at, kind=kind_of(zone)) for zone in zones], as_csv, out)


@grid.command()
@click.argument("zones", nargs=-1, metavar="ZONE...")
@click.option("--from", "start_text", metavar="TIME", help="ISO 8601 with a zone (24 h ago).")
@click.option("--to", "end_text", metavar="TIME", help="ISO 8601 with a zone (now).")
@click.option("--kept", is_flag=True, help="What this machine was ever told, with revisions; asks nobody.")
@provider_option
@kind_option
@csv_option
@out_option
@shared_options
def history(
    context: Context,
    zones: tuple[str, ...],
    start_text: str | None,
    end_text: str | None,
    kept: bool,
    providers: tuple[str, ...],
    kind_text: str | None,
    as_csv: bool,
    out: Path | None,
) -> None:
    """The hours that were in each ZONE."""
    end = epoch_s(parse_instant(end_text, field="--to")) if end_text else hour_floor(time.time())
    start = epoch_s(parse_instant(start_text, field="--from")) if start_text else end - S_PER_DAY
    if kept:
        _show_kept(context, zones, start if start_text else 0, end, out)
        return
    if not zones:
        raise click.UsageError("name a ZONE, or ask for what is --kept here")
    door, kind_of = _door(context, providers, kind_text)
    _show(context, [door.history(zone, start, end, kind=kind_of(zone)) for zone in zones], as_csv, out)


@grid.command(name="map")
@provider_option
@kind_option
@csv_option
@out_option
@shared_options
def world_map(
    context: Context, providers: tuple[str, ...], kind_text: str | None, as_csv: bool, out: Path | None
) -> None:
    """Show this hour in every zone that can be asked, on a map of the world."""
    from heliotrope.grid.show import table, world

    door, kind_of = _door(context, providers, kind_text)
    seen = world.survey(door, kind_of(None), int(time.time()))
    if out is not None or (as_csv and not context.json):
        _show_rows(context, table.rows_now(seen.found), out)
    elif context.json:
        for signal in seen.found:
            print_json(table.point(signal))
    else:
        click.echo(world.draw(seen, colour=_colour()))
        return
    for line in world.untold(seen):
        say(line)


@grid.command()
@csv_option
@out_option
@shared_options
def providers(context: Context, as_csv: bool, out: Path | None) -> None:
    """Who can be asked, what each gives, and whether it is configured here."""
    from heliotrope.grid.show import listing, table

    listed = listing.rows(context.settings.grid, context.settings.home_path)
    if out is not None or (as_csv and not context.json):
        _show_rows(context, table.rows_listed(listed), out)
        return
    for row in listed:
        if context.json:
            print_json(row)
        else:
            click.echo(f"{row.name:<16} {row.state:<12} {', '.join(row.kinds)}")
            spent = f"; {row.calls} of {row.calls_per_hour} calls this hour" if row.calls_per_hour else ""
            click.echo(f"{'':<16} {row.note}{spent}")


@grid.command()
@click.option("--series", "series_file", metavar="FILE", help="What the twin's world is like (the embedded model).")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where to listen.")
@click.option("--port", default=8090, show_default=True, metavar="PORT", help="0 for any free one.")
@click.option("--fault", "fault_names", multiple=True, metavar="[API:]NAME", help="Misbehave; repeatable.")
@shared_options
def twin(context: Context, series_file: str | None, host: str, port: int, fault_names: tuple[str, ...]) -> None:
    """Serve a loopback twin of the grid APIs, with faults on demand.

    `helio grid twin > twin.toml &`, then `helio grid now GB --provider neso --config twin.toml`.
    """
    from heliotrope.grid.files import hourly
    from heliotrope.grid.twin import app, faults

    series = (
        {name: hourly.read(Path(series_file), name) for name in hourly.zones(Path(series_file))} if series_file else {}
    )
    double = app.Twin(series)
    for text in fault_names:
        api, _, name = text.rpartition(":")
        double.faults.append(faults.Fault(faults.check(name), app.check(api)))

    def ready(bound: int) -> None:
        if context.json:
            print_json({"url": f"http://{host}:{bound}", "key": app.KEY})
        else:
            click.echo(app.settings(f"http://{host}:{bound}"))
            say(f"up on http://{host}:{bound}; what is on stdout is a --config for who asks it; Ctrl-C ends it")

    app.serve(double, host, port, ready)


@grid.command()
@click.argument("words", nargs=-1, metavar="[WORD...]")
@shared_options
def zones(context: Context, words: tuple[str, ...]) -> None:
    """Every zone that facts know, and parts that services know; WORDs narrow the list."""
    from heliotrope.grid.zones import search

    for zone in search(words):
        fact = zone.intensity
        place = zone.place
        if fact is None or place is None:
            continue
        if context.json:
            row = {"name": zone.name, "title": zone.title, "country": zone.country, "year": fact.year}
            row |= {"intensity_g_per_kwh": fact.value, "latitude": place.latitude, "longitude": place.longitude}
            row |= {"source": fact.source, "licence": fact.licence, "flags": zone.flags}
            print_json(row)
        else:
            whose = "" if fact.name == zone.name else f"; figures of {fact.name}"
            click.echo(f"{zone.name:<12} {fact.value:>6.0f} g/kWh ({fact.year})  {zone.title}{whose}")


@grid.command()
@click.option("--series", "series_file", required=True, metavar="FILE", help="CSV: `time`, then a column a zone.")
@click.option("--zone", required=True, metavar="ZONE", help="Which column.")
@click.option("--from", "start_text", metavar="TIME", help="First issue, UTC (the last quarter of the series).")
@click.option("--to", "end_text", metavar="TIME", help="End of what is scored, UTC (the end of the series).")
@click.option("--source-forecasts", "sources_file", metavar="FILE", help="Day-ahead forecasts a source, DACF layout.")
@click.option("--horizon", default="24h", show_default=True, metavar="LENGTH", help="How far each forecast reaches.")
@click.option("--every", default=None, metavar="LENGTH", help="Between issues (6h; 24h from midnight with sources).")
@click.option(
    "--model",
    "model_name",
    default="builtin",
    show_default=True,
    metavar="NAME",
    help="builtin, own, across, analogues, mean, week, yesterday.",
)
@shared_options
def backtest(
    context: Context,
    series_file: str,
    zone: str,
    start_text: str | None,
    end_text: str | None,
    sources_file: str | None,
    horizon: str,
    every: str | None,
    model_name: str,
) -> None:
    """Replay forecasts over a series; each trains only on what lies before its issue.

    mape and yesterday_mape are in %, coverage90 and kept_share are shares of 1, mae and pinball in the series' unit.
    """
    from heliotrope.grid import replay, shelf

    replayed = replay.score(
        Path(series_file),
        zone,
        start_s=epoch_s(parse_instant(start_text, field="--from", zone=UTC)) if start_text else None,
        end_s=epoch_s(parse_instant(end_text, field="--to", zone=UTC)) if end_text else None,
        source_file=Path(sources_file) if sources_file else None,
        horizon_h=int(parse_duration_s(horizon, field="--horizon") // S_PER_HOUR),
        every_h=int(parse_duration_s(every, field="--every") // S_PER_HOUR) if every else None,
        model=model_name,
        recall=shelf.at(context.settings.home_path).recall,
        tell=say,
    )
    score = replayed.score
    for note in replayed.notes:
        say(note)
    if context.json:
        print_json(score)
        return
    start, end = (f"{from_epoch(at):%Y-%m-%d %H:%M}" for at in (replayed.start_s, replayed.end_s))
    click.echo(
        f"{score.zone}, {start} to {end} UTC: forecasts of {horizon}, one each {replayed.every_h} h, {model_name}"
    )
    gain = 1 - score.mape / score.yesterday_mape if score.yesterday_mape else 0.0
    than = f"{abs(gain):.1%} {'lower' if gain >= 0 else 'higher'} than yesterday's {score.yesterday_mape:.2f} %"
    kept = "      -  " if score.kept_share is None else f"{100 * score.kept_share:8.2f} %"
    click.echo(f"  error           {score.mape:8.2f} %  mean of |forecast - actual| / actual; {than}")
    click.echo(f"  mean error      {score.mae:8.2f}    in the series' unit")
    click.echo(f"  pinball         {score.pinball:8.2f}    loss of the 5, 50 and 95 % quantiles, in the series' unit")
    click.echo(f"  90 % intervals  {100 * score.coverage90:8.2f} %  of the hours lay within; 90 is right")
    click.echo(f"  kept share      {kept}  of what perfect foresight saves: jobs of 4, 8, 24 h with 24 h slack")
    click.echo(
        f"  {score.hours:,} hours scored in {score.cpu_s:.1f} CPU s; each forecast knows only what lay before it"
    )


def _door(
    context: Context, providers: tuple[str, ...], kind_text: str | None
) -> tuple[Grid, Callable[[str | None], SignalKind]]:
    """The door, and the kind to ask of it for a zone: who names a provider alone wants what it gives there."""
    import msgspec

    from heliotrope.grid import Grid
    from heliotrope.model import SignalKind

    settings = context.settings.grid
    if providers:
        settings = msgspec.structs.replace(settings, providers=providers)
    door = Grid(settings, context.settings.home_path)
    stated = SignalKind.parse(kind_text or settings.kind)
    if not providers or kind_text:
        return door, lambda _zone: stated
    return door, lambda zone: door.kind_of(zone, stated)


def _show(context: Context, signals: list[Signal], as_csv: bool, out: Path | None) -> None:
    """Into a file; or one JSON object a zone, or one CSV table, or a strip a zone."""
    from heliotrope.grid.show import strip, table

    if out is not None or (as_csv and not context.json):
        _show_rows(context, table.rows_of(signals), out)
    elif context.json:
        for signal in signals:
            print_json(table.series(signal))
    else:
        for signal in signals:
            click.echo(strip.draw(signal, colour=_colour(), columns=_columns()))


def _show_kept(context: Context, zones: tuple[str, ...], start_s: int, end_s: int, out: Path | None) -> None:
    from heliotrope.grid.wire import archive, months

    path = context.settings.home_path / archive.FILE
    kept = archive.Archive(path if path.is_file() else None)
    for note in months.write(kept, context.settings.home_path / months.FOLDER):
        say(note)
    found = kept.everything(zones, start_s, end_s)
    if context.json and out is None:
        for one in found:
            print_json(one)
    else:
        _show_rows(context, months.rows_kept(found), out)


def _show_rows(context: Context, rows: Iterable[dict[str, Any]], out: Path | None) -> None:
    """Into a file, or as CSV."""
    from heliotrope.grid.show import table

    if out is None:
        for line in table.csv_lines(rows):
            click.echo(line, nl=False)
        return
    count = table.write(rows, out)
    if context.json:
        print_json({"file": str(out), "rows": count})
    else:
        say(f"{count} rows in {out}")


def _colour() -> bool:
    import os
    import sys

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
