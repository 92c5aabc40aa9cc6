"""The best set of pieces for work that may pause: exact, also when each pause costs time.

Lemma. With a fixed set of pieces the cost is linear in their ends, and the only coupling is the total length.
So some optimum has every end but one at a step's edge: one step is used in part, all others wholly or not at all.
Search: labels (running or not, work done, the partial step) over the steps, pruned by a Lagrangian bound on the
rest; the allowance above the bound is widened until a plan is found, which is then proven best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heliotrope.plan.timeline import Segment, Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

_FRESH, _OFF, _ON = 0, 1, 2
_EPS = 1e-7  # seconds
Label = tuple[int, float, int]  # state, net work in whole steps, index of the partial step or -1
Way = tuple[float, tuple[tuple[int, int], ...]]  # cost, choices: (step, _WHOLE | _HEAD | _TAIL)
_WHOLE, _HEAD, _TAIL = 0, 1, 2


def fill(line: Timeline, work: float) -> tuple[float, list[Segment]]:
    """Pauses free: the cheapest steps, the last of them in part. Also the bound for pauses that cost."""
    lengths = np.diff(line.edges)
    order = np.lexsort((line.edges[:-1], line.rates))
    done = np.cumsum(lengths[order])
    whole = int(np.searchsorted(done, work - _EPS))
    used = np.zeros(len(lengths), dtype=bool)
    used[order[:whole]] = True
    partial = int(order[whole])
    rest = work - (float(done[whole - 1]) if whole else 0.0)
    return _cost_and_pieces(line, used, partial, rest)


def _cost_and_pieces(line: Timeline, used: Bools, partial: int, rest: float) -> tuple[float, list[Segment]]:
    lengths = np.diff(line.edges)
    cost = float((line.rates * lengths)[used].sum() + line.rates[partial] * rest)
    follows = partial > 0 and bool(used[partial - 1])
    leads = partial + 1 < len(used) and bool(used[partial + 1])
    start, end = float(line.edges[partial]), float(line.edges[partial + 1])
    piece = (end - rest, end) if leads and not follows else (start, start + rest)
    pieces = [(float(line.edges[i]), float(line.edges[i + 1])) for i in np.flatnonzero(used)]
    return cost, merged([*pieces, piece])


def merged(pieces: list[Segment]) -> list[Segment]:
    """In order, touching pieces joined."""
    result: list[Segment] = []
    for start, end in sorted(pieces):
        if end - start <= _EPS:
            continue
        if result and start - result[-1][1] <= _EPS:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def best_pieces(
    line: Timeline,
    work: float,
    pause_cost: float,
    *,
    first_cost: float = 0.0,
    running: bool = False,
    below: float = float("inf"),
) -> tuple[float, list[Segment]] | None:
    """Least cost and its pieces, or None where nothing is below `below`.

    Every resume takes `pause_cost` seconds of running that do no work; the first start takes `first_cost`,
    or nothing where the work is `running` and goes on at the window's start.
    """
    if pause_cost <= 0 and first_cost <= 0:
        cost, pieces = fill(line, work)
        return (cost, pieces) if cost < below else None
    search = _Search(line, work, pause_cost, first_cost, running=running)
    bound = search.bound()
    if bound is None or bound >= below:
        return None
    allowance = max(1e-4 * abs(bound), 1e-12)
    while True:
        limit = min(bound + allowance, below)
        found = search.within(limit)
        if found is not None:
            return found
        if limit >= below or bound + allowance > search.ceiling:
            return None
        allowance *= 4


class _Search:
    def __init__(self, line: Timeline, work: float, pause_cost: float, first_cost: float, *, running: bool) -> None:
        self.line, self.work = line, work
        self.starts = (first_cost, pause_cost)  # of a fresh start, of a resume
        self.running = running
        self.rates = line.rates.tolist()
        self.lengths = np.diff(line.edges).tolist()
        self.ceiling = float(np.maximum(line.rates, 0.0) @ np.diff(line.edges)) * (1 + 1e-9) + 1e-9
        self.price = 0.0
        self.rest: list[tuple[float, float, float]] = []

    @property
    def initial(self) -> int:
        return _ON if self.running else _FRESH

    def bound(self) -> float | None:
        """The best Lagrangian bound; walks the dual's corners, so it ends. None: the window is too short."""
        slope_low, value_low = self._net(0.0)
        if slope_low >= self.work - _EPS:
            return self._dual(0.0)
        low, high = 0.0, max(self.rates) or 1.0
        net_high, cost_high = self._net(high)
        for _ in range(60):
            if net_high >= self.work - _EPS:
                break
            high *= 4
            net_high, cost_high = self._net(high)
        else:
            return None
        net_low, cost_low = slope_low, value_low
        best = self._dual(high)
        best_price = high
        for _ in range(60):
            if net_high - net_low <= _EPS:
                break
            price = (cost_high - cost_low) / (net_high - net_low)
            if not low < price < high:
                break
            net, cost = self._net(price)
            value = self._dual(price)
            if value > best:
                best, best_price = value, price
            if abs((cost - price * net) - (cost_low - price * net_low)) <= 1e-12 * max(1.0, abs(cost)):
                break
            if net >= self.work - _EPS:
                high, net_high, cost_high = price, net, cost
            else:
                low, net_low, cost_low = price, net, cost
        low_value = self._dual(low)
        if low_value > best:
            best, best_price = low_value, low
        self.price = best_price
        self._values(best_price)
        return best

    def _values(self, price: float) -> None:
        """Least reduced cost of the rest from each edge, by state."""
        fresh = off = on = 0.0
        rest = [(fresh, off, on)]
        first, resume = price * self.starts[0], price * self.starts[1]
        for rate, length in zip(reversed(self.rates), reversed(self.lengths), strict=True):
            whole = (rate - price) * length + on
            fresh, off, on = min(fresh, first + whole), min(off, resume + whole), min(off, whole, resume + whole)
            rest.append((fresh, off, on))
        rest.reverse()
        self.rest = rest

    def _dual(self, price: float) -> float:
        self._values(price)
        return self.rest[0][self.initial] + price * self.work

    def _net(self, price: float) -> tuple[float, float]:
        """Net work and cost of the plan that is best at `price`."""
        self._values(price)
        state, net, cost = self.initial, 0.0, 0.0
        for i, (rate, length) in enumerate(zip(self.rates, self.lengths, strict=True)):
            after = self.rest[i + 1]
            extra = 0.0 if state == _ON else self.starts[state]
            stay = after[_FRESH] if state == _FRESH else after[_OFF]
            if price * extra + (rate - price) * length + after[_ON] < stay:
                net += length - extra
                cost += rate * length
                state = _ON
            elif state == _ON:
                state = _OFF
        return net, cost

    def within(self, limit: float) -> tuple[float, list[Segment]] | None:
        """The best plan whose cost is at most `limit`; every label that could still become one is kept."""
        labels: dict[Label, Way] = {(self.initial, 0.0, -1): (0.0, ())}
        for i in range(len(self.rates)):
            grown: dict[Label, Way] = {}
            for (state, net, partial), (cost, ways) in labels.items():
                self._grow(grown, i, limit, state, net, partial, cost, ways)
            labels = grown
        best: tuple[float, float, Label, Way] | None = None
        for label, way in labels.items():
            _, net, partial = label
            rest = self.work - net
            if partial < 0:
                if abs(rest) > _EPS:
                    continue
                cost = way[0]
            elif -_EPS <= rest <= self.lengths[partial] + _EPS:
                cost = way[0] + self.rates[partial] * rest
            else:
                continue
            finish = max((self.line.edges[i + 1] for i, _ in way[1]), default=0.0)
            if cost <= limit and (best is None or (cost, finish) < best[:2]):
                best = (cost, float(finish), label, way)
        if best is None:
            return None
        return best[0], self._pieces(best[2], best[3])

    def _grow(
        self,
        grown: dict[Label, Way],
        i: int,
        limit: float,
        state: int,
        net: float,
        partial: int,
        cost: float,
        ways: tuple[tuple[int, int], ...],
    ) -> None:
        rate, length = self.rates[i], self.lengths[i]
        extra = 0.0 if state == _ON else self.starts[state]
        idle = _FRESH if state == _FRESH else _OFF
        moves = [
            (idle, net, partial, cost, ways),
            (_ON, net + length - extra, partial, cost + rate * length, (*ways, (i, _WHOLE))),
        ]
        if partial < 0:
            moves.append((_OFF, net - extra, i, cost, (*ways, (i, _HEAD))))
            tail = self.starts[1] if state == _ON else extra
            moves.append((_ON, net - tail, i, cost, (*ways, (i, _TAIL))))
        for after, done, part, spent, way in moves:
            slack = 0.0 if part < 0 else min(0.0, (self.rates[part] - self.price) * self.lengths[part])
            reached = spent + slack + self.price * (self.work - done) + self.rest[i + 1][after]
            if reached > limit + 1e-12 * abs(limit):
                continue
            label = (after, round(done, 6), part)
            known = grown.get(label)
            if known is None or spent < known[0]:
                grown[label] = (spent, way)

    def _pieces(self, label: Label, way: Way) -> list[Segment]:
        rest = self.work - label[1]
        pieces = []
        for i, how in way[1]:
            start, end = float(self.line.edges[i]), float(self.line.edges[i + 1])
            pieces.append(
                (end - rest, end) if how == _TAIL else (start, start + rest) if how == _HEAD else (start, end)
            )
        return merged(pieces)
