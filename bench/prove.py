"""What the log, its witnesses, its contract and its claims promise, in one table."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from table import Row, run


def rows(quick: bool) -> Iterator[Row]:
    """Of every `prove_*.py` beside this file."""
    for path in sorted(Path(__file__).parent.glob("prove_*.py")):
        yield from importlib.import_module(path.stem).rows(quick)


if __name__ == "__main__":
    run("Prove", rows)
