"""What every command has: --json, --config, --home; and how results are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from heliotrope import config
from heliotrope.config import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Context(msgspec.Struct, frozen=True):
    """What the shared options came to."""

    settings: Settings
    json: bool


def shared_options(command: F) -> F:
    """Adds the shared options; the command receives `context: Context` as its first argument."""

    def wrapper(*args: Any, as_json: bool, config_file: str | None, home: str | None, **kwargs: Any) -> Any:
        return command(Context(config.load(config_file, home), as_json), *args, **kwargs)

    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    wrapper.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Any = wrapper
    for option in (
        click.option("--home", metavar="DIR", help="Where state, logs and keys live (or HELIO_HOME)."),
        click.option("--config", "config_file", metavar="FILE", help="Settings, as TOML."),
        click.option(
            "--json", "as_json", is_flag=True, help="One JSON object (or one a line) on stdout, nothing else."
        ),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def print_json(value: Any) -> None:
    """One object on one line of stdout."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Progress and summaries: stderr, so that stdout carries only results."""
    click.echo(text, err=True)
