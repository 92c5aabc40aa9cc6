"""Finds the limit at which a step of work costs least energy while its slow-down stays bounded. No clock, no file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from heliotrope.errors import InvalidInput

Z95 = 1.645  # one-sided 95 %
LEAST_WINDOWS = 2  # at a level before it is judged
MOST_WINDOWS = 12  # at a level before the search settles for what it knows
RECENT = 32  # windows of a level that are remembered
RECHECK = 50  # held windows between two looks at the work without a limit
TOLERANCE = 0.005  # levels whose costs differ by less are alike: the faster one is taken
STRANGE = 2  # windows in a row unlike what was learnt: the work itself has changed
PAUSES = 3  # of them in a row: the work itself has changed
PAUSE = 10.0  # a step so many times the usual length is a pause of the work, not our doing


class Arm(msgspec.Struct):
    """One level: seconds and joules a step, of each window in which it stood."""

    level: float
    times_s: list[float] = msgspec.field(default_factory=list)
    energies_j: list[float] = msgspec.field(default_factory=list)

    def add(self, time_s: float, energy_j: float) -> None:
        for series, value in ((self.times_s, time_s), (self.energies_j, energy_j)):
            series.append(value)
            del series[:-RECENT]

    @property
    def windows(self) -> int:
        return len(self.times_s)


class Finding(msgspec.Struct, frozen=True):
    """What a level does to the work, against no limit at all: shares, 90 % between low and high."""

    level: float
    slowdown: float
    slowdown_low: float
    slowdown_high: float
    saving: float
    saving_low: float
    saving_high: float
    windows: int


class Search:
    """Successive elimination over `levels`, from the highest (no limit) down.

    It is told every step of the work and says which `level` should stand. A level goes out when its step surely takes
    longer than `(1 + max_slowdown)` times the unlimited step, and all below it go too, since less power is never
    faster; or when its step surely costs more than the best's. Cost = joules + `rest_w` x seconds: what else waits for
    the work draws on meanwhile.

    The ledger bounds the search itself: time saved up at harmless levels is all that slow levels may spend. So at any
    moment the work is behind `(1 + max_slowdown)` times its unlimited time by at most one step (in noise: and by what
    the unlimited time is uncertain).
    """

    def __init__(
        self,
        levels: Sequence[float],
        *,
        max_slowdown: float,
        window_s: float = 2.0,
        settle_s: float = 0.3,
        least_steps: int = 3,
        rest_w: float = 0.0,
    ) -> None:
        if not 0 < max_slowdown <= 1:
            raise InvalidInput(
                "not a slow-down", field="max_slowdown", found=max_slowdown, allowed="above 0, at most 1 (0.05: 5 %)"
            )
        if len(set(levels)) < 2 or min(levels) <= 0:
            raise InvalidInput("too few levels to search", field="levels", found=list(levels), allowed="two or more")
        self.arms = [Arm(level) for level in sorted(set(levels), reverse=True)]
        self.max_slowdown = max_slowdown
        self.window_s, self.settle_s, self.least_steps, self.rest_w = window_s, settle_s, least_steps, rest_w
        self.steps = 0
        self.elapsed_s = 0.0
        self.credit_s = 0.0
        self.held_windows = 0
        self.pauses = 0
        self.restarts = 0
        self._forget()

    def _forget(self) -> None:
        self.arms = [Arm(arm.level) for arm in self.arms]
        self._floor = len(self.arms)  # arms from here on are too slow, or cost more again
        self._out: set[int] = set()
        self._now = 0
        self._spreads: dict[str, tuple[float, int]] = {"times_s": (0.0, 0), "energies_j": (0.0, 0)}
        self.settled = False
        self._long = self._strange = 0
        self._begin()

    def _begin(self) -> None:
        self._settled_s = 0.0
        self._window_steps = 0
        self._window_elapsed_s = 0.0
        self._from_j: float | None = None

    @property
    def level(self) -> float:
        """What should stand now."""
        return self.arms[self._now].level

    @property
    def reference_s(self) -> float:
        """Seconds a step takes without a limit; 0 before the first window."""
        return _mean(self.arms[0].times_s)

    def step(self, elapsed_s: float, joules: Callable[[], float]) -> bool:
        """One step of the work took `elapsed_s`; `joules`: the meter's total, asked only at the edges of windows.

        True where `level` has changed.
        """
        before = self._now
        usual_s = _mean(self.arms[before].times_s)
        if usual_s and elapsed_s > PAUSE * usual_s:
            self._paused()
        else:
            self._long = 0
            self._worked(elapsed_s, joules)
        return self._now != before

    def _paused(self) -> None:
        """One long step is a pause; several in a row are other work, of which nothing is known."""
        self._long += 1
        self.pauses += 1
        self._begin()
        if self._long >= PAUSES:
            self.restarts += 1
            self._forget()

    def _worked(self, elapsed_s: float, joules: Callable[[], float]) -> None:
        self.steps += 1
        self.elapsed_s += elapsed_s
        if self.reference_s:
            self.credit_s += (1 + self.max_slowdown) * self.reference_s - elapsed_s
        if self._from_j is None:
            self._settled_s += elapsed_s
            if self._settled_s >= self.settle_s:
                self._from_j = joules()
            if self._broke():
                self._go(0)
            return
        self._window_steps += 1
        self._window_elapsed_s += elapsed_s
        full = self._window_elapsed_s >= self.window_s and self._window_steps >= self.least_steps
        if self._window_steps >= self.least_steps and (full or self.credit_s < 0):
            n = self._window_steps
            self._note(self._window_elapsed_s / n, max(0.0, joules() - self._from_j) / n)
        broke = self._broke()
        if full or broke:
            self._go(0 if broke and not self.settled else self._next())

    def _broke(self) -> bool:
        """Whether a level has spent more than there was. One that did so before a window was full is too slow."""
        if self._now == 0 or self.credit_s >= 0:
            return False
        if not self.arms[self._now].windows:
            self._floor = min(self._floor, self._now)
        return True

    def _go(self, index: int) -> None:
        changed = index != self._now
        self._now = index
        self._begin()
        if not changed:
            # Nothing to settle: the next window begins where this one ended.
            self._settled_s = self.settle_s

    def _note(self, time_s: float, energy_j: float) -> None:
        arm = self.arms[self._now]
        if self.settled and arm.windows >= LEAST_WINDOWS:
            usual_s, spread = _mean(arm.times_s), self._width("times_s", self._now) * math.sqrt(arm.windows + 1)
            if abs(time_s / usual_s - 1) > max(2 * spread, 0.03):
                self._strange += 1
                if self._strange >= STRANGE:
                    # The work has changed: what was learnt is of other work.
                    self.restarts += 1
                    self._forget()
                return
            self._strange = 0
        arm.add(time_s, energy_j)
        self._spreads = {of: self._pooled(of) for of in ("times_s", "energies_j")}
        if arm is self.arms[0] and arm.windows == 1:
            self.credit_s = 0.0

    # what is known

    def _pooled(self, of: str) -> tuple[float, int]:
        """Relative spread of windows about their level's mean, over all levels, and its degrees of freedom."""
        squares, freedom = 0.0, 0
        for arm in self.arms:
            series: list[float] = getattr(arm, of)
            mean = _mean(series)
            if len(series) > 1 and mean > 0:
                squares += sum((value / mean - 1) ** 2 for value in series)
                freedom += len(series) - 1
        return (math.sqrt(squares / freedom) if freedom else 0.0), freedom

    def _width(self, of: str, index: int) -> float:
        """Relative half-width of a level's mean; the spread is pooled, so that few windows do."""
        spread, freedom = self._spreads[of]
        windows = self.arms[index].windows
        return student(freedom) * spread / math.sqrt(windows) if freedom and windows else math.inf

    def _slowdown(self, index: int) -> tuple[float, float, float]:
        """Mean, low and high of time over the reference's, less one."""
        return self._against("times_s", index)

    def _against(self, of: str, index: int) -> tuple[float, float, float]:
        mean = _mean(getattr(self.arms[index], of)) / (_mean(getattr(self.arms[0], of)) or 1.0) - 1
        width = math.hypot(self._width(of, index), self._width(of, 0)) if index else 0.0
        return mean, mean - (1 + mean) * width, mean + (1 + mean) * width

    def _cost(self, index: int) -> tuple[float, float, float]:
        arm = self.arms[index]
        energy_j, time_s = _mean(arm.energies_j), _mean(arm.times_s)
        cost = energy_j + self.rest_w * time_s
        error = math.hypot(
            energy_j * self._width("energies_j", index), self.rest_w * time_s * self._width("times_s", index)
        )
        return cost, cost - error, cost + error

    def _alive(self) -> list[int]:
        """Levels that were tried and may still be the one; the reference always may."""
        return [i for i in range(self._floor) if self.arms[i].windows and (i == 0 or i not in self._out)]

    def _sure(self, index: int) -> bool:
        return index == 0 or self._slowdown(index)[2] <= self.max_slowdown

    # what to do

    def _next(self) -> int:
        """The level of the next window."""
        if self.arms[0].windows < LEAST_WINDOWS:
            return 0
        self._eliminate()
        if self.settled:
            return self._hold()
        while True:
            wanted = self._wanted()
            if wanted is None:
                self.settled = True
                self.held_windows = 0
                return self._best()
            if self._affordable(wanted):
                return wanted
            if self._earner() == wanted:
                return wanted
            return self._earner()

    def _eliminate(self) -> None:
        for i in range(1, self._floor):
            if self.arms[i].windows and self._slowdown(i)[1] > self.max_slowdown:
                self._floor = i
                break
        judged = [i for i in range(1, self._floor) if self.arms[i].windows >= LEAST_WINDOWS]
        # Only one that surely keeps the bound puts others out: the cheapest may yet prove too slow.
        best = min(self._cost(i)[2] for i in (0, *judged) if self._sure(i))
        self._out = {i for i in judged if self._cost(i)[1] > best * (1 + TOLERANCE)}
        # Energy a step falls and then rises as power falls: two levels dearer than the best, and the rest are too.
        lowest = max(i for i in range(self._floor) if i not in self._out and self.arms[i].windows)
        dearer = [i for i in judged if i > lowest]
        if len(dearer) >= 2:
            self._floor = dearer[-1]

    def _wanted(self) -> int | None:
        """The next level to learn about: the next lower one, then whichever is least known; None when it is enough."""
        for i in range(1, self._floor):
            if i not in self._out and self.arms[i].windows < LEAST_WINDOWS:
                return i
        best = self._best()
        limit = self._cost(best)[0] * (1 - TOLERANCE)
        rivals = [i for i in self._alive() if i != best and self._cost(i)[1] < limit]
        if not rivals:
            return None
        # Every comparison with a rival is with the best and with the reference too.
        open_ = [i for i in {*rivals, best, 0} if self.arms[i].windows < MOST_WINDOWS]
        return min(open_, key=lambda i: (self.arms[i].windows, i)) if set(open_) & set(rivals) else None

    def _affordable(self, index: int) -> bool:
        """Whether the time saved up pays for a window there, even if it is as slow as could be."""
        arm = self.arms[index]
        if arm.windows:
            time_s = _mean(arm.times_s)
        else:
            above = self.arms[index - 1]
            time_s = (_mean(above.times_s) or self.reference_s) * above.level / arm.level
        over = time_s / ((1 + self.max_slowdown) * self.reference_s) - 1
        return over <= 0 or over * (self.window_s + self.settle_s) <= self.credit_s

    def _earner(self) -> int:
        """Where to wait until there is credit: the best level, if it is fast enough to earn any."""
        best = self._best()
        return best if self._slowdown(best)[0] <= self.max_slowdown / 2 else 0

    def _best(self) -> int:
        """The cheapest level that surely keeps the bound; of those alike, the fastest."""
        sure = [i for i in self._alive() if self._sure(i)]
        least = min(self._cost(i)[0] for i in sure)
        return min(i for i in sure if self._cost(i)[0] <= least * (1 + TOLERANCE))

    def _hold(self) -> int:
        self.held_windows += 1
        if self.credit_s < 0 and self._now != 0:
            return 0
        return 0 if self.held_windows % RECHECK == 0 else self._best()

    @property
    def chosen(self) -> Finding:
        """The level that stands in the end, and what it does."""
        return self.finding(self._best() if self.arms[0].windows else 0)

    def finding(self, index: int) -> Finding:
        slow, slow_low, slow_high = self._slowdown(index) if self.arms[index].windows else (0.0, 0.0, 0.0)
        dear, dear_low, dear_high = self._against("energies_j", index) if self.arms[index].windows else (0.0, 0.0, 0.0)
        return Finding(
            self.arms[index].level, slow, slow_low, slow_high, -dear, -dear_high, -dear_low, self.arms[index].windows
        )

    def findings(self) -> tuple[Finding, ...]:
        """Every level that was tried."""
        return tuple(self.finding(i) for i, arm in enumerate(self.arms) if arm.windows)


def student(freedom: int) -> float:
    """The one-sided 95 % point of Student's t, by the expansion in 1/freedom (within 3 % from 3 on; 1 and 2 exact)."""
    if freedom <= 2:
        return (6.314, 2.920)[freedom - 1]
    z = Z95
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
