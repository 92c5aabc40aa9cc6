"""Files of other people's formats: whatever stands in one is taken, or refused by its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from heliotrope.errors import InvalidInput

T = TypeVar("T")


def taken_or_named(read: Callable[[Path], T], file: Path) -> T | None:
    """What it was read as; None where it was refused, and then the text says in which file, and what is wrong."""
    try:
        return read(file)
    except InvalidInput as error:
        refusal = error
    where, _, what = str(refusal).partition(": ")
    assert where.startswith(str(file)), f"does not say where: {refusal}"
    assert refusal.file == str(file)
    assert what
    return None
