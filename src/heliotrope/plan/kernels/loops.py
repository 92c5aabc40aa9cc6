"""The inner loops: best window, cheapest seconds, thresholds, each exact and over one job at a time."""

from __future__ import annotations

import math

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Bytes, Floats, Ints

# Two costs closer than this, relatively, are a tie: the earlier start wins, and nobody waits for rounding.
TIE = 1e-9
# Seconds below which nothing is left to run: what rounding leaves over.
NOTHING_S = 1e-7


@compiled
def slot_grams(
    values: Floats, area: Floats, step: float, zone: Ints, start: Floats, end: Floats, watts: Floats
) -> Floats:
    """Grams of each slot: the integral of intensity over it, times its draw."""
    out = np.empty(len(zone))
    for i in range(len(zone)):
        z = zone[i]
        a = int(start[i] / step)
        b = int(end[i] / step)
        whole = area[z, b] - area[z, a]
        parts = values[z, b] * (end[i] - b * step) - values[z, a] * (start[i] - a * step)
        out[i] = (whole + parts) * watts[i] / 3.6e6
    return out


@compiled
def _best_window(
    values: Floats, area: Floats, step: float, submitted: float, length: float, slack: float
) -> tuple[float, float]:
    """The start in [submitted, submitted+slack] of least mean intensity, and the integral there.

    The cost of a start is piecewise linear, so a best one lies at an end of the range, or where the job's
    start or end meets a step's edge: two families, each a straight sweep.
    """
    last = submitted + slack
    whole = int(length / step)
    rest = length - whole * step
    low = math.ceil(submitted / step)
    high = int(last / step)
    low_end = math.ceil((submitted + length) / step)
    high_end = int((last + length) / step)

    i = int(submitted / step)
    j = int((submitted + length) / step)
    at_once = area[j] - area[i] + values[j] * (submitted + length - j * step) - values[i] * (submitted - i * step)
    i = int(last / step)
    j = int((last + length) / step)
    at_last = area[j] - area[i] + values[j] * (last + length - j * step) - values[i] * (last - i * step)
    best = min(at_once, at_last)
    for h in range(low, high + 1):
        best = min(best, area[h + whole] - area[h] + rest * values[h + whole])
    for e in range(low_end, high_end + 1):
        best = min(best, area[e] - area[e - whole] + rest * values[e - whole - 1])

    enough = best + TIE * abs(best)
    if at_once <= enough:
        return submitted, at_once
    start = last
    cost = at_last
    for h in range(low, high + 1):
        found = area[h + whole] - area[h] + rest * values[h + whole]
        if found <= enough:
            start = h * step
            cost = found
            break
    for e in range(low_end, high_end + 1):
        if e * step - length >= start:
            break
        found = area[e] - area[e - whole] + rest * values[e - whole - 1]
        if found <= enough:
            start = e * step - length
            cost = found
            break
    return start, cost


@compiled
def windows(
    values: Floats,
    area: Floats,
    step: float,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    start: Floats,
    zone: Ints,
    cost: Floats,
) -> None:
    """Best contiguous window of each job over its zones; ties: the zone named first, then the earliest start."""
    for i in range(len(submitted)):
        best = np.inf
        for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
            z = sets[k]
            begin, found = _best_window(values[z], area[z], step, submitted[i], length[i], slack[i])
            if found < best - TIE * abs(best) or best == np.inf:
                best = found
                start[i] = begin
                zone[i] = z
        cost[i] = best


@compiled
def _cheapest(
    values: Floats, step: float, submitted: float, length: float, slack: float, worth: Floats, take: Floats
) -> tuple[int, int, float]:
    """Fills take[0:count] with the seconds to run in each step touched from `first`; the integral of intensity there.

    Equal steps: the earliest are taken. Works from the shorter side: takes the cheapest, or drops the dearest.
    """
    end = submitted + length + slack
    first = int(submitted / step)
    count = math.ceil(end / step) - first
    count = max(count, 1)
    for i in range(count):
        worth[i] = values[first + i]
    head = min((first + 1) * step, end) - submitted
    tail = end - max((first + count - 1) * step, submitted)
    total = 0.0
    if length <= slack:
        for i in range(count):
            take[i] = 0.0
        need = length
        while need > 0.0:
            least = np.inf
            for i in range(count):
                least = min(least, worth[i])
            if least == np.inf:
                break
            at = 0
            while worth[at] != least:
                at += 1
            room = head if at == 0 else (tail if at == count - 1 else step)
            used = min(room, need)
            take[at] = used
            total += used * least
            need -= used
            worth[at] = np.inf
    else:
        for i in range(count):
            take[i] = step
            total += values[first + i] * step
        total -= values[first] * (step - head)
        take[0] = head
        if count > 1:
            total -= values[first + count - 1] * (step - tail)
            take[count - 1] = tail
        spare = slack
        while spare > 0.0:
            most = -np.inf
            for i in range(count):
                most = max(most, worth[i])
            if most == -np.inf:
                break
            at = count - 1
            while worth[at] != most:
                at -= 1
            used = min(take[at], spare)
            take[at] -= used
            total -= used * most
            spare -= used
            worth[at] = -np.inf
    return first, count, total


