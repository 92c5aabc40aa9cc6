"""Work that changes how or where it runs, where each change costs: an exact walk over (step, state).

A state is a way to run or to wait, at a site. Lemma: with a fixed sequence of states the cost is linear in the times
of change, and only the total work couples them; so some optimum has every change but one at a step's edge. Search:
labels (state, work done, the one shared step) over the steps, kept while a Lagrangian bound on the rest says that they
could still be best; the allowance above the bound widens until a plan is found. If labels outgrow `LABELS`, the
likeliest are kept and the plan says by its bound how far from the best it may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LABELS = 3000
_EPS = 1e-6
_SLACK = 1e-9
# state, start, end
Stay = tuple[int, float, float]
_Trail = tuple[int, int, int, "_Trail"] | None  # step, state, the state after it within the step or -1, before


class Ground(msgspec.Struct, frozen=True, eq=False):
    """`cost[k, i]`: grams of a whole step in state k, infinite where it may not be; `speed[k]`: work-seconds a second.

    From j to k: `lost_s[j, k]` seconds in k without work and `fee[j, k]` grams, infinite where there is no way.
    `hold[i]`: grams of a whole step for not being done yet.
    """

    edges: Floats
    cost: Floats
    speed: Floats
    lost_s: Floats
    fee: Floats
    hold: Floats

    @property
    def lengths(self) -> Floats:
        return np.diff(self.edges)


class Walk(msgspec.Struct, frozen=True, eq=False):
    """`bound`: no walk costs less; equal to `cost`, to rounding, where the search was exhaustive."""

    cost: float
    bound: float
    stays: list[Stay]


class _Label(msgspec.Struct, frozen=True):
    state: int
    net: float
    spent: float
    trail: _Trail
    slope: float = 0.0  # grams per work of the shared step
    room: float = -1.0  # work it can still do; below 0: no step is shared yet


def best_walk(ground: Ground, work: float, start: int, below: float = float("inf")) -> Walk | None:
    """The cheapest way to do `work` from `start`; None where nothing is below `below` or time does not suffice."""
    return _Search(ground, work, start).best(below)


class _Search:
    def __init__(self, ground: Ground, work: float, start: int) -> None:
        """Adds the last state, done: it costs nothing, and nothing leaves it."""
        states, steps = ground.cost.shape
        wide = np.full((states + 1, states + 1), np.inf)
        wide[:states, :states] = ground.fee
        wide[:, states] = 0.0
        self.fee = wide
        lost = np.zeros_like(wide)
        lost[:states, :states] = ground.lost_s
        self.speed = np.append(ground.speed, 0.0)
        self.lost = lost * self.speed  # work not done in the state one comes to
        self.cost = np.vstack((ground.cost + ground.hold, np.zeros(steps)))
        self.ground, self.work, self.start, self.lengths = ground, work, start, ground.lengths
        self.done, self.price, self.exhaustive = states, 0.0, True
        self.dust = 1e-12 * float(np.abs(self.cost[np.isfinite(self.cost)]).max())  # what sums near 0 may be off by
        self.rest: Floats = np.zeros((steps + 1, states + 1))

    def best(self, below: float) -> Walk | None:
        bound = self._bound()
        if bound is None or bound >= below:
            return None
        allowance = 1e-4 * max(abs(bound), 1e-9)
        for _ in range(30):
            limit = min(bound + allowance, below)
            found = self._within(limit)
            if found is not None:
                cost, stays = found
                return Walk(cost, cost if self.exhaustive else min(bound, cost), stays)
            if limit >= below:
                return None
            allowance *= 4
        return None

    def _values(self, price: float) -> tuple[float, float]:
        """Fills `rest`, the least reduced cost from each edge on; gives work and cost of the walk that attains it."""
        steps = len(self.lengths)
        enter = self.fee + price * self.lost
        rest = np.zeros((steps + 1, len(self.speed)))
        chosen = np.zeros((steps, len(self.speed)), dtype=int)
        for i in range(steps - 1, -1, -1):
            through = enter + (self.cost[:, i] - price * self.speed * self.lengths[i] + rest[i + 1])
            chosen[i] = np.argmin(through, axis=1)
            rest[i] = through[np.arange(len(through)), chosen[i]]
        self.rest, self.price = rest, price
        state, net = self.start, 0.0
        for i in range(steps):
            after = int(chosen[i, state])
            net += float(self.speed[after] * self.lengths[i] - self.lost[state, after])
            state = after
        return net, float(rest[0, self.start]) + price * net

    def _bound(self) -> float | None:
        """The dual's maximum, by its corners; None where even the fastest walk does too little."""
        low, (net_low, cost_low) = 0.0, self._values(0.0)
        best = (cost_low - low * net_low + low * self.work, low)
        if net_low < self.work - _EPS:
            finite = self.cost[np.isfinite(self.cost)]
            high = 4.0 * float(np.abs(finite).max()) / float(self.lengths.min()) / max(float(self.speed.max()), _EPS)
            high = max(high, 1e-9)
            for _ in range(40):
                net_high, cost_high = self._values(high)
                if net_high >= self.work - _EPS:
                    break
                high *= 4
            else:
                return None
            for _ in range(80):
                best = max(best, (cost_high + high * (self.work - net_high), high))
                if net_high - net_low <= _EPS:
                    break
                price = (cost_high - cost_low) / (net_high - net_low)
                if not low < price < high:
                    break
                net, cost = self._values(price)
                best = max(best, (cost + price * (self.work - net), price))
                if cost - price * net >= cost_low - price * net_low - 1e-12 * max(1.0, abs(cost)):
                    break
                if net >= self.work - _EPS:
                    high, net_high, cost_high = price, net, cost
                else:
                    low, net_low, cost_low = price, net, cost
        self._values(best[1])
        return best[0]

    def _within(self, limit: float) -> tuple[float, list[Stay]] | None:
        limit += _SLACK * abs(limit) + self.dust
        self.exhaustive = True
        labels = [_Label(self.start, 0.0, 0.0, None)]
        for i in range(len(self.lengths)):
            labels = self._grown(labels, i, limit)
        best: tuple[float, float, _Label] | None = None
        for label in labels:
            rest = self.work - label.net
            if -_EPS <= rest <= max(label.room, 0.0) + _EPS:
                cost = label.spent + label.slope * rest
                if cost <= limit and (best is None or cost < best[0]):
                    best = (cost, rest, label)
        return None if best is None else (best[0], self._stays(best[2], best[1]))

    def _grown(self, labels: list[_Label], i: int, limit: float) -> list[_Label]:
        length, price = float(self.lengths[i]), self.price
        rate = self.cost[:, i]
        after = self.rest[i + 1]
        whole = self.fee + rate + after - price * (self.speed * length - self.lost)
        shared: dict[int, Floats] = {}
        kept: dict[tuple[int, int, bool], list[_Label]] = {}
        for label in labels:
            spare = limit - label.spent - price * (self.work - label.net) - self._gain(label.slope, label.room)
            j = label.state
            for a in np.flatnonzero(whole[j] <= spare).tolist():
                net = label.net + float(self.speed[a] * length - self.lost[j, a])
                spent = label.spent + float(self.fee[j, a] + rate[a])
                _keep(kept, _Label(a, net, spent, (i, a, -1, label.trail), label.slope, label.room))
            if label.room >= 0 or j == self.done:
                continue
            if j not in shared:
                shared[j] = self._sharing(j, i)
            for a, b in np.argwhere(shared[j] <= spare).tolist():
                slow, fast = (a, b) if self.speed[a] < self.speed[b] else (b, a)
                room = float(self.speed[fast] - self.speed[slow]) * length
                slope = float(rate[fast] - rate[slow]) / room
                net = label.net + float(self.speed[slow] * length - self.lost[j, a] - self.lost[a, b])
                spent = label.spent + float(self.fee[j, a] + self.fee[a, b] + rate[slow])
                _keep(kept, _Label(b, net, spent, (i, a, b, label.trail), slope, room))
        grown = [label for ways in kept.values() for label in ways]
        if len(grown) > LABELS:
            self.exhaustive = False
            grown.sort(key=lambda w: w.spent - price * w.net + self._gain(w.slope, w.room) + float(after[w.state]))
            del grown[LABELS:]
        return grown

    def _sharing(self, j: int, i: int) -> Floats:
        """[a, b]: least reduced cost from step i on if it begins in a and ends in b; infinite for no choice."""
        length, price = float(self.lengths[i]), self.price
        reduced = self.cost[:, i] - price * self.speed * length
        enter = self.fee + price * self.lost
        total = enter[j][:, None] + enter + np.minimum(reduced[:, None], reduced) + self.rest[i + 1]
        alike = np.abs(self.speed[:, None] - self.speed) * length <= _EPS
        forbidden = ~np.isfinite(self.cost[:, i])
        return np.where(alike | forbidden[:, None] | forbidden, np.inf, total)

    def _gain(self, slope: float, room: float) -> float:
        """The most that the shared step can still save, 0 or less."""
        return min(0.0, (slope - self.price) * room) if room > 0 else 0.0

    def _stays(self, label: _Label, rest: float) -> list[Stay]:
        stays: list[Stay] = []
        trail = label.trail
        while trail is not None:
            i, a, b, trail = trail
            start, end = float(self.ground.edges[i]), float(self.ground.edges[i + 1])
            if b < 0:
                stays.append((a, start, end))
                continue
            fast_s = rest / abs(float(self.speed[a] - self.speed[b]))
            turn = start + fast_s if self.speed[a] > self.speed[b] else end - fast_s
            stays += [(b, turn, end), (a, start, turn)]
        return [stay for stay in reversed(stays) if stay[2] - stay[1] > _EPS and self.speed[stay[0]] > 0]


def _keep(kept: dict[tuple[int, int, bool], list[_Label]], label: _Label) -> None:
    """Unless another with the same work done is at least as good however the shared step turns out."""
    ways = kept.setdefault((label.state, round(label.net * 1e3), label.room >= 0), [])
    if not any(_as_good(way, label) for way in ways):
        ways[:] = [way for way in ways if not _as_good(label, way)]
        ways.append(label)


def _as_good(one: _Label, other: _Label) -> bool:
    return one.spent <= other.spent and one.slope <= other.slope and one.room >= other.room
