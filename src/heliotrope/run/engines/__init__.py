"""Engines: where commands really run, behind one protocol, found by entry point `heliotrope.engines`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from heliotrope.errors import UnknownName, nearest
from heliotrope.run.engines.protocol import Capabilities, Engine, Task

__all__ = ["Capabilities", "Engine", "Task", "engine", "known"]
GROUP = "heliotrope.engines"


def known() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


@cache
def engine(name: str) -> Engine:
    for point in entry_points(group=GROUP):
        if point.name == name:
            made: Engine = point.load()()
            return made
    raise UnknownName(f"no engine is called {name}", field="engine", hint=nearest(name, known()))
