"""Heliotrope: runs AI work where and when power is clean, measures what it cost, and proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heliotrope.errors import HelioError

if TYPE_CHECKING:
    from heliotrope import checkpoint, measure, plan
    from heliotrope.measure import measured

__all__ = ["HelioError", "__version__", "checkpoint", "measure", "measured", "plan"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Rooms load when first used; `import heliotrope` alone stays light."""
    from importlib import import_module

    if name == "measured":
        return import_module("heliotrope.measure").measured
    if name in {"checkpoint", "measure", "plan"}:
        return import_module(f"heliotrope.{name}")
    raise AttributeError(f"module 'heliotrope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