@compiled
def _emit(
    step: float,
    submitted: float,
    end: float,
    first: int,
    count: int,
    take: Floats,
    job: int,
    zone: int,
    at: int,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
) -> int:
    """Turns seconds a step into slots. A step used in part runs up against its used neighbour, to pause less."""
    opened = at
    for i in range(count):
        if take[i] <= 0.0:
            continue
        begin = max(submitted, (first + i) * step)
        close = min(end, (first + i + 1) * step)
        joined = at > opened and out_end[at - 1] == begin
        if not joined and i + 1 < count and take[i + 1] > 0.0:
            begin = max(begin, close - take[i])
        else:
            close = min(close, begin + take[i])
        if joined:
            out_end[at - 1] = close
        else:
            out_job[at] = job
            out_zone[at] = zone
            out_start[at] = begin
            out_end[at] = close
            at += 1
    return at


@compiled
def suspend(
    values: Floats,
    area: Floats,
    step: float,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    pausable: Bytes,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
    cost: Floats,
) -> int:
    """The cheapest seconds of each job's window in its best zone; the best window where it cannot pause."""
    longest = 0.0
    for i in range(len(submitted)):
        longest = max(longest, length[i] + slack[i])
    size = int(longest / step) + 3
    worth = np.empty(size)
    take = np.empty(size)
    at = 0
    for i in range(len(submitted)):
        best = np.inf
        best_zone = -1
        best_start = 0.0
        solved = -1
        first = 0
        count = 0
        lo = sets_ptr[places[i]]
        hi = sets_ptr[places[i] + 1]
        for k in range(lo, hi):
            z = sets[k]
            if pausable[i] != 0:
                first, count, found = _cheapest(values[z], step, submitted[i], length[i], slack[i], worth, take)
                solved = z
                begin = 0.0
            else:
                begin, found = _best_window(values[z], area[z], step, submitted[i], length[i], slack[i])
            if best_zone < 0 or found < best - TIE * abs(best):
                best = found
                best_zone = z
                best_start = begin
        cost[i] = best
        if pausable[i] == 0:
            out_job[at] = i
            out_zone[at] = best_zone
            out_start[at] = best_start
            out_end[at] = best_start + length[i]
            at += 1
            continue
        if solved != best_zone:
            first, count, _ = _cheapest(values[best_zone], step, submitted[i], length[i], slack[i], worth, take)
        end = submitted[i] + length[i] + slack[i]
        at = _emit(step, submitted[i], end, first, count, take, i, best_zone, at, out_job, out_zone, out_start, out_end)
    return at


@compiled
def least(
    values: Floats,
    area: Floats,
    cleanest: Floats,
    step: float,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    pausable: Bytes,
    movable: Bytes,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
    cost: Floats,
) -> None:
    """The integral no schedule of one job alone can be below; `cleanest[s, i]`: the least over set s's zones."""
    longest = 0.0
    for i in range(len(submitted)):
        longest = max(longest, length[i] + slack[i])
    size = int(longest / step) + 3
    worth = np.empty(size)
    take = np.empty(size)
    for i in range(len(submitted)):
        best = np.inf
        if pausable[i] != 0 and movable[i] != 0:
            _, _, best = _cheapest(cleanest[places[i]], step, submitted[i], length[i], slack[i], worth, take)
        else:
            for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
                z = sets[k]
                if pausable[i] != 0:
                    _, _, found = _cheapest(values[z], step, submitted[i], length[i], slack[i], worth, take)
                else:
                    _, found = _best_window(values[z], area[z], step, submitted[i], length[i], slack[i])
                best = min(best, found)
        cost[i] = best


@compiled
def lowest_slot(values: Floats, step: float, home: Ints, submitted: Floats, slack: Floats) -> Floats:
    """Starts with the first step of least intensity that begins within the slack (or the one under way)."""
    out = np.empty(len(submitted))
    for i in range(len(submitted)):
        z = home[i]
        first = int(submitted[i] / step)
        last = int((submitted[i] + slack[i]) / step)
        at = first
        for h in range(first, last + 1):
            if values[z, h] < values[z, at]:
                at = h
        out[i] = max(submitted[i], at * step)
    return out


