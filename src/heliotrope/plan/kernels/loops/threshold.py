"""Runs while the grid is cleaner than a level, and in any case once the slack is spent."""

from __future__ import annotations

import math

import numpy as np

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.loops.pieces import NOTHING_S, write
from heliotrope.plan.kernels.shapes import Floats, Ints, Jobs, Lines, Pieces


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
    lines: Lines,
    levels: Floats,
    span: float,
    share: float,
    home: Ints,
    jobs: Jobs,
    slack: Floats,
    worth: Floats,
    out: Pieces,
) -> int:
    """The level is `levels[z, hour of submission]` where given, else the `share` quantile of the `span` ahead.

    `worth`: scratch for the steps of a span.
    """
    values, _, step = lines
    at = 0
    for i in range(len(jobs.submitted)):
        z = home[i]
        now = jobs.submitted[i]
        if levels.shape[0] > 0:
            level = levels[z, int(now / step)]
        else:
            level = _share_of_day(values[z], step, now, span, share, worth)
        need = jobs.length[i]
        spare = slack[i]
        opened = at
        while need > NOTHING_S:
            h = int(now / step)
            edge = (h + 1) * step
            if values[z, h] < level or spare <= NOTHING_S:
                close = now + need if spare <= NOTHING_S else min(edge, now + need)
                at = write(out, opened, at, i, z, now, close)
                need -= close - now
                now = close
            else:
                wait = min(edge - now, spare)
                spare -= wait
                now = edge if wait == edge - now else now + wait
    return at
