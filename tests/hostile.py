"""Bytes that nobody meant: a reader gives back a value or a refusal in words, and the test looks at either."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from heliotrope.errors import HelioError

T = TypeVar("T")


def came_back(read: Callable[[], T]) -> T | HelioError:
    """What was read, or the refusal. Any other exception is a crash, and the test's end."""
    try:
        return read()
    except HelioError as refusal:
        return refusal
