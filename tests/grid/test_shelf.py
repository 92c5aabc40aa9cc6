"""Fits on a shelf: the same bit for bit as made anew, built from nothing foreign, and never more than there is room for."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from heliotrope.grid.forecast.inputs.features import scale
from heliotrope.grid.forecast.models import across, boost, ridge, sources
from heliotrope.grid.forecast.recall import afresh
from heliotrope.grid.shelf import Shelf

HOUR0, KNOWN, HOURS = 455_832, 100 * 24, 110 * 24
REACH = np.arange(0, 30, 5)


def made_up(seed=0):
    random, at = np.random.default_rng(seed), np.arange(HOURS)
    lingers = np.convolve(random.normal(0, 0.05, HOURS), 0.97 ** np.arange(200))[:HOURS]
    return 300 * np.exp(0.25 * np.cos(2 * np.pi * (at - 19) / 24) + lingers)


def forecast(model, values, recall):
    series, issues = scale(values, HOUR0, KNOWN), np.arange(KNOWN, KNOWN + 9 * 24, 7)
    if model == "own":
        return ridge.recalled(recall, series, KNOWN, REACH).predict(series, issues, REACH)
    if model == "across":
        fit = across.fit_of(["A", "B"], [values, made_up(5)], HOUR0, "A", recall)
        return fit(series, KNOWN, REACH).predict(series, issues, REACH)
    gas = made_up() * np.exp(np.random.default_rng(3).normal(0, 0.1, HOURS))
    columns = np.column_stack([gas, 800 - gas])
    published = sources.Published(columns, ("gas_production_forecast", "wind_production_forecast"))
    return sources.fit(series, KNOWN, REACH, published, recall).predict(series, issues, REACH)


@pytest.mark.parametrize("model", ["own", "sources", "across"])
def test_a_fit_from_the_shelf_forecasts_bit_for_bit_what_a_new_one_would(tmp_path, model):
    if model == "across" and not boost.available():
        pytest.skip("lightgbm (extra `forecast`) is not installed")
    values = made_up()
    plain = forecast(model, values, afresh)
    assert np.array_equal(forecast(model, values, Shelf(tmp_path).recall), plain)
    laid = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert laid

    def never(make, kind, /, *made_of):
        return Shelf(tmp_path).recall(lambda: pytest.fail(f"{kind} was made again"), kind, *made_of)

    assert np.array_equal(forecast(model, values, never), plain)


def test_a_torn_up_future_finds_the_same_fit_and_another_past_another(tmp_path):
    values, torn, other = made_up(), made_up(), made_up()
    torn[KNOWN:] = 7.0
    other[KNOWN - 1] *= 1.001
    found = []
    for series in (values, torn, other):
        ridge.recalled(Shelf(tmp_path).recall, scale(series, HOUR0, KNOWN), KNOWN, REACH)
        found.append(len(list(tmp_path.iterdir())))
    assert found == [1, 1, 2]


class Foreign:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_nothing_foreign_is_built_and_what_is_broken_is_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "fits"
    assert Shelf(folder).recall(lambda: np.arange(3.0), "k", 1).sum() == 3
    (path,) = folder.iterdir()
    for content in (pickle.dumps(Foreign()), path.read_bytes()[:-9], b""):
        path.write_bytes(content)
        assert Shelf(folder).recall(lambda: np.arange(4.0), "k", 1).sum() == 6
    assert not (tmp_path / "pwned").exists()


def test_the_shelf_holds_no_more_than_it_may_and_drops_what_was_not_used_for_longest(tmp_path):
    shelf = Shelf(tmp_path, most_bytes=3 * 9000)
    for i in range(3):
        shelf.recall(lambda: np.zeros(1000), "k", i)
        os.utime(max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns), (i, i))
    used = Shelf(tmp_path, most_bytes=3 * 9000)
    used.recall(lambda: pytest.fail("was on the shelf"), "k", 0)
    used.recall(lambda: np.zeros(1000), "k", 3)
    made = []
    for i in (0, 2, 3, 1):
        Shelf(tmp_path).recall(lambda i=i: made.append(i) or np.zeros(1), "k", i)
    assert made == [1]


def test_a_home_that_cannot_be_written_to_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    assert Shelf(tmp_path / "file" / "fits").recall(lambda: 5, "k") == 5
