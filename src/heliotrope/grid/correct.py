"""A published forecast, corrected by its own latest errors and given an interval that its record supports.

Every number here is known at the issue: earlier forecasts as they were fetched, and what then came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from heliotrope.grid.wire.archive import Issue
from heliotrope.grid.wire.points import POSSIBLE
from heliotrope.model import Signal
from heliotrope.units import S_PER_DAY, S_PER_HOUR, hour_floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# Hours ahead that share one correction and one spread of errors.
LEADS = ((0, 1), (1, 3), (3, 6), (6, 12), (12, 24), (24, 48), (48, 10_000))
RECENT_H = 6  # the latest errors, whose mean a correction carries on
LEAST_SCORES = 60  # errors before a lead's own quantiles are believed
LEAST_ISSUES = 12  # of different hours: errors of one issue are one story
SHRINK = 24.0  # scores of no correction at all that the slope is pulled by
TAIL = 0.045
DAYS_OF_YESTERDAY = 8
ASSUMED = 0.5  # of the value, where nothing at all is known of errors


class _Record(msgspec.Struct, frozen=True, eq=False):
    """Errors (actual - forecast) of earlier issues: hours ahead, error, and the mean error known at each issue."""

    lead: FloatArray
    error: FloatArray
    recent: FloatArray
    now: float
    issues: int


def corrected(published: Signal, issues: Sequence[Issue], actual: Mapping[int, float], now_s: int) -> Signal:
    """`actual`: hour → value, as known now. Flags say what the interval rests on."""
    record = _record(issues, {at: value for at, value in actual.items() if at + S_PER_HOUR <= now_s}, now_s)
    values = published.values.copy()
    low, high = values.copy(), values.copy()
    wide_low, wide_high, why = _without_record(values, actual)
    leads = (published.start_s - hour_floor(now_s)) // S_PER_HOUR + np.arange(len(values))
    unproven = 0
    for first, last in LEADS:
        here = (leads < last) & ((leads >= first) | (first == 0))
        if not here.any():
            continue
        rows = (record.lead >= first) & (record.lead < last)
        if rows.sum() < LEAST_SCORES or record.issues < LEAST_ISSUES:
            low[here], high[here] = values[here] + wide_low[here], values[here] + wide_high[here]
            unproven += int(here.sum())
            continue
        error, recent = record.error[rows], record.recent[rows]
        slope = float(np.clip(error @ recent / (recent @ recent + SHRINK * max(float(np.var(error)), 1e-12)), 0.0, 1.0))
        left = error - slope * recent
        values[here] += slope * record.now
        ends = np.quantile(left, [TAIL, 1 - TAIL])
        low[here], high[here] = values[here] + min(float(ends[0]), 0.0), values[here] + max(float(ends[1]), 0.0)
    flags = []
    if unproven < len(values):
        flags.append(f"corrected by, and bounded from, {record.issues} earlier forecasts kept here")
    if unproven:
        flags.append(
            f"{unproven} h with an interval {why}: too few earlier forecasts are kept here to know their errors"
        )
    least, most = POSSIBLE[published.kind.quantity]
    quality = msgspec.structs.replace(published.quality, flags=(*published.quality.flags, *flags))
    return msgspec.structs.replace(
        published,
        values=np.clip(values, least, most),
        low=np.clip(np.minimum(low, values), least, most),
        high=np.clip(np.maximum(high, values), least, most),
        quality=quality,
    )


def _record(issues: Sequence[Issue], actual: Mapping[int, float], now_s: int) -> _Record:
    """An error of the newest forecast made for each hour tells how wrong the service is of late."""
    latest: dict[int, float] = {}
    leads: list[int] = []
    errors: list[float] = []
    recents: list[float] = []
    usable = 0
    for issue in issues:
        at = hour_floor(issue.issued_s)
        recent = _mean_before(latest, actual, at)
        known = [
            (i, actual[target] - value)
            for i, value in enumerate(issue.values)
            if (target := issue.first_s + i * S_PER_HOUR) in actual
        ]
        usable += bool(known)
        for i, error in known:
            leads.append((issue.first_s - at) // S_PER_HOUR + i)
            errors.append(error)
            recents.append(recent)
        latest |= {issue.first_s + i * S_PER_HOUR: value for i, value in enumerate(issue.values)}
    now = _mean_before(latest, actual, hour_floor(now_s))
    return _Record(np.asarray(leads, float), np.asarray(errors, float), np.asarray(recents, float), now, usable)


def _mean_before(forecast: Mapping[int, float], actual: Mapping[int, float], at: int) -> float:
    """Mean error over the last hours before `at` whose outcome and forecast are known; 0 where none are."""
    hours = range(at - RECENT_H * S_PER_HOUR, at, S_PER_HOUR)
    known = [actual[hour] - forecast[hour] for hour in hours if hour in actual and hour in forecast]
    return float(np.mean(known)) if known else 0.0


def _without_record(values: FloatArray, actual: Mapping[int, float]) -> tuple[FloatArray, FloatArray, str]:
    """As wide as repeating yesterday would need; wider by the day is not known. Else a part of the value, assumed."""
    moves = [value - actual[at - S_PER_DAY] for at, value in actual.items() if at - S_PER_DAY in actual]
    if len(moves) >= DAYS_OF_YESTERDAY * 24:
        down, up = np.quantile(moves, [0.05, 0.95])
        return (
            np.full(len(values), min(float(down), 0.0)),
            np.full(len(values), max(float(up), 0.0)),
            "as wide as days differ",
        )
    width = ASSUMED * np.maximum(np.abs(values), float(np.abs(values).mean()))
    return -width, width, f"of ±{ASSUMED:.0%}, assumed"
