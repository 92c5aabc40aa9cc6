"""`--at URL`: the same commands, asked of a house elsewhere as a member of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from heliotrope.run.people.client import Elsewhere

F = TypeVar("F", bound=Callable[..., Any])
CA = "heliotrope.ca"


def at_option(command: F) -> F:
    """The command receives `at`: the address, or None for the home on this machine."""
    believed = click.option(
        "--ca",
        envvar="HELIO_CA",
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_believe,
        help="Believe this authority (PEM) alone (or HELIO_CA) when asking --at.",
    )
    asked = click.option(
        "--at",
        envvar="HELIO_AT",
        metavar="URL",
        help="Ask the house at URL (or HELIO_AT), as the member whose token HELIO_TOKEN holds.",
    )
    return asked(believed(command))


def _believe(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    context.meta[CA] = path


@contextmanager
def house_at(url: str) -> Iterator[Elsewhere]:
    """The token is never a word of the command line: others can read those."""
    from heliotrope.run.people.client import Elsewhere
    from heliotrope.tls import authority

    path = click.get_current_context().meta.get(CA)
    house = Elsewhere(url, os.environ.get("HELIO_TOKEN", ""), authority(path) if path else "")
    try:
        yield house
    finally:
        house.close()
