"""What a policy may know: the curves, what is believed of the future, and how long jobs of each queue tend to be."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from heliotrope.plan.kernels.shapes import Batch, Curves, Floats, Ints, Slots


class Belief(msgspec.Struct, frozen=True, eq=False):
    """Forecasts as they stood: `tables[rows[zone], i, k]` was believed, when step i began, of step i+k.

    Nothing in row i was known only after step i had begun; step i itself (k = 0) is a forecast too.
    """

    tables: npt.NDArray[np.float32]
    rows: Ints


class World(msgspec.Struct, frozen=True, eq=False):
    """`belief` None: the future is known. `blind`: it is not known at all. `queue_means`: s, short and long jobs.

    `lengths`: a fair sample of the trace's lengths; `sample`: about that many jobs, evenly through the trace.
    `replan_s`: how often a plan is made anew; 0: once, at submission.
    """

    curves: Curves
    epoch_s: int
    queue_means: Callable[[], tuple[float, float]]
    lengths: Callable[[], Floats]
    sample: Callable[[int], Batch]
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
