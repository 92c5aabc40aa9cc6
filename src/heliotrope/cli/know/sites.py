"""`helio sites`: where work can run."""

from __future__ import annotations

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.model import Site


@click.command()
@click.option("--fleet", metavar="FILE", help="A fleet file, or `example`.")
@shared_options
def sites(context: Context, fleet: str | None) -> None:
    """The sites of the fleet."""
    from heliotrope import fleet as room

    loaded = room.load(fleet or context.settings.fleet, zone=context.settings.zone)
    if context.json:
        print_json({"home": loaded.home, "sites": loaded.sites})
        return
    rows = [("site", "tier", "zone", "law", "runs on", "capacity", "PUE", "to home")]
    for site in loaded.sites:
        latency = loaded.latency_ms(loaded.home, site.name)
        rows.append(
            (
                site.name + (" (home)" if site.name == loaded.home else ""),
                site.tier.value,
                site.zone or "unknown",
                site.jurisdiction,
                "this machine (emulated)" if site.emulated else site.engine,
                str(site.capacity),
                _pue(site),
                "unknown" if latency is None else f"{latency:.0f} ms",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _pue(site: Site) -> str:
    cooling = site.cooling
    bounds = "" if cooling.pue_low is None else f" ({cooling.pue_low:.2f}–{cooling.pue_high or cooling.pue:.2f})"
    return f"{cooling.pue:.2f}{bounds}"
