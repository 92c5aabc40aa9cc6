"""Engines: where commands really run, behind one protocol, found by entry point `heliotrope.engines`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from heliotrope.errors import InvalidInput, UnknownName, nearest
from heliotrope.model import Site
from heliotrope.run.engines.protocol import Capabilities, Engine, Task

__all__ = ["Capabilities", "Engine", "Task", "engine", "known", "of"]
GROUP = "heliotrope.engines"


def known() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def of(site: Site) -> Engine:
    """The engine of a site, as its fleet file says it is reached."""
    try:
        return engine(site.engine, **site.engine_options)
    except UnknownName:
        raise
    except InvalidInput as error:
        raise InvalidInput(f"site {site.name}: {error.what}", cause=error.cause, hint=error.hint) from error


@cache
def engine(name: str, **options: str | bool | float) -> Engine:
    """One for each way of reaching it: it may keep what it saw a moment ago."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            made: Engine = point.load()(options)
            return made
    raise UnknownName(f"no engine is called {name}", field="engine", hint=nearest(name, known()))
