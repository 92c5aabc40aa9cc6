"""Lets a room be called: `heliotrope.measure("epoch")` is a call, `heliotrope.measure.meters` a place."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__room_call__(*args, **kwargs)


def make_callable(room: str) -> None:
    """Give the module named `room` the behaviour of its function `__room_call__`."""
    sys.modules[room].__class__ = _CallableRoom


def upstairs(address: str) -> Any:
    """`module:name` of a higher floor, by address and only when called: the one way to ring upstairs."""
    from importlib import import_module

    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
