"""Controller time: the wall's, or that many times faster from a fixed moment on, so that a restart goes on with it."""

from __future__ import annotations

import time

import msgspec


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`origin_s`: the wall time at which both clocks agree."""

    factor: float = 1.0
    origin_s: float = 0.0

    @classmethod
    def starting_now(cls, factor: float) -> Clock:
        return cls(factor, time.time() if factor != 1 else 0.0)

    def now_s(self) -> float:
        return self.at(time.time())

    def at(self, wall_s: float) -> float:
        """Controller time at a moment of the wall."""
        return wall_s if self.factor == 1 else self.origin_s + (wall_s - self.origin_s) * self.factor

    def wall_at(self, at_s: float) -> float:
        """The moment of the wall at which controller time is that."""
        return at_s if self.factor == 1 else self.origin_s + (at_s - self.origin_s) / self.factor

    def wall_wait_s(self, seconds: float) -> float:
        """Wall seconds in which that much controller time goes by."""
        return seconds / self.factor