@compiled
def stepped(
    values: Floats,
    area: Floats,
    step: float,
    every: float,
    home: Ints,
    submitted: Floats,
    assumed: Floats,
    slack: Floats,
    per_time: bool,
) -> Floats:
    """Of the starts submitted + k·every, the one of least carbon for a job of the `assumed` length;
    `per_time`: of most carbon saved per second until done. A start whose assumed end passes the grid's is left out.
    """
    out = np.empty(len(submitted))
    limit = (values.shape[1] - 1) * step
    for i in range(len(submitted)):
        z = home[i]
        best = np.inf
        at_once = 0.0
        out[i] = submitted[i]
        for k in range(int(slack[i] / every) + 1):
            a = submitted[i] + k * every
            b = a + assumed[i]
            if b > limit:
                break
            g = int(a / step)
            h = int(b / step)
            cost = area[z, h] - area[z, g] + values[z, h] * (b - h * step) - values[z, g] * (a - g * step)
            if k == 0:
                at_once = cost
            score = (cost - at_once) / (k * every + assumed[i]) if per_time else cost
            if k == 0 or score < best - TIE * abs(best):
                best = score
                out[i] = a
    return out


@compiled
def _share_of_day(values: Floats, step: float, now: float, span: float, share: float, worth: Floats) -> float:
    """The intensity below which lies `share` of the time in [now, now+span)."""
    first = int(now / step)
    end = min(now + span, (len(values) - 1) * step)
    count = math.ceil(end / step) - first
    for i in range(count):
        worth[i] = values[first + i]
    want = share * (end - now)
    level = float(values[first])
    while want >= 0.0:
        level = np.inf
        for i in range(count):
            level = min(level, worth[i])
        if level == np.inf:
            break
        for i in range(count):
            if worth[i] == level:
                begin = max(now, (first + i) * step)
                want -= min(end, (first + i + 1) * step) - begin
                worth[i] = np.inf
    return level


@compiled
def threshold(
    values: Floats,
    levels: Floats,
    step: float,
    span: float,
    share: float,
    home: Ints,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    out_job: Ints,
    out_zone: Ints,
    out_start: Floats,
    out_end: Floats,
) -> int:
    """Runs while intensity is below a level, pauses above it until the slack is spent, then runs to the end.

    The level is `levels[z, hour of submission]` where given, else the `share` quantile of the `span` ahead.
    """
    worth = np.empty(int(span / step) + 3)
    at = 0
    for i in range(len(submitted)):
        z = home[i]
        now = submitted[i]
        if levels.shape[0] > 0:
            level = levels[z, int(now / step)]
        else:
            level = _share_of_day(values[z], step, now, span, share, worth)
        need = length[i]
        spare = slack[i]
        opened = at
        while need > NOTHING_S:
            h = int(now / step)
            edge = (h + 1) * step
            if values[z, h] < level or spare <= NOTHING_S:
                close = now + need if spare <= NOTHING_S else min(edge, now + need)
                if at > opened and out_end[at - 1] == now:
                    out_end[at - 1] = close
                else:
                    out_job[at] = i
                    out_zone[at] = z
                    out_start[at] = now
                    out_end[at] = close
                    at += 1
                need -= close - now
                now = close
            else:
                wait = min(edge - now, spare)
                spare -= wait
                now = edge if wait == edge - now else now + wait
    return at


@compiled
def least_priced(
    values: Floats,
    prices: Floats,
    step: float,
    submitted: Floats,
    length: Floats,
    slack: Floats,
    watts: Floats,
    devices: Floats,
    places: Ints,
    sets: Ints,
    sets_ptr: Ints,
) -> float:
    """Grams of all jobs at their fluid best where a device-second in zone z, step i costs `prices[z, i]` g more."""
    longest = 0.0
    for i in range(len(submitted)):
        longest = max(longest, length[i] + slack[i])
    size = int(longest / step) + 3
    worth = np.empty(size)
    take = np.empty(size)
    row = np.empty(values.shape[1])
    total = 0.0
    for i in range(len(submitted)):
        first = int(submitted[i] / step)
        last = min(values.shape[1] - 1, int((submitted[i] + length[i] + slack[i]) / step) + 1)
        for s in range(first, last + 1):
            least_here = np.inf
            for k in range(sets_ptr[places[i]], sets_ptr[places[i] + 1]):
                z = sets[k]
                least_here = min(least_here, values[z, s] * watts[i] / 3.6e6 + prices[z, s] * devices[i])
            row[s] = least_here
        _, _, cost = _cheapest(row, step, submitted[i], length[i], slack[i], worth, take)
        total += cost
    return total
