"""`helio watch`: who uses the power of this node, now."""

from __future__ import annotations

import sys
import time

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import show_energy, show_power


@click.command()
@click.option(
    "--by",
    "kind",
    type=click.Choice(["process", "cgroup", "container", "pod", "slurm"]),
    default="process",
    show_default=True,
)
@click.option("--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, metavar="S")
@click.option("--times", type=click.IntRange(min=1), help="Stop after so many looks.")
@click.option("--rows", type=click.IntRange(min=1), default=15, show_default=True)
@shared_options
def watch(context: Context, kind: str, interval: float, times: int | None, rows: int) -> None:
    """Who uses the power of this node, now; with --json one object a look."""
    from heliotrope.measure.share.node import Node

    node = Node(kind, meters=context.settings.measure.meters)
    looks = 0
    try:
        while times is None or looks < times:
            began = time.monotonic()
            time.sleep(interval)
            shares = node.read()
            looks += 1
            if context.json:
                named = [share._asdict() for share in shares]
                print_json({"by": kind, "node_j": node.node_j, "shares": named, "flags": node.flags})
                continue
            span_s = time.monotonic() - began
            if sys.stdout.isatty():
                click.clear()
            click.echo(
                f"{show_power(sum(s.last_j for s in shares) / span_s):>10}  {show_energy(node.node_j):>10}  node"
            )
            for share in shares[:rows]:
                click.echo(f"{show_power(share.last_j / span_s):>10}  {show_energy(share.total_j):>10}  {share.name}")
            for flag in node.flags:
                click.echo(f"note: {flag}")
    except KeyboardInterrupt:
        pass
    finally:
        node.close()
