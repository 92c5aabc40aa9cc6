"""The life of a run: pure state machine, controller, engines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heliotrope.run.clock import Clock
    from heliotrope.run.controller import Controller

__all__ = ["Clock", "Controller"]


def __getattr__(name: str) -> Any:
    """A shepherd lives in this room too and starts with every attempt: it loads no grid, plan or log."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)
