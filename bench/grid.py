"""How good the signals are: forecasts, intervals, kept share, the embedded model. `python bench/grid.py [--quick] [--json]`

Needs the shared data beside the checkout (`../shared/data/grid`); what is not there is left out aloud. Fits nothing to
its own test windows: models see only hours before each issue. Fits are kept in `.bench/fits`, so that a second run only
forecasts; the first takes about half an hour on a quiet core, most of it for the models across zones.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from heliotrope.grid import zones
from heliotrope.grid.files import hourly as series_files
from heliotrope.grid.files.hourly import Hourly
from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import DAY, scale
from heliotrope.grid.forecast.judging import kept
from heliotrope.grid.forecast.judging.backtest import REFIT_H, Rolled, backtest, hourly, roll
from heliotrope.grid.forecast.models import across, boost, sources
from heliotrope.grid.forecast.models.fit import Fit, fit_own, once_each
from heliotrope.grid.providers import model
from heliotrope.grid.shelf import Shelf
from heliotrope.model import CARBON
from heliotrope.units import S_PER_HOUR, epoch_s, parse_instant
from table import Row, run

FITS = Shelf(Path(__file__).parents[1] / ".bench/fits", most_bytes=2**30).recall
DATA = Path(__file__).parents[1] / "../shared/data/grid"
YEAR = DATA / "intensity_2022_hourly.csv"
OWN = partial(fit_own, recall=FITS)
GRIDS = ("CISO", "PJM", "DE")
# Of the surprise of an hour that is known; chosen on PJM of autumn 2020 and spring 2021 and DE's first two months.
CARRIED, FADES_H = 0.7, 24.0
OCTOBER_H = 273 * DAY
MONTH_BEFORE_DE = 31 * DAY  # German forecasts begin with the window: its first month is only learnt from


def rows(quick: bool) -> Iterator[Row]:
    if not DATA.is_dir():
        yield Row("shared grid data", None, how="../shared/data/grid is absent: nothing to measure against")
        return
    yield from _embedded()
    yield from _own(quick)
    if not quick:
        yield from _across()
    yield from _day_ahead(("DE",) if quick else GRIDS, quick)
    yield _speed(50 if quick else 200)


@cache
def _year() -> tuple[list[str], np.ndarray, int]:
    with YEAR.open(encoding="utf-8") as text:
        header, *lines = csv.reader(text)
    values = np.array([[float(cell) for cell in line[1:]] for line in lines])
    return header[1:], values, epoch_s(parse_instant(lines[0][0])) // S_PER_HOUR


def _embedded() -> Iterator[Row]:
    """The model against 60 zones of a real year it never saw (its interval's two constants were set on it)."""
    names, actual, hour0 = _year()
    held, national, shape = [], [], []
    for i, name in enumerate(names):
        signal = model.series(zones.find(name), CARBON, hour0 * S_PER_HOUR, (hour0 + len(actual)) * S_PER_HOUR)
        inside = float(((actual[:, i] >= signal.low) & (actual[:, i] <= signal.high)).mean())
        held.append(inside)
        if name in zones.all_zones():
            national.append(inside)
            profiles = [array.reshape(-1, 24).mean(axis=0) for array in (actual[:, i], signal.values)]
            if min(profile.std() for profile in profiles) > 0:
                shape.append(float(np.corrcoef(*profiles)[0, 1]))
    yield Row(
        "embedded model: 90 % interval, zones with facts", 100 * float(np.mean(national)), "%", how="hours of 2022 held"
    )
    yield Row("embedded model: 90 % interval, all 60 zones", 100 * float(np.mean(held)), "%", how="hours of 2022 held")
    yield Row(
        "embedded model: likeness of the mean day", float(np.median(shape)), "r", how="median correlation over zones"
    )


def _own(quick: bool) -> Iterator[Row]:
    names, actual, hour0 = _year()
    picked = range(0, len(names), 12 if quick else 1)
    for horizon, want in ((24, 18), (96, 20)):
        if quick and horizon == 96:
            continue
        scores = [
            backtest(names[i], actual[:, i], hour0, start=OCTOBER_H, end=len(actual), horizon_h=horizon, fit=OWN)
            for i in picked
        ]
        error, peer = np.mean([s.mape for s in scores]), np.mean([s.yesterday_mape for s in scores])
        how = f"{len(scores)} zones, Oct-Dec 2022, every 6 h; mean error {error:.2f} % against {peer:.2f} %"
        yield Row(
            f"own history, {horizon} h: below yesterday",
            100 * (1 - error / peer),
            "%",
            f">= {want}",
            "yesterday",
            0,
            how,
        )
        yield from _held(f"own history, {horizon} h", [100 * s.coverage90 for s in scores], actual[OCTOBER_H:, picked])


def _held(whose: str, cover: list[float], actual: np.ndarray) -> Iterator[Row]:
    """Coverage in % of each zone; (hour, zone) `actual`: what stands still is held without a bound's merit."""
    moving = [share for share, moves in zip(cover, np.ptp(actual, axis=0) > 0, strict=True) if moves]
    yield Row(f"{whose}: 90 % intervals", float(np.mean(moving)), "%", "88..92", how="mean over zones that move")
    yield Row(f"{whose}: least covered zone", min(moving), "%", ">= 85", how="of the same zones")
    yield Row(f"{whose}: most covered zone", max(moving), "%", "<= 95", how="of the same zones")


def _across() -> Iterator[Row]:
    if not boost.available():
        yield Row("across zones", None, how="lightgbm (extra `forecast`) is absent")
        return
    names, actual, hour0 = _year()
    days = [free_days.of(name) for name in names]
    together = across.Zones(names, [scale(actual[:, i], hour0, OCTOBER_H, days[i]) for i in range(len(names))], FITS)
    cuts = range(OCTOBER_H - 56 * DAY, len(actual), REFIT_H)
    for horizon, want in ((24, 27), (96, 20)):
        error, peer, cover = [], [], []
        for i, name in enumerate(names):
            rolled = roll(
                actual[:, i], hour0, OCTOBER_H, len(actual), np.arange(horizon), every=6, cuts=cuts, days=days[i],
                fit=lambda _, known, horizons, name=name: together.predictor(name, known, horizons),
            )  # fmt: skip
            hours = rolled.issues[:, None] + rolled.horizons
            truth, plain = actual[hours, i], actual[hours - DAY * (rolled.horizons // DAY + 1), i]
            error.append(100 * float(np.abs(rolled.forecast / truth - 1).mean()))
            peer.append(100 * float(np.abs(plain / truth - 1).mean()))
            cover.append(100 * float(((rolled.low <= truth) & (truth <= rolled.high)).mean()))
        below = 100 * (1 - np.mean(error) / np.mean(peer))
        how = f"{len(names)} zones, Oct-Dec 2022; mean error {np.mean(error):.2f} %"
        yield Row(f"across zones, {horizon} h: below yesterday", float(below), "%", f">= {want}", "yesterday", 0, how)
        yield from _held(f"across zones, {horizon} h", cover, actual[OCTOBER_H:])
    yield _speed_across(together)


def _speed_across(together: across.Zones) -> Row:
    """From fitted models, at an hour that no other row asked for."""
    horizons, issue = np.arange(96), np.array([OCTOBER_H + 5])
    fitted = [together.predictor(name, OCTOBER_H, horizons) for name in together.names]
    began = time.process_time()
    for series, each in zip(together.series, fitted, strict=True):
        series.back(each.predict(series, issue, horizons))
    seconds = (time.process_time() - began) * 200 / len(fitted)
    return Row("across zones, 96 h forecast for 200 zones", seconds, "CPU s", "<= 5", how="from fitted models")


def _grid(name: str) -> tuple[Hourly, sources.Published, np.ndarray, int]:
    """Series, published forecasts beside it, DACF's own day-ahead forecast, and where its window begins."""
    window = DATA / f"dacf_{name}_carbon_from_src_prod_forecasts_direct.csv"
    long = DATA / f"dacf_{name}_direct_emissions.csv"
    series = series_files.read(long if long.is_file() else window, name)
    published = series_files.read_published([window, *([long] if long.is_file() else [])], series)
    dacf = series_files.read(window, series_files.PUBLISHED_CARBON)
    return series, published, dacf.values, dacf.hour0 - series.hour0


def _day_ahead(grids: tuple[str, ...], quick: bool) -> Iterator[Row]:
    ours, theirs, strict, known = [], [], [], []
    for name in grids:
        if not (DATA / f"dacf_{name}_carbon_from_src_prod_forecasts_direct.csv").is_file():
            continue
        series, published, dacf, begin = _grid(name)
        start = begin or MONTH_BEFORE_DE
        end = begin + len(dacf)
        if quick:
            start = end - 28 * DAY
        fit = once_each(partial(sources.fit, published=published, recall=FITS), DAY if quick else kept.REACH_H)
        days = free_days.of(name)
        cuts = (start - REFIT_H, start) if quick else ()  # four weeks of errors for the intervals will do
        rolled = roll(series.values, series.hour0, start, end, np.arange(24), every=24, fit=fit, cuts=cuts, days=days)
        hours = rolled.issues[:, None] + rolled.horizons
        truth = series.values[hours]
        mine = 100 * float(np.abs(rolled.forecast / truth - 1).mean())
        peer = 100 * float(np.abs(dacf[hours - begin] / truth - 1).mean())
        ours.append(mine)
        theirs.append(peer)
        how = f"error of 00 UTC day-ahead forecasts, {len(rolled.issues)} days; {_covered(rolled, truth)}"
        yield Row(f"day-ahead {name}", mine, "%", "", "DACF", peer, how)
        if not quick:
            saved, running = _saved(series, start, end, fit, days)
            plain, _ = _saved(series, start, end, OWN, days)
            strict.append(saved)
            known.append(running)
            yield Row(
                f"kept share {name}", _share([saved]), "%", "", "own history", _share([plain]),
                f"slack 24 h, 4, 8 and 24 h jobs, planned anew each hour; the hour that runs is forecast too "
                f"({_share([running]):.1f} where it is known)",
            )  # fmt: skip
    below = 100 * (1 - np.mean(ours) / np.mean(theirs))
    there = [name for name in grids if (DATA / f"dacf_{name}_carbon_from_src_prod_forecasts_direct.csv").is_file()]
    how = f"mean over {', '.join(there)}{', last 28 days' if quick else ''}; other grids of the six are not here"
    yield Row("day-ahead: below DACF", float(below), "%", ">= 22", "DACF", 0, how)
    if strict:
        how = f"over {', '.join(there)}; no leak"
        yield Row(
            "kept share, saving-weighted", _share(strict), "%", ">= 90", how=f"{how}, not even of the hour that runs"
        )
        yield Row(
            "kept share, the hour that runs known", _share(known), "%", ">= 90", how=f"{how}; as the target was set"
        )


def _saved(
    series: Hourly, start: int, end: int, fit: Fit, days: free_days.DayKinds
) -> tuple[tuple[float, float], tuple[float, float]]:
    """(kept, possible) saving: with the hour that is about to run forecast too, and with its intensity known."""
    actual = series.values[start:end]
    forecasts = hourly(series.values, series.hour0, start, end, kept.REACH_H, fit, days)
    # What surprises in the hour that runs is carried on to the hours after it.
    carried = np.where(np.arange(kept.REACH_H) == 0, 1.0, CARRIED * np.exp(-np.arange(kept.REACH_H) / FADES_H))
    running = forecasts * (actual / forecasts[:, 0])[:, None] ** carried
    return kept.savings(actual, forecasts), kept.savings(actual, running)


def _share(savings: list[tuple[float, float]]) -> float:
    return 100 * sum(saved for saved, _ in savings) / sum(possible for _, possible in savings)


def _covered(rolled: Rolled, truth: np.ndarray) -> str:
    return f"90 % intervals held {100 * ((rolled.low <= truth) & (truth <= rolled.high)).mean():.1f} %"


def _speed(count: int) -> Row:
    """96 h for many zones from fitted models; the fits themselves are made once in four weeks and said beside it."""
    names, actual, hour0 = _year()
    horizons = np.arange(96)
    series = scale(actual[:, 0], hour0, OCTOBER_H)
    began = time.process_time()
    fitted = fit_own(series, OCTOBER_H, horizons)
    fit_s = time.process_time() - began
    began = time.process_time()
    for i in range(count):
        one = scale(actual[:, i % len(names)], hour0, OCTOBER_H)
        one.back(fitted.predict(one, np.array([OCTOBER_H]), horizons))
    seconds = (time.process_time() - began) * 200 / count
    return Row(
        "96 h forecast for 200 zones", seconds, "CPU s", "<= 5", how=f"fitted; a fit takes {fit_s:.2f} CPU s a zone"
    )


if __name__ == "__main__":
    run("Heliotrope and the grid: how good the signals are", rows)
