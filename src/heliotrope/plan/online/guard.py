"""The account that bounds what waiting can lose: work may wait only while even the worst that follows is covered.

Against run-now, which runs the same work the moment it arrives, three sums are kept in grams: `extra`, what we emitted
beyond what run-now has so far; `exposed`, what the work that run-now has done and we still owe would emit at the
ceiling, the dirtiest that a grid can be; `base`, what run-now has emitted. Work may fall behind by as much as keeps

    extra + exposed <= epsilon * base.

Running what is owed later moves at most as much into `extra` as it takes out of `exposed`, so the invariant holds at
every moment, whatever the forecasts say and however the grid turns; once nothing is owed, ours <= (1 + epsilon) of
run-now. Where waiting pays, `extra` falls, and what was saved covers more waiting: close to the best if advice is good.
Assumes that the intensity of the hour under way is known, and that the ceiling holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heliotrope import facts
from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.jit import compiled
from heliotrope.units import J_PER_KWH

Floats = npt.NDArray[np.float64]

EPSILON = 0.01
EXTRA, EXPOSED, BASE, CEILING, SHARE = range(5)


@compiled
def may_lag_s(account: Floats, intensity: float, watts: float, seconds: float) -> float:
    """Of `seconds` that run-now runs at `intensity` (g/kWh), how many may wait."""
    per_s = watts / J_PER_KWH
    room = account[SHARE] * (account[BASE] + per_s * intensity * seconds) - account[EXTRA] - account[EXPOSED]
    risk = per_s * max(account[CEILING] - intensity, 0.0)
    if risk <= 0.0:
        return seconds
    covered: float = min(seconds, max(0.0, room / risk))
    return covered


@compiled
def passed(account: Floats, intensity: float, watts: float, ours_s: float, theirs_s: float) -> None:
    """Time has passed in which we ran `ours_s` and run-now `theirs_s` of one piece of work."""
    per_s = watts / J_PER_KWH
    account[CEILING] = max(account[CEILING], intensity)
    account[BASE] += per_s * intensity * theirs_s
    account[EXTRA] += per_s * intensity * (ours_s - theirs_s)
    account[EXPOSED] += per_s * account[CEILING] * (theirs_s - ours_s)


class Guard:
    """The account as a state machine; pure: it is told what happens and says how much may wait."""

    def __init__(self, epsilon: float = EPSILON, ceiling: float | None = None) -> None:
        """`ceiling`: g/kWh that the grid never exceeds; without one, the dirtiest fuel on record."""
        if not epsilon >= 0:
            raise InvalidInput(
                "a guarantee cannot be below nothing", field="epsilon", found=epsilon, allowed="0 or more"
            )
        self.account = np.zeros(5)
        self.account[CEILING] = dirtiest() if ceiling is None else ceiling
        self.account[SHARE] = epsilon

    def may_wait_s(self, intensity: float, watts: float, seconds: float) -> float:
        """Of the next `seconds`, in which run-now would run at `intensity`, how many may be waited."""
        return float(may_lag_s(self.account, intensity, watts, seconds))

    def passed(self, intensity: float, watts: float, ours_s: float, theirs_s: float) -> None:
        """What happened at `intensity`: we ran `ours_s`, run-now would have run `theirs_s`."""
        passed(self.account, intensity, watts, ours_s, theirs_s)

    @property
    def extra_g(self) -> float:
        """Grams emitted beyond run-now so far; below 0 when saved."""
        return float(self.account[EXTRA])


def dirtiest() -> float:
    """g/kWh of the dirtiest fuel on record: no mix of fuels is dirtier."""
    return max(fact.value for fact in facts.table("fuels"))
