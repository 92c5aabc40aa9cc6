"""Prices of room: each job answers the prices, the prices answer the jobs; any prices give a bound on every plan.

L(λ) = Σ_j min over (zone, start) of [grams + width · ∫λ] − Σ λ · capacity · time ≤ the carbon of any feasible plan.
"""

from __future__ import annotations

import numpy as np

from heliotrope.plan.joint.problem import Asks, Floats, Ints
from heliotrope.plan.kernels.jit import compiled


@compiled
def answer(area: Floats, priced: Floats, step: float, asks: Asks, curve: Floats, j: int) -> tuple[float, int, float]:
    """Least price of job `j` in one piece: (price, zone, start). Exact: an optimum starts or ends at an edge or limit.

    `priced[z, k]`: integral of λ up to edge k. `curve` is scratch as long as an area's row.
    """
    n_edges = area.shape[1]
    l, w, g, r, last = asks.length[j], asks.width[j], asks.grams[j], asks.release[j], asks.latest[j]
    whole = int(l / step + 1e-9)
    rest = l / step - whole
    if rest < 1e-9:
        rest = 0.0
    first = int(np.ceil(r / step - 1e-9))
    final = int(np.floor(last / step + 1e-9))
    low = int(r / step)
    high = min(n_edges - 1, int(np.ceil((last + l) / step)) + 1)
    on_edges = rest == 0.0 and first * step - r < 1e-9 * step and last - final * step < 1e-9 * step
    best, best_z, best_s = np.inf, -1, r
    for index in range(asks.sets_ptr[asks.places[j]], asks.sets_ptr[asks.places[j] + 1]):
        z = asks.sets[index]
        if on_edges:
            price, k = _cheapest(area[z], priced[z], g, w, first, min(final, n_edges - 1 - whole) + 1, whole)
            if price < best:
                best, best_z, best_s = price, z, k * step
            continue
        for k in range(low, high + 1):
            curve[k] = g * area[z, k] + w * priced[z, k]
        for k in range(first, min(final, n_edges - 1 - whole) + 1):
            end = curve[k + whole]
            if rest > 0.0:
                if k + whole + 1 >= n_edges:
                    break
                end += rest * (curve[k + whole + 1] - end)
            if end - curve[k] < best:
                best, best_z, best_s = end - curve[k], z, k * step
        if rest > 0.0:
            first_end = int(np.ceil((r + l) / step - 1e-9))
            final_end = min(int(np.floor((last + l) / step + 1e-9)), n_edges - 1)
            for k in range(first_end, final_end + 1):
                if k - whole - 1 < 0:
                    continue
                start = curve[k - whole] - rest * (curve[k - whole] - curve[k - whole - 1])
                if curve[k] - start < best:
                    best, best_z, best_s = curve[k] - start, z, k * step - l
        for side in range(2):
            s = r if side == 0 else last
            a = min(int(s / step), n_edges - 2)
            b = min(int((s + l) / step), n_edges - 2)
            at = curve[a] + (s / step - a) * (curve[a + 1] - curve[a])
            end = curve[b] + ((s + l) / step - b) * (curve[b + 1] - curve[b])
            if end - at < best:
                best, best_z, best_s = end - at, z, s
    return best, best_z, best_s


@compiled
def _cheapest(
    area: Floats, priced: Floats, grams: float, width: float, first: int, until: int, ahead: int
) -> tuple[float, int]:
    """Least price from edge k to edge k + `ahead` for k in first..until-1, and its k.

    The least is found before its place: processors take several steps at once of a loop that remembers nothing else.
    """
    if until <= first:
        return np.inf, -1
    a, b = area[first:until], area[first + ahead : until + ahead]
    p, q = priced[first:until], priced[first + ahead : until + ahead]
    least = np.inf
    for i in range(len(a)):
        price = grams * (b[i] - a[i]) + width * (q[i] - p[i])
        least = min(least, price)
    i = 0
    while grams * (b[i] - a[i]) + width * (q[i] - p[i]) > least:
        i += 1
    return least, first + i


@compiled
def ascend(
    area: Floats,
    price: Floats,
    mean: Floats,
    capacity: Floats,
    step: float,
    eta: float,
    order: Ints,
    block: int,
    asks: Asks,
    priced: Floats,
    curve: Floats,
) -> None:
    """One pass: every job in `order` answers the prices and pushes up those of the room it takes.

    All prices sink by `eta` over the pass, so that they rest where room is used to the full. `mean` becomes the
    pass's average price, which converges where the last one jitters. `capacity[z, k]` is above 0. `priced`, `curve`:
    scratch, zeroed.
    """
    n_zones, n_steps = price.shape
    blocks = 0
    for begin in range(0, len(order), block):
        for z in range(n_zones):
            total = 0.0
            for k in range(n_steps):
                mean[z, k] += price[z, k]
                total += price[z, k] * step
                priced[z, k + 1] = total
        blocks += 1
        until = min(begin + block, len(order))
        for i in range(begin, until):
            j = order[i]
            _, z, s = answer(area, priced, step, asks, curve, j)
            e = s + asks.length[j]
            push = eta * asks.width[j] / step
            k = int(s / step)
            while k < n_steps and k * step < e:
                price[z, k] += push / capacity[z, k] * (min(e, (k + 1) * step) - max(s, k * step))
                k += 1
        sink = eta * (until - begin) / len(order)
        for z in range(n_zones):
            for k in range(n_steps):
                price[z, k] = max(0.0, price[z, k] - sink)
    for z in range(n_zones):
        for k in range(n_steps):
            mean[z, k] /= blocks


@compiled
def least(area: Floats, priced: Floats, step: float, begin: int, until: int, asks: Asks, curve: Floats) -> float:
    """Sum of the least prices of jobs begin..until-1."""
    total = 0.0
    for j in range(begin, until):
        price, _, _ = answer(area, priced, step, asks, curve, j)
        total += price
    return total
