"""`helio watch`: who uses the power of this node, now."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

from heliotrope.cli.shared import Context, print_json, shared_options
from heliotrope.units import show_energy, show_power

if TYPE_CHECKING:
    from heliotrope.measure.share.node import Node, Share


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
            if sys.stdout.isatty():
                click.clear()
            click.echo("\n".join(_table(node, shares[:rows], time.monotonic() - began)))
    except KeyboardInterrupt:
        pass
    finally:
        node.close()


def _table(node: Node, shares: list[Share], span_s: float) -> list[str]:
    """The node, then who uses it: watts since the last look, joules since the first; cut at the terminal's edge."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    lines = [("now", "so far", "who"), (show_power(node.last_j / span_s), show_energy(node.node_j), "node")]
    lines += [(show_power(share.last_j / span_s), show_energy(share.total_j), share.name) for share in shares]
    return [f"{now:>10}  {so_far:>10}  {who}"[:width] for now, so_far, who in lines] + [
        f"note: {flag}" for flag in node.flags
    ]
