"""The best set of pieces for work that may pause: exact, also when each pause costs time.

Lemma. With a fixed set of pieces the cost is linear in their ends, and the only coupling is the total length.
So some optimum has every end but one at a step's edge: one step is used in part, all others wholly or not at all.
Search: labels (running or not, work done, the partial step) over the steps, kept only while a Lagrangian bound on
the rest says that they could still be best; the allowance above the bound widens until a plan is found: the optimum.
"""

from __future__ import annotations

import numpy as np

from heliotrope.plan.timeline import Segment, Timeline

_FRESH, _OFF, _ON = 0, 1, 2
_EPS = 1e-6  # seconds
_SLACK = 1e-9  # of a cost: sums in another order differ by less
_WHOLE, _HEAD, _TAIL = 0, 1, 2
_Steps = tuple[int, int, "_Steps"] | None  # the last step used, how, and those before it
# Cost without the partial step, the partial step or -1, net work in whole steps, how it came about.
_Way = tuple[float, int, float, _Steps]
_Labels = dict[tuple[int, int, bool], list[_Way]]  # by state, net work in ms, whether a step is partial


def fill(line: Timeline, work: float) -> tuple[float, list[Segment]]:
    """Pauses free: the cheapest steps, the last of them in part."""
    lengths = np.diff(line.edges)
    order = np.lexsort((line.edges[:-1], line.rates))
    done = np.cumsum(lengths[order])
    whole = int(np.searchsorted(done, work - _EPS))
    used = np.zeros(len(lengths), dtype=bool)
    used[order[:whole]] = True
    partial = int(order[whole])
    rest = work - (float(done[whole - 1]) if whole else 0.0)
    follows = partial > 0 and bool(used[partial - 1])
    leads = partial + 1 < len(used) and bool(used[partial + 1])
    start, end = float(line.edges[partial]), float(line.edges[partial + 1])
    piece = (end - rest, end) if leads and not follows else (start, start + rest)
    pieces = merged([*zip(line.edges[:-1][used].tolist(), line.edges[1:][used].tolist(), strict=True), piece])
    return float((line.rates[used] * lengths[used]).sum() + line.rates[partial] * rest), pieces


def fill_cost(line: Timeline, work: float) -> float:
    """What `fill` costs: no plan of this work, however it pauses, can be below it."""
    order = line.rates.argsort()
    if line.busy:
        order = order[np.isfinite(line.rates[order])]
    lengths = (line.edges[1:] - line.edges[:-1])[order]
    rates = line.rates[order]
    done = lengths.cumsum()
    whole = min(int(done.searchsorted(work)), len(done) - 1)
    rest = min(work, done.item(-1)) - (done.item(whole - 1) if whole else 0.0)
    return float(rates[:whole] @ lengths[:whole] + rates[whole] * rest)


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
    limit, most = bound + 1e-3 * abs(bound), min(search.ceiling, below)
    while limit < most:
        found = search.within(limit)
        if found is not None:
            return found
        limit = bound + 3 * (limit - bound) + 1e-12
    # Where a plan costs nothing at all, rounding may put the bound a speck above it.
    return search.within(most) or search.within(most + search.dust)


