"""What a policy may know: the curves, what is believed of the future, and how long jobs of each queue tend to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
import numpy as np

from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Slots


class Belief(Protocol):
    """A forecast as it stood at each hour: nothing in it may have been known later."""

    @property
    def lead(self) -> int:
        """Steps ahead that are believed in."""

    def table(self, zone: int) -> Floats:
        """[issued at step i, lead k]: what was believed, at the start of step i, of step i+k. Lead 0 is known."""


class World(msgspec.Struct, frozen=True, eq=False):
    """`belief` None: the future is known. `blind`: it is not known at all. `queue_means`: s, short and long jobs.

    `replan_s`: how often a plan is made anew; 0: once, at submission.
    """

    curves: Curves
    epoch_s: int
    queue_means: Callable[[], tuple[float, float]]
    belief: Belief | None = None
    blind: bool = False
    replan_s: float = 3600.0


Policy = Callable[[Batch, World], Slots]


def cleanest(batch: Batch, curves: Curves) -> Floats:
    """[set, step]: the least intensity over the zones of each set of zones."""
    return np.stack(
        [
            curves.values[batch.sets[batch.sets_ptr[s] : batch.sets_ptr[s + 1]]].min(axis=0)
            for s in range(len(batch.sets_ptr) - 1)
        ]
    )
