"""GAIA's six policies told again, minute by minute and in plain Python: ours do the same on any grid and any job."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.plan.kernels.policies import gaia
from heliotrope.plan.kernels.shapes import Curves
from heliotrope.plan.kernels.world import World
from simulate.helpers import batch

HOUR, DAY = 60, 24 * 60  # minutes
MEANS = {True: 30, False: 167}  # assumed of the short and of the long, minutes


def cheapest(starts, worth):
    """The earliest of those whose worth is least."""
    best = min(worth(start) for start in starts)
    return next(start for start in starts if worth(start) == best)


def lowest_slot(minutes, now, length, wait):
    hours = range(now // HOUR, (now + wait) // HOUR + 1)
    return range(max(now, HOUR * cheapest(hours, lambda hour: minutes[HOUR * hour])), len(minutes))[:length]


def hourly(minutes, now, length, wait, assumed, worth):
    """The best of the starts each hour from submission, for a job of the assumed length, where that fits the grid."""
    starts = [start for start in range(now, now + wait + 1, HOUR) if start + assumed <= len(minutes)]
    start = cheapest(starts, lambda start: worth(sum(minutes[start : start + assumed]), start)) if starts else now
    return range(start, len(minutes))[:length]


def lowest_window(minutes, now, length, wait):
    return hourly(minutes, now, length, wait, MEANS[length < 2 * HOUR], lambda grams, _: grams)


def known_window(minutes, now, length, wait):
    return hourly(minutes, now, length, wait, length, lambda grams, _: grams)


def carbon_time(minutes, now, length, wait):
    assumed = MEANS[length < 2 * HOUR]
    at_once = sum(minutes[now : now + assumed])
    worth = lambda grams, start: Fraction(grams - at_once, start - now + assumed)  # noqa: E731
    return hourly(minutes, now, length, wait, assumed, worth)


def ecovisor(minutes, now, length, wait):
    """Below the level under which three tenths of the coming day lie; once the wait is used up, always."""
    day = sorted(minutes[now : now + DAY])
    level = day[3 * len(day) // 10]
    ran, at = [], now
    while len(ran) < length:
        if minutes[at] < level or wait == 0:
            ran.append(at)
        else:
            wait -= 1
        at += 1
    return ran


def wait_awhile(minutes, now, length, wait):
    window = range(now, now + length + wait)
    return sorted(sorted(window, key=lambda at: minutes[at])[:length])


@pytest.mark.parametrize("told", [lowest_slot, lowest_window, known_window, carbon_time, ecovisor, wait_awhile])
@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(st.integers(1, 9), min_size=68, max_size=68),
    now=st.integers(0, 20 * HOUR),
    length=st.integers(1, 20 * HOUR),
    wait=st.integers(0, DAY),
    tight=st.booleans(),
)
def test_each_policy_does_what_its_telling_does(told, hours, now, length, wait, tight):
    """Also where many hours tie, and where the wait ends with the grid."""
    if tight:
        hours = hours[: math.ceil((now + length + wait) / HOUR)]
    minutes = [value for value in hours for _ in range(HOUR)]
    curves = Curves.of(("Z",), np.array([hours], dtype=np.float64))
    job = batch(now * 60.0, length * 60.0, wait * 60.0)
    means = (MEANS[True] * 60.0, MEANS[False] * 60.0)
    world = World(curves, 0, lambda: means, lambda: np.ones(1), lambda _: job)
    slots = getattr(gaia, told.__name__)(job, world)
    ours = [
        at
        for begin, end in zip(slots.start_s.tolist(), slots.end_s.tolist(), strict=True)
        for at in range(round(begin / 60), round(end / 60))
    ]
    theirs = list(told(minutes, now, length, wait))
    if told is wait_awhile:  # which of the minutes alike are taken is free; what they come to is not
        assert sum(minutes[at] for at in ours) == sum(minutes[at] for at in theirs)
        assert len(set(ours)) == length
        assert now <= min(ours) <= max(ours) < now + length + wait
    else:
        assert ours == theirs
