"""Planning: one workload, many under one capacity, and the simulator that replays them."""

from __future__ import annotations

from collections.abc import Iterator

import plan_joint
import plan_simulate
import plan_single
from table import Row, run


def rows(quick: bool) -> Iterator[Row]:
    yield from plan_single.rows(quick)
    yield from plan_joint.rows(quick)
    if not quick:
        yield from plan_simulate.rows(quick)


if __name__ == "__main__":
    run("Plan", rows)
