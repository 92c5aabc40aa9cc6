"""Compiles a loop where numba is installed, and leaves it plain Python where it is not: one code, one plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    COMPILED = False
else:
    COMPILED = True


def compiled(function: F) -> F:
    """Releases the interpreter's lock, so that chunks run on every core; NaN never enters a kernel."""
    if not COMPILED:
        return function
    options = {"nogil": True, "fastmath": {"nnan", "nsz"}}
    made: F
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # Nowhere to keep compiled code (a read-only home): compiled anew each time.
        made = numba.njit(**options)(function)
    return made
