"""Kept share: what part of the saving that perfect foresight brings, a plan on a forecast keeps.

The game: a job of L hours may pause at will and must end within L + slack hours of its arrival. Each hour the plan is
made anew from the newest forecast: the job runs now if this hour is among the cheapest that are left and needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

LENGTHS_H = (4, 8, 24)
SLACK_H = 24
REACH_H = max(LENGTHS_H) + SLACK_H  # of the longest job with its slack


def savings(actual: FloatArray, forecasts: FloatArray, *, lengths: Sequence[int] = LENGTHS_H) -> tuple[float, float]:
    """(kept, clairvoyant) saving against running at once, summed over a job arriving every hour.

    `actual[i]` is the hour i; `forecasts[i]` is what was expected at i for the hours i, i+1, …
    """
    kept = possible = 0.0
    for length in lengths:
        window = length + SLACK_H
        arrivals = len(actual) - window + 1
        if arrivals < 1:
            continue
        hours = np.lib.stride_tricks.sliding_window_view(actual, window)[:arrivals]
        at_once = hours[:, :length].sum(axis=1)
        best = np.partition(hours, length - 1, axis=1)[:, :length].sum(axis=1)
        spent = follow(hours, forecasts, length)
        kept += float((at_once - spent).sum())
        possible += float((at_once - best).sum())
    return kept, possible


def follow(hours: FloatArray, forecasts: FloatArray, length: int) -> FloatArray:
    """What each job met in the hours it ran: (arrival,) from (arrival, hour of its window)."""
    arrivals, window = hours.shape
    left = np.full(arrivals, length)
    spent = np.zeros(arrivals)
    for age in range(window):
        view = forecasts[age : age + arrivals, : window - age]
        cheaper = (view[:, 1:] < view[:, :1]).sum(axis=1)
        run = (left > 0) & (cheaper < left)
        spent += np.where(run, hours[:, age], 0.0)
        left -= run
    assert not left.any(), "the last hours of a window always suffice for what is left"
    return spent


def share(actual: FloatArray, forecasts: FloatArray) -> float | None:
    """None where even foresight saves nothing."""
    kept, possible = savings(actual, forecasts)
    return kept / possible if possible > 0 else None
