"""Laws of forecasts: nothing leaks from the future, intervals hold what they promise, plans on them keep savings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.grid import replay
from heliotrope.grid.files import hourly
from heliotrope.grid.forecast.inputs import drivers, free_days
from heliotrope.grid.forecast.inputs.features import REACH, scale
from heliotrope.grid.forecast.judging import interval, kept
from heliotrope.grid.forecast.judging.backtest import backtest, kept_share, roll
from heliotrope.grid.forecast.models import across, boost, ridge, sources
from heliotrope.grid.forecast.models.fit import fit_analogues, fit_mean, fit_own, fit_week, fit_yesterday, for_plans
from heliotrope.grid.forecast.models.seasonal import YESTERDAY
from heliotrope.grid.shelf import Shelf
from heliotrope.units import from_epoch

HOURS = 200 * 24
START = 150 * 24
HOUR0 = 455_832  # 2022-01-01T00:00Z


def weather(hours=HOURS, seed=0, level=300.0):
    """A grid made up of a day, a week, and weather that lingers."""
    random = np.random.default_rng(seed)
    at = np.arange(hours)
    wind = np.zeros(hours)
    for i in range(1, hours):
        wind[i] = 0.97 * wind[i - 1] + random.normal(0, 0.06)
    day = 0.25 * np.cos(2 * np.pi * (at - 19) / 24) * (1 + 0.3 * np.sin(at / 500))
    week = -0.08 * ((at // 24 + 5) % 7 >= 5)
    return level * np.exp(day + week + wind + random.normal(0, 0.02, hours))


def scrambled(values, known, seed=9):
    future = np.random.default_rng(seed).permutation(values[known:]) * 3 + 17
    return np.concatenate([values[:known], future])


def fit_across(values):
    return across.fit_of(["A", "B"], [values, weather(seed=5)], HOUR0, "A")


def published_for(values, seed=3):
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.1, len(values)))
    gas = values * noise
    return sources.Published(np.column_stack([gas, 800 - gas]), ("gas_production_forecast", "wind_production_forecast"))


def fit_sources(values, published=None):
    found = published or published_for(values)
    return lambda series, known, horizons: sources.fit(series, known, horizons, found)


@pytest.mark.slow
@pytest.mark.parametrize("issue", [START + 7, START + 24 * 9 + 13])
@pytest.mark.parametrize("model", ["own", "across", "sources", "analogues", "mean", "week", "yesterday"])
def test_scrambling_the_future_changes_no_forecast(model, issue):
    """The future of the series, and published forecasts of days not yet begun, are torn up at the issue hour."""
    if model == "across" and not boost.available():
        pytest.skip("lightgbm (extra `forecast`) is not installed")
    horizons = np.arange(0, 30, 5 if model == "across" else 1)

    def forecast(values, published):
        fit = {
            "own": lambda: fit_own,
            "analogues": lambda: fit_analogues,
            "mean": lambda: fit_mean,
            "week": lambda: fit_week,
            "yesterday": lambda: fit_yesterday,
            "across": lambda: fit_across(values),
            "sources": lambda: fit_sources(values, published),
        }[model]()
        series = scale(values, HOUR0, START)
        known = START if issue < START + 168 else START + 168
        return for_plans(fit(series, known, horizons), series, np.array([issue]), horizons)

    values = weather()
    torn = scrambled(values, issue)
    published = published_for(values)
    next_midnight = issue + 24 - (issue + HOUR0) % 24
    columns = published.columns.copy()
    columns[next_midnight:] = 1e6
    there = forecast(torn, sources.Published(columns, published.names))
    assert np.array_equal(forecast(values, published), there)


@pytest.mark.slow
def test_learning_again_as_weeks_go_by_sees_no_more_than_had_come():
    """A model older than a week is refitted inside its own prediction: that too looks at nothing after the issue."""
    values, issue = weather(), START + 17 * 24 + 5
    horizons = np.arange(30)

    def forecast(values, published):
        series = scale(values, HOUR0, START)
        model = sources.fit(series, START, horizons, published)
        return model.predict(series, np.array([START + 3, issue]), horizons)

    published = published_for(values)
    columns = published.columns.copy()
    columns[issue + 24 - (issue + HOUR0) % 24 :] = np.nan
    torn = forecast(scrambled(values, issue), sources.Published(columns, published.names))
    assert np.array_equal(forecast(values, published), torn)


def test_a_column_that_begins_late_hides_no_history():
    values = weather()
    published = published_for(values)
    late = np.where(np.arange(HOURS) < START - 10 * 24, np.nan, values)
    with_late = sources.Published(
        np.column_stack([late, published.columns]), ("carbon_from_src_forecasts", *published.names)
    )
    found = drivers.of(with_late.columns, with_late.names, START)
    assert found.first == 0
    assert found.sources == 2
    assert np.isfinite(found.told[:HOURS]).sum() == HOURS - START + 10 * 24


def test_an_hour_that_a_file_misplaces_is_found_and_one_in_its_place_is_left_there():
    """Some files call the last hour of a day 00:00 of the day it ended."""
    truth = weather()
    published = published_for(truth)
    series = scale(truth, HOUR0, START)
    found = drivers.of(published.columns, published.names, START)
    assert drivers.fit_mix(series, found, START).place.tolist() == list(range(24))
    moved = truth.copy()
    moved[:-24:24] = truth[23:-1:24]
    late = drivers.fit_mix(scale(moved, HOUR0, START), found, START)
    assert late.place.tolist() == [23, *range(1, 24)]
    midnight = START + 24 * np.arange(9)
    guess = late.guess(series, found)
    assert np.array_equal(guess[midnight], guess[midnight + 23])


def test_a_day_that_was_not_published_is_forecast_from_history():
    values = weather()
    published = published_for(values)
    columns = published.columns.copy()
    columns[START + 30 : START + 33] = np.nan
    series, horizons = scale(values, HOUR0, START), np.arange(24)
    model = sources.fit(series, START, horizons, sources.Published(columns, published.names))
    issue = np.array([START + 24 + 4])
    assert np.array_equal(model.predict(series, issue, horizons), model.own.predict(series, issue, horizons))


@pytest.mark.parametrize("every", [3, 6])
def test_scrambling_the_future_changes_no_rolled_forecast_and_no_interval(every):
    values = weather()
    cut = START + 20 * 24
    horizons = np.arange(24)
    one = roll(values, HOUR0, START, HOURS, horizons, every=every, fit=fit_own)
    two = roll(scrambled(values, cut), HOUR0, START, HOURS, horizons, every=every, fit=fit_own)
    before = one.issues <= cut
    assert before.sum() > 50
    for field in ("forecast", "low", "high"):
        assert np.array_equal(getattr(one, field)[before], getattr(two, field)[before])
        assert not np.array_equal(getattr(one, field)[~before], getattr(two, field)[~before])


def test_it_beats_yesterday_and_its_intervals_cover():
    scores = [
        backtest(f"z{seed}", weather(seed=seed), HOUR0, start=START, end=HOURS, horizon_h=24) for seed in range(3)
    ]
    assert sum(s.mape for s in scores) < 0.82 * sum(s.yesterday_mape for s in scores)
    assert 0.86 < np.mean([s.coverage90 for s in scores]) < 0.94
    assert all(0 < s.kept_share <= 1 for s in scores)


def test_what_happened_after_such_days_is_expected_again():
    """Every tenth day, but never on the same weekday, the wind falls at noon and stays away until the next: a weekday
    tells nothing, the morning before all.
    """
    days, at = np.arange(HOURS) // 24, np.arange(HOURS) % 24
    values = 300.0 + 20 * np.cos(2 * np.pi * at / 24)
    values[(days % 10 == 0) & (at < 12)] *= 0.8  # a windy morning
    values[((days % 10 == 0) & (at >= 12)) | ((days % 10 == 1) & (at < 12))] *= 1.5
    issues = np.arange(START, START + 30 * 24, 24)
    issues = issues[issues // 24 % 10 == 0] + 12
    series, horizons = scale(values, HOUR0, START), np.arange(24)
    forecast = series.back(fit_analogues(series, START, horizons).predict(series, issues, horizons))
    truth = values[issues[:, None] + horizons]
    plain = series.back(YESTERDAY.predict(series, issues, horizons))
    assert np.abs(forecast / truth - 1).mean() < 0.6 * np.abs(plain / truth - 1).mean()


@pytest.mark.parametrize("known", [866, 50 * 24, 60 * 24])
def test_few_past_moments_of_another_kind_of_day_will_do(known):
    """Five weeks of working days behind a day that is free: all moments are of the other kind, and all are heard."""
    free = np.zeros(free_days.DAYS, np.int8)
    free[(HOUR0 + known) // 24 :] = free_days.SUNDAY
    series, issues = scale(weather(), HOUR0, known, free), np.arange(known, known + 7 * 24)
    found = fit_analogues(series, known, np.arange(1)).predict(series, issues, np.arange(48))
    assert np.isfinite(found).all()
    assert np.abs(found - series.level(issues)[:, None]).max() < 2


def test_plain_forecasts_repeat_what_they_say():
    values = weather()
    series, issue = scale(values, HOUR0, START), np.array([START + 5])

    def forecast(fit, hour):
        return series.back(fit(series, START, np.array([hour])).predict(series, issue, np.array([hour])))[0, 0]

    assert forecast(fit_yesterday, 30) == pytest.approx(values[START + 35 - 48])
    assert forecast(fit_week, 30) == pytest.approx(values[START + 35 - 168])
    assert forecast(fit_week, 167) == pytest.approx(values[START + 4])
    days = [values[START + 35 - 48 - 24 * k] for k in range(7)]
    assert forecast(fit_mean, 30) == pytest.approx(np.exp(np.mean(np.log(days))))


def test_published_forecasts_help():
    values, horizons = weather(), np.arange(24)
    series, issues = scale(values, HOUR0, START), START + 24 * np.arange(7)
    actual = values[issues[:, None] + horizons]

    def error(fit):
        return np.abs(series.back(fit(series, START, horizons).predict(series, issues, horizons)) / actual - 1).mean()

    assert error(fit_sources(values)) < 0.8 * error(fit_own)


def test_a_history_too_short_to_learn_from_falls_back_to_yesterday():
    values = weather(hours=60 * 24)
    series = scale(values, HOUR0, 40 * 24)
    got = fit_own(series, 30 * 24, np.arange(24)).predict(series, np.array([31 * 24]), np.arange(24))
    assert np.allclose(got[0], series.x[30 * 24 : 31 * 24])


def test_series_that_touch_zero_or_go_below_are_forecast_too():
    """Prices: no logarithm, finite numbers, bounds in order."""
    prices = weather(level=60.0) - 50.0
    rolled = roll(prices, HOUR0, START, START + 10 * 24, np.arange(24), every=6, fit=fit_own)
    assert np.isfinite(rolled.forecast).all()
    assert (rolled.low <= rolled.forecast).all()
    assert (rolled.forecast <= rolled.high).all()


def test_a_constant_series_is_forecast_as_itself():
    rolled = roll(np.full(HOURS, 42.0), HOUR0, START, HOURS, np.arange(24), every=24, fit=fit_own)
    assert np.allclose(rolled.forecast, 42.0)


def test_plans_take_a_part_of_the_last_surprise_back_but_not_at_midnight():
    series, horizons = scale(weather(), HOUR0, START), np.arange(24)
    issues = START + np.arange(48)
    told, compared = (
        predict(series, issues, horizons)
        for predict in (YESTERDAY.predict, lambda *asked: for_plans(YESTERDAY, *asked))
    )
    assert np.array_equal(told[:, 1:], compared[:, 1:])
    surprise = told[1:, 0] - told[:-1, 1]
    part = (told[:, 0] - compared[:, 0])[1:]
    by_midnight = (issues[1:] + HOUR0) % 24 == 0
    assert not part[by_midnight].any()
    assert np.allclose(part[~by_midnight], 0.4 * surprise[~by_midnight], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 24))
def test_foresight_keeps_everything_and_no_plan_keeps_more(seed, noise):
    random = np.random.default_rng(seed)
    actual = random.uniform(50, 500, 300)
    padded = np.concatenate([actual, np.full(48, 1e9)])
    truth = np.lib.stride_tricks.sliding_window_view(padded, 48)[:300]
    assert kept.share(actual, truth) == pytest.approx(1.0)
    blurred = truth * np.exp(random.normal(0, noise / 10, truth.shape))
    assert kept.share(actual, blurred) <= 1.0 + 1e-9


def test_a_flat_series_has_nothing_to_keep():
    assert kept.share(np.full(200, 5.0), np.full((200, 48), 5.0)) is None
    assert kept_share(weather()[:100], HOUR0, 60, 100, fit_yesterday) is None


def test_intervals_use_only_errors_that_are_known():
    issues = np.arange(0, 2000, 6)
    error = np.random.default_rng(0).normal(0, 1, (len(issues), 24))
    torn = error.copy()
    at = np.array([1500])
    known_rows = issues[:, None] + np.arange(24) < 1500
    torn[~known_rows] = 1e6
    here = interval.bounds(issues, np.arange(24), error, np.ones(len(issues)), at)
    there = interval.bounds(issues, np.arange(24), torn, np.ones(len(issues)), at)
    assert np.array_equal(here, there)


@pytest.mark.parametrize("every", [6, 24])
def test_intervals_hold_while_errors_grow_calm_down_and_lean(every):
    """Of each of three stretches, not of the whole alone; errors linger as a grid's do."""
    random, horizons = np.random.default_rng(4), np.arange(0, 96, 6)
    issues = np.arange(0, 400 * 24, every)
    lingers = np.zeros((len(issues), len(horizons)))
    for i in range(1, len(issues)):
        lingers[i] = 0.8 * lingers[i - 1] + random.normal(0, 0.6, len(horizons))
    third = np.minimum(issues // (400 * 8), 2)
    error = lingers * np.array([1.0, 2.0, 0.5])[third][:, None] + np.array([0.0, 0.4, -0.3])[third][:, None]
    low, high = interval.bounds(issues, horizons, error, np.ones(len(issues)), issues)
    held = (low <= error) & (error <= high)
    for part in range(3):
        assert 0.88 < held[(third == part) & (issues > 40 * 24)].mean() < 0.93


def test_a_series_that_never_moves_is_held_in_spite_of_rounding(tmp_path):
    score = replay.score(
        series_file(tmp_path / "s.csv", {"XX": np.full(90 * 24, 100.0)}), "XX", model="yesterday"
    ).score
    assert score.coverage90 == 1.0


@pytest.mark.parametrize(("known", "horizon"), [(1000, 0), (1000, 23), (3000, 95)])
def test_training_targets_lie_before_what_is_known(known, horizon):
    issues = ridge.training_issues(known, horizon, 5)
    assert (issues + horizon < known).all()
    assert (issues >= REACH).all()


def series_file(path, columns):
    lines = ["time," + ",".join(columns)]
    rows = zip(*columns.values(), strict=True)
    lines += [
        f"{from_epoch((HOUR0 + i) * 3600):%Y-%m-%dT%H:%M:%SZ}," + ",".join(f"{v:.3f}" for v in row)
        for i, row in enumerate(rows)
    ]
    path.write_text("\n".join(lines))
    return path


def helio(*arguments, home):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )


