"""`helio grid backtest` without its command line: reads the files, picks the model, scores it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput, UnknownName, nearest
from heliotrope.grid.files import hourly
from heliotrope.grid.forecast.inputs.features import DAY
from heliotrope.grid.forecast.judging import kept
from heliotrope.grid.forecast.judging.backtest import Score, backtest
from heliotrope.grid.forecast.models import across, ridge, sources
from heliotrope.grid.forecast.models.fit import Fit, fit_analogues, fit_mean, fit_own, fit_week, fit_yesterday
from heliotrope.grid.forecast.recall import Recall, afresh
from heliotrope.units import S_PER_HOUR, from_epoch

PLAIN = {"analogues": fit_analogues, "mean": fit_mean, "week": fit_week, "yesterday": fit_yesterday}
MODELS = ("builtin", "own", "across", *PLAIN)


class Replayed(msgspec.Struct, frozen=True):
    """`notes`: what was made of the file, and what a reader of the score must know besides.

    Issues lie `every_h` apart in [start_s, end_s).
    """

    score: Score
    notes: tuple[str, ...]
    start_s: int
    end_s: int
    every_h: int


def score(
    series_file: Path,
    zone: str,
    *,
    start_s: int | None = None,
    end_s: int | None = None,
    source_file: Path | None = None,
    horizon_h: int = DAY,
    every_h: int | None = None,
    model: str = "builtin",
    recall: Recall = afresh,
    tell: Callable[[str], None] = lambda _: None,
) -> Replayed:
    """`builtin` looks at published forecasts where there are some, else at the zone's own history.

    `tell` hears what will take long, before it begins.
    """
    if model not in MODELS:
        raise UnknownName(f"no forecast model named {model}", field="--model", hint=nearest(model, MODELS))
    if not 1 <= horizon_h <= 168:
        raise InvalidInput("a horizon out of reach", field="--horizon", found=f"{horizon_h} h", allowed="1h to 168h")
    series = hourly.read(series_file, zone)
    start, end = _window(series, start_s, end_s)
    every = every_h or (DAY if source_file else 6)
    if source_file and start_s is None:
        start = -(-(start + series.hour0) // DAY) * DAY - series.hour0
    found = backtest(
        zone,
        series.values[:end],
        series.hour0,
        start=start,
        end=end,
        horizon_h=horizon_h,
        every=every,
        fit=_fit(model, series_file, series, source_file, recall, tell),
    )
    notes = [*series.flags, *_notes(found, start, max(horizon_h, kept.REACH_H), model)]
    if series.published and model == "builtin" and source_file is None:
        notes.append(f"not looked at: day-ahead forecasts of the same file; --source-forecasts {series_file} does")
    first_s = series.hour0 * S_PER_HOUR
    return Replayed(found, tuple(notes), first_s + start * S_PER_HOUR, first_s + end * S_PER_HOUR, every)


def _notes(found: Score, start: int, reach_h: int, model: str) -> list[str]:
    notes = []
    if model not in {"mean", "week", "yesterday"} and not ridge.enough(start, reach_h):
        notes.append(f"{start // DAY} days before the window are too few to learn from: at first yesterday repeats")
    if found.kept_share is None:
        notes.append("no kept share: the window is too short for plans, or even foresight saves nothing in it")
    return notes


def _window(series: hourly.Hourly, start_s: int | None, end_s: int | None) -> tuple[int, int]:
    whole = len(series.values)
    end = whole if end_s is None else end_s // S_PER_HOUR - series.hour0
    start = whole * 3 // 4 if start_s is None else start_s // S_PER_HOUR - series.hour0
    if not 0 <= start < end <= whole:
        raise InvalidInput(
            "a window outside the series",
            field="--from, --to",
            found=_span(series.hour0 + start, series.hour0 + end),
            allowed=f"within {_span(series.hour0, series.hour0 + whole)}",
        )
    return start, end


def _span(first: int, last: int) -> str:
    """Of hours of the epoch."""
    return " to ".join(f"{from_epoch(hour * S_PER_HOUR):%Y-%m-%dT%H:%MZ}" for hour in (first, last))


def _fit(
    model: str,
    series_file: Path,
    series: hourly.Hourly,
    source_file: Path | None,
    recall: Recall,
    tell: Callable[[str], None],
) -> Fit:
    if model in PLAIN:
        return PLAIN[model]
    if model == "across":
        return _across(series_file, series, recall, tell)
    if model == "own" or source_file is None:
        return partial(fit_own, recall=recall)
    files = [source_file] if source_file == series_file else [source_file, series_file]
    published = hourly.read_published(files, series)
    return partial(sources.fit, published=published, recall=recall)


def _across(series_file: Path, series: hourly.Hourly, recall: Recall, tell: Callable[[str], None]) -> Fit:
    """Taught by every column of the file that covers the same hours."""
    beside, left_out = hourly.read_beside(series_file, series)
    if left_out:
        tell(f"left out, since not there over the same hours or not readable: {', '.join(left_out)}")
    together = [series, *beside]
    tell(f"learning from {len(together)} zones: seconds for a few, minutes for sixty; kept for the next time")
    names, values = [one.zone for one in together], [one.values for one in together]
    return across.fit_of(names, values, series.hour0, series.zone, recall)
