"""How a fit may be had without being made again: by whoever keeps fits, told all that the making could look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Made = TypeVar("Made")


class Recall(Protocol):
    def __call__(self, make: Callable[[], Made], kind: str, /, *made_of: object) -> Made:
        """What `make` would return. `made_of`: every array, number and name that decides what it returns."""


def afresh(make: Callable[[], Made], _kind: str, /, *_made_of: object) -> Made:
    """Keeps nothing."""
    return make()
