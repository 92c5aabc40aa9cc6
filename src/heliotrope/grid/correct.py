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
    wide_low, wide_high, why = width_without_record(values, actual)
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
    """The newest forecast made for each hour tells how wrong the service is of late."""
    now = hour_floor(now_s) // S_PER_HOUR
    if not issues or not actual:
        return _Record(np.empty(0), np.empty(0), np.empty(0), 0.0, 0)
    hour0 = min(issue.first_s for issue in issues) // S_PER_HOUR
    hours = max(now, *(issue.first_s // S_PER_HOUR + len(issue.values) for issue in issues)) - hour0
    came = np.full(hours, np.nan)
    for at, value in actual.items():
        if 0 <= at // S_PER_HOUR - hour0 < hours:
            came[at // S_PER_HOUR - hour0] = value
    latest = np.full(hours, np.nan)
    leads, errors, recents = [], [], []
    for issue in issues:
        issued, first = hour_floor(issue.issued_s) // S_PER_HOUR - hour0, issue.first_s // S_PER_HOUR - hour0
        said = np.asarray(issue.values)
        span = slice(first, first + len(said))
        error = came[span] - said
        known = np.isfinite(error)
        if known.any():
            leads.append(np.flatnonzero(known) + (first - issued))
            errors.append(error[known])
            recents.append(np.full(int(known.sum()), _mean_before(came, latest, issued)))
        latest[span] = said
    recent = _mean_before(came, latest, now - hour0)
    if not errors:
        return _Record(np.empty(0), np.empty(0), np.empty(0), recent, 0)
    return _Record(np.concatenate(leads), np.concatenate(errors), np.concatenate(recents), recent, len(errors))


def _mean_before(came: FloatArray, said: FloatArray, at: int) -> float:
    """Mean error over the last hours before `at` whose outcome and forecast are known; 0 where none are."""
    before = slice(max(at - RECENT_H, 0), max(at, 0))
    window = came[before] - said[before]
    known = window[np.isfinite(window)]
    return float(known.mean()) if len(known) else 0.0


def width_without_record(values: FloatArray, actual: Mapping[int, float]) -> tuple[FloatArray, FloatArray, str]:
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
