"""A simulated accelerator with a power limit, in time of its own: the search is tried without hardware."""

from __future__ import annotations

import random


class SimulatedGpu:
    """A clocked chip: power = idle + busy x (f/F)·(V(f)/V(F))², V falling with f to a floor; the limit sets the clock.

    A step has a part that follows the clock and one that does not (memory, network): `bound` is the second's share of
    its time at full clock. That is the textbook law of CMOS power, and gives the flat-bottomed curve of energy a step
    over the limit that measurements of training show (Zeus, NSDI 2023: least energy at a half to three quarters of the
    highest limit). It is a model: nothing here was recorded on a GPU.
    """

    def __init__(
        self,
        *,
        step_s: float = 0.1,
        bound: float = 0.5,
        tdp_w: float = 400.0,
        idle_w: float = 60.0,
        draw_w: float | None = None,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.step_s, self.bound, self.tdp_w, self.idle_w, self.noise = step_s, bound, tdp_w, idle_w, noise
        self.draw_w = tdp_w if draw_w is None else draw_w  # what the work draws when nothing limits it
        self.limit_w = tdp_w
        self.energy_j = 0.0
        self.elapsed_s = 0.0
        self._random = random.Random(seed)
        self._clocks: dict[tuple[float, float], float] = {}

    def clock(self, limit_w: float) -> float:
        """Share of the full clock at which the draw meets the limit."""
        key = (limit_w, self.draw_w)
        if key not in self._clocks:
            self._clocks[key] = self._clock(limit_w)
        return self._clocks[key]

    def _clock(self, limit_w: float) -> float:
        low, high = 0.05, 1.0
        if self._power_w(high) <= limit_w:
            return high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self._power_w(middle) <= limit_w else (low, middle)
        return low

    def _power_w(self, clock: float) -> float:
        voltage = max(0.65, 0.35 + 0.65 * clock)
        return self.idle_w + (self.draw_w - self.idle_w) * clock * voltage**2

    def at(self, limit_w: float) -> tuple[float, float]:
        """Seconds and joules of one step under that limit, on the mean."""
        clock = self.clock(limit_w)
        seconds = self.step_s * ((1 - self.bound) / clock + self.bound)
        return seconds, seconds * self._power_w(clock)

    def step(self) -> float:
        """Does one step; the seconds it took."""
        seconds, joules = self.at(self.limit_w)
        slower = max(0.5, self._random.gauss(1.0, self.noise)) if self.noise else 1.0
        self.elapsed_s += seconds * slower
        self.energy_j += joules * slower
        return seconds * slower

    def levels(self, steps: int = 13) -> tuple[float, ...]:
        """From a quarter of the highest limit up to it."""
        return tuple(self.tdp_w * (0.25 + 0.75 * i / (steps - 1)) for i in range(steps))
