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

# The interpreter's lock is released, so that chunks run on every core; NaN never enters a kernel. Loops allocate
# nothing: they fill what they are given, so no references need counting, which would cost more than most loops do.
OPTIONS = {"nogil": True, "fastmath": {"nnan", "nsz"}, "_nrt": False}


def compiled(function: F) -> F:
    if not COMPILED:
        return function
    made: F
    try:
        made = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        # Nowhere to keep compiled code (a read-only home): compiled anew each time.
        made = numba.njit(**OPTIONS)(function)
    return made