class _Search:
    def __init__(self, line: Timeline, work: float, pause_cost: float, first_cost: float, *, running: bool) -> None:
        self.line, self.work = line, work
        self.starts = (first_cost, pause_cost)  # of a fresh start, of a resume
        self.running = running
        self.rates = line.rates.tolist()
        self.lengths = np.diff(line.edges).tolist()
        self.dust = 1e-12 * float(np.abs(np.diff(line.cumulative)).max())  # what sums near 0 may be off by
        self.ceiling = float("inf")  # cost of the best plan known so far
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
        low, high = 0.0, max((rate for rate in self.rates if rate < float("inf")), default=0.0) or 1.0
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
        """Net work and cost of the plan that is best at `price`; if it does enough, cut to size it is a first plan."""
        self._values(price)
        state, net, cost = self.initial, 0.0, 0.0
        used: list[bool] = []
        for i, (rate, length) in enumerate(zip(self.rates, self.lengths, strict=True)):
            after = self.rest[i + 1]
            extra = 0.0 if state == _ON else self.starts[state]
            stay = after[_FRESH] if state == _FRESH else after[_OFF]
            runs = price * extra + (rate - price) * length + after[_ON] < stay
            if runs:
                net += length - extra
                cost += rate * length
                state = _ON
            elif state == _ON:
                state = _OFF
            used.append(runs)
        if net >= self.work - _EPS:
            self.ceiling = min(self.ceiling, self._cut(used, cost, net - self.work))
        return net, cost

    def _cut(self, used: list[bool], cost: float, excess: float) -> float:
        """Cost after taking `excess` seconds off the dearest ends of pieces; no piece is taken away altogether."""
        last = len(used) - 1
        while excess > _EPS:
            ends = [
                i
                for i, on in enumerate(used)
                if on and (i > 0 and used[i - 1]) != (i < last and used[i + 1]) and not (i == 0 and self.running)
            ]
            if not ends:
                return float("inf")
            dearest = max(ends, key=self.rates.__getitem__)
            taken = min(excess, self.lengths[dearest])
            cost -= taken * self.rates[dearest]
            excess -= taken
            used[dearest] = False
        return cost

    def within(self, limit: float) -> tuple[float, list[Segment]] | None:
        """The best plan that costs at most `limit`; every label that could still become one is kept."""
        limit += _SLACK * abs(limit)
        labels: _Labels = {(self.initial, 0, False): [(0.0, -1, 0.0, None)]}
        for i in range(len(self.rates)):
            labels = self._grown(labels, i, limit)
        best: tuple[float, float, float, list[Segment]] | None = None
        for ways in labels.values():
            for spent, partial, net, steps in ways:
                rest = self.work - net
                if not -_EPS <= rest <= (self.lengths[partial] if partial >= 0 else 0.0) + _EPS:
                    continue
                cost = spent + (self.rates[partial] * rest if partial >= 0 else 0.0)
                finish = -1.0 if steps is None else float(steps[0])
                if cost > limit or (best is not None and (cost, finish) > best[:2]):
                    continue
                pieces = self._pieces(rest, steps)
                running_s = sum(end - start for start, end in pieces)
                # Where power costs nothing a needless resume does not either; the shorter plan is meant.
                if best is None or (cost, finish, running_s) < best[:3]:
                    best = (cost, finish, running_s, pieces)
        return None if best is None else (best[0], best[3])

    def _grown(self, labels: _Labels, i: int, limit: float) -> _Labels:
        """Labels at the end of step `i`: idle through it, all of it, its head, or its tail."""
        rate, length = self.rates[i], self.lengths[i]
        after, price, work = self.rest[i + 1], self.price, self.work
        grown: _Labels = {}

        def keep(state: int, net: float, spent: float, partial: int, steps: _Steps) -> None:
            slack = 0.0 if partial < 0 else min(0.0, (self.rates[partial] - price) * self.lengths[partial])
            if spent + slack + price * (work - net) + after[state] > limit:
                return
            ways = grown.setdefault((state, round(net * 1e3), partial >= 0), [])
            if not any(self._as_good(way, spent, partial) for way in ways):
                ways[:] = [way for way in ways if not self._as_good((spent, partial, net, None), way[0], way[1])]
                ways.append((spent, partial, net, steps))

        for (state, _, _), ways in labels.items():
            extra = 0.0 if state == _ON else self.starts[state]
            tail = self.starts[1] if state == _ON else extra
            for spent, partial, net, steps in ways:
                keep(_FRESH if state == _FRESH else _OFF, net, spent, partial, steps)
                if rate == float("inf"):
                    continue
                keep(_ON, net + length - extra, spent + rate * length, partial, (i, _WHOLE, steps))
                if partial < 0:
                    keep(_OFF, net - extra, spent, i, (i, _HEAD, steps))
                    keep(_ON, net - tail, spent, i, (i, _TAIL, steps))
        return grown

    def _as_good(self, way: _Way, spent: float, partial: int) -> bool:
        """Whether `way` costs no more than the other however long the partial step is; of equals, the earlier."""
        if way[0] > spent:
            return False
        if partial < 0:
            return True
        mine, other = (self.rates[way[1]], -self.lengths[way[1]]), (self.rates[partial], -self.lengths[partial])
        if way[0] == spent and mine == other:
            return bool(way[1] <= partial)
        return bool(mine[0] <= other[0] and mine[1] <= other[1])

    def _pieces(self, rest: float, steps: _Steps) -> list[Segment]:
        pieces = []
        while steps is not None:
            i, how, steps = steps
            start, end = float(self.line.edges[i]), float(self.line.edges[i + 1])
            pieces.append(
                (end - rest, end) if how == _TAIL else (start, start + rest) if how == _HEAD else (start, end)
            )
        return merged(pieces)
