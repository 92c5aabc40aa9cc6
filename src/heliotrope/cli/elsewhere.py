"""`--at URL`: the same commands, asked of a house elsewhere as a member of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from heliotrope.run.people.client import Elsewhere

F = TypeVar("F", bound=Callable[..., Any])


def at_option(command: F) -> F:
    """The command receives `at`: the address, or None for the home on this machine."""
    return click.option(
        "--at",
        envvar="HELIO_AT",
        metavar="URL",
        help="Ask the house at URL (or HELIO_AT), as the member whose token HELIO_TOKEN holds.",
    )(command)


@contextmanager
def house_at(url: str) -> Iterator[Elsewhere]:
    """The token is never a word of the command line: others can read those."""
    from heliotrope.run.people.client import Elsewhere

    house = Elsewhere(url, os.environ.get("HELIO_TOKEN", ""))
    try:
        yield house
    finally:
        house.close()