def test_the_command_prints_what_was_promised(tmp_path):
    path = series_file(tmp_path / "s.csv", {"DE": weather(), "FR": weather(seed=2)})
    shown = helio("grid", "backtest", "--series", str(path), "--zone", "DE", "--json", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    score = json.loads(shown.stdout)
    assert list(score) == [
        "zone", "hours", "mape", "mae", "pinball", "coverage90", "kept_share", "yesterday_mape", "cpu_s",
    ]  # fmt: skip
    assert score["mape"] < score["yesterday_mape"]


@pytest.mark.slow
def test_the_dacf_layout_is_read_and_its_window_cut(tmp_path):
    """One grid a file in `carbon_intensity`, forecasts beside it; an end before the file's own is no trouble."""
    values = weather(hours=120 * 24)
    gas = published_for(values).columns[:, 0]
    columns = {"carbon_intensity": values, "carbon_from_src_forecasts": gas, "avg_gas_production_forecast": gas}
    path = series_file(tmp_path / "dacf.csv", columns)
    path.write_text(path.read_text().replace("time,", "UTC time,", 1).replace("T", " ").replace("Z,", ","))
    path.write_text(path.read_text().replace("U C time", "UTC time"))
    start = (HOUR0 + 70 * 24) * 3600
    alone = replay.score(path, "DE", start_s=start, end_s=start + 20 * 86400)
    assert alone.notes[-1] == f"not looked at: day-ahead forecasts of the same file; --source-forecasts {path} does"
    told = replay.score(path, "DE", start_s=start, end_s=start + 20 * 86400, source_file=path)
    assert told.notes == alone.notes[:-1]
    assert told.score.zone == "DE"
    assert told.score.hours == 20 * 24
    assert told.score.mape < min(told.score.yesterday_mape, alone.score.mape)


def test_a_window_can_be_chosen_and_yesterday_is_a_model(tmp_path):
    path = series_file(tmp_path / "s.csv", {"DE": weather()})
    score = replay.score(
        path, "DE", start_s=(HOUR0 + START) * 3600, end_s=(HOUR0 + START + 240) * 3600, model="yesterday", horizon_h=24
    ).score
    assert score.mape == score.yesterday_mape
    assert score.hours == 37 * 24


def test_what_was_made_of_a_file_is_said(tmp_path):
    path = series_file(tmp_path / "s.csv", {"DE": weather(hours=100 * 24)})
    lines = path.read_text().replace("Z,", ",").splitlines()
    del lines[50:52]
    path.write_text("\n".join(lines))
    found = replay.score(path, "DE", model="yesterday")
    assert found.notes == ("times without a zone were read as UTC", "2 h filled from their neighbours")
    short = series_file(tmp_path / "t.csv", {"DE": weather(hours=40 * 24)})
    assert replay.score(short, "DE").notes == (
        "30 days before the window are too few to learn from: at first yesterday repeats",
    )


@pytest.mark.parametrize("values", [np.zeros(100 * 24), np.tile([0.0, 50.0], 50 * 24)])
def test_a_grid_that_is_often_free_of_carbon_has_an_error_that_means_something(tmp_path, values):
    """A percentage of nothing would be endless: hours under 1 % of the mean count as that much."""
    found = replay.score(series_file(tmp_path / "s.csv", {"XX": values}), "XX")
    assert found.score.mape < 200
    assert found.score.yesterday_mape == 0


@pytest.mark.slow
def test_a_model_across_zones_takes_any_file_of_several(tmp_path):
    """Zones that never move, that are often free of carbon, that began late or cannot be read: none spoils the others."""
    if not boost.available():
        pytest.skip("lightgbm (extra `forecast`) is not installed")
    hours = 110 * 24
    columns = {
        "DE": weather(hours),
        "FR": weather(hours, seed=2),
        "FLAT": np.full(hours, 7.0),
        "CLEAN": np.maximum(weather(hours, seed=4) - 280, 0.0),
        "LATE": weather(hours, seed=5),
        "BAD": weather(hours, seed=6),
    }
    path = series_file(tmp_path / "s.csv", columns)
    header, *lines = path.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    for row in rows[: 60 * 24]:
        row[5] = ""
    rows[100][6] = "-3"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]))
    ahead, start, recall = np.array([0, 5, 23, 29, 95]), 100 * 24, Shelf().recall
    for name in ("DE", "FLAT", "CLEAN"):
        series = hourly.read(path, name)
        beside, left_out = hourly.read_beside(path, series)
        assert left_out == ["LATE", "BAD"]
        together = {one.zone: one.values for one in (series, *beside)}
        assert len(together) == 4
        fit = across.fit_of(list(together), list(together.values()), HOUR0, name, recall)
        cuts = [start - 28 * 24, start]
        rolled, own = (
            roll(series.values, HOUR0, start, hours, ahead, every=6, fit=one, cuts=cuts) for one in (fit, fit_own)
        )
        truth = series.values[rolled.issues[:, None] + ahead]
        error, peer = (np.abs(one.forecast - truth).mean() for one in (rolled, own))
        assert error <= 1.1 * peer + 0.002 * series.values.mean()  # few zones teach little, and no harm
        assert (rolled.low <= rolled.high).all()
    alone = across.fit_of(["DE"], [columns["DE"]], HOUR0, "DE")(scale(columns["DE"], HOUR0, start), start, ahead)
    found = alone.predict(scale(columns["DE"], HOUR0, start), np.array([start + 7]), ahead)
    assert np.abs(found - np.log(columns["DE"][start + 7 + ahead])).max() < 1


def test_who_learns_across_zones_hears_from_how_many_and_what_was_left_out(tmp_path):
    columns = {"DE": weather(hours=40 * 24), "FR": weather(hours=40 * 24, seed=2), "BAD": weather(hours=40 * 24)}
    columns["BAD"][100] = -3.0
    heard = []
    found = replay.score(series_file(tmp_path / "s.csv", columns), "DE", model="across", tell=heard.append)
    assert found.score.mape == found.score.yesterday_mape  # 30 days before the window are too few to learn from
    assert heard[0].endswith(": BAD")
    assert heard[1].startswith("learning from 2 zones")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "prophet"}, UnknownName),
        ({"horizon_h": 0}, InvalidInput),
        ({"horizon_h": 400}, InvalidInput),
        ({"start_s": HOUR0 * 3600 + 86400}, InvalidInput),
        ({"start_s": 0}, InvalidInput),
        ({"source_file": Path("s.csv")}, InvalidInput),
    ],
)
def test_what_cannot_be_replayed_is_refused(tmp_path, monkeypatch, options, error):
    monkeypatch.chdir(tmp_path)
    path = series_file(tmp_path / "s.csv", {"DE": weather(hours=100 * 24)})
    with pytest.raises(error):
        replay.score(path, "DE", **options)
