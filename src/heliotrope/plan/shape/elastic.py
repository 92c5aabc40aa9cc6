"""Width and power chosen freely step by step: exact for any speed-up curve.

Changes are free, so time within a step can be shared between two ways to run: what a step can do for its grams is the
lower convex hull of (speed, power). Its edges, each a bit more speed for a bit more power, are taken over all steps
by grams per unit of work. That is a linear programme over a sum of convex sets, which greedy solves exactly; where the
curve is concave it is CarbonScaler's rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliotrope.plan.shape.modes import Mode
from heliotrope.plan.timeline import Timeline

# (index of the mode, start, end), seconds after the timeline's origin.
Leg = tuple[int, float, float]
_EPS = 1e-9


def hull(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which (speed, cost a second) lie on the lower convex hull from standing still, slowest first; -1 is standing."""
    order = sorted(range(len(points)), key=lambda k: (points[k][0], points[k][1]))
    chain: list[int] = [-1]

    def at(k: int) -> tuple[float, float]:
        return (0.0, 0.0) if k < 0 else points[k]

    for k in order:
        x2, y2 = points[k]
        while len(chain) > 1:
            (x0, y0), (x1, y1) = at(chain[-2]), at(chain[-1])
            if (y1 - y0) * (x2 - x1) < (y2 - y1) * (x1 - x0):
                break
            chain.pop()
        if x2 > at(chain[-1])[0] + _EPS:
            chain.append(k)
    return chain


def fill(line: Timeline, work: float, ways: Sequence[Mode], base_w: float) -> tuple[float, list[Leg]] | None:
    """Least cost and its legs; `line.rates` are per second at `base_w`. None: not enough room."""
    lengths = np.diff(line.edges)
    rising = hull([(m.speed, m.watts) for m in ways])
    falling = hull([(m.speed, -m.watts) for m in ways])
    bits = []  # (grams per work, step, place in the chain, work)
    for i, (rate, length) in enumerate(zip(line.rates.tolist(), lengths.tolist(), strict=True)):
        if not np.isfinite(rate):
            continue
        chain = rising if rate >= 0 else falling
        for place in range(1, len(chain)):
            low, high = _at(ways, chain[place - 1]), _at(ways, chain[place])
            per_work = rate / base_w * (high[1] - low[1]) / (high[0] - low[0])
            bits.append((per_work, i, place, (high[0] - low[0]) * length))
    bits.sort()
    reached: dict[int, int] = {}
    rest, cost, part = work, 0.0, None
    for per_work, i, place, doable in bits:
        done = min(rest, doable)
        cost += per_work * done
        rest -= done
        if done < doable - _EPS:
            part = (i, place, done / doable)
            break
        reached[i] = place
        if rest <= _EPS:
            break
    if rest > 1e-6:
        return None
    return cost, _legs(line, (rising, falling), reached, part)


def fill_cost(line: Timeline, work: float, ways: Sequence[Mode], base_w: float) -> float:
    """No plan of this work, however it changes width and power, costs less."""
    found = fill(line, work, ways, base_w)
    return float("inf") if found is None else found[0]


def _at(ways: Sequence[Mode], k: int) -> tuple[float, float]:
    return (0.0, 0.0) if k < 0 else (ways[k].speed, ways[k].watts)


def _legs(
    line: Timeline, chains: tuple[list[int], list[int]], reached: dict[int, int], part: tuple[int, int, float] | None
) -> list[Leg]:
    """Steps as legs; the one that shares its time ends, or begins, with the faster way, whichever joins a neighbour."""
    legs: list[Leg] = []
    for i in sorted({*reached, *([part[0]] if part else [])}):
        chain = chains[0] if line.rates[i] >= 0 else chains[1]
        start, end = float(line.edges[i]), float(line.edges[i + 1])
        if part is None or part[0] != i:
            legs.append((chain[reached[i]], start, end))
            continue
        low, high, share = chain[part[1] - 1], chain[part[1]], part[2] * (end - start)
        after = i + 1 in reached and i - 1 not in reached
        turn = end - share if after else start + share
        legs += [(low, start, turn), (high, turn, end)] if after else [(high, start, turn), (low, turn, end)]
    return joined([leg for leg in legs if leg[0] >= 0])


def joined(legs: list[Leg]) -> list[Leg]:
    """Touching legs of one mode made one."""
    result: list[Leg] = []
    for mode, start, end in legs:
        if end - start <= 1e-6:
            continue
        if result and result[-1][0] == mode and start - result[-1][2] <= 1e-6:
            result[-1] = (mode, result[-1][1], end)
        else:
            result.append((mode, start, end))
    return result
