"""Laws of fits: what was not seen to matter does not, and few examples are of every hour."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.grid.files import hourly
from heliotrope.grid.forecast.inputs.features import scale
from heliotrope.grid.forecast.linear import fit_linear
from heliotrope.grid.forecast.models import near, sources
from heliotrope.grid.forecast.models.fit import fit_own
from heliotrope.units import from_epoch


def test_a_column_that_never_moved_in_what_was_learnt_from_says_nothing_later():
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=300), 1e-16 * random.normal(size=300)])
    model = fit_linear(X, X[:, 0] + random.normal(0, 0.1, 300), np.ones(300), is_log=True)
    moved = X + np.array([0.0, 1.0])
    assert np.allclose(model.predict(moved), model.predict(X), atol=1e-9)


@given(st.integers(0, 20_000), st.integers(1, 2000), st.integers(1, 24))
def test_thinned_examples_are_few_and_of_every_hour(count, most, period):
    """Hours of a day of which `period` are looked at, day after day."""
    kept_rows = np.arange(count)[:: near.stride(count, most, period)]
    assert len(kept_rows) <= most
    if len(kept_rows) >= period:
        assert set((kept_rows % period).tolist()) == set(range(period))


def test_published_forecasts_too_short_to_learn_from_leave_it_to_own_history():
    hours, known, horizons = 60 * 24, 25 * 24, np.arange(24)
    at = np.arange(hours)
    values = 300 * np.exp(0.2 * np.cos(2 * np.pi * at / 24) + np.random.default_rng(1).normal(0, 0.05, hours))
    series, issues = scale(values, 455_832, known), known + np.arange(5)
    published = sources.Published(values[:, None], ("gas_production_forecast",))
    told = sources.fit(series, known, horizons, published).predict(series, issues, horizons)
    assert np.array_equal(told, fit_own(series, known, horizons).predict(series, issues, horizons))
    assert np.allclose(told, series.x[(issues[:, None] + horizons) - 24 * (horizons // 24 + 1)])


def test_a_day_missing_from_the_forecasts_stays_unknown_and_a_short_hole_is_filled(tmp_path):
    hours = 40 * 24
    lines = ["UTC time,carbon_intensity,carbon_from_src_forecasts"]
    for i in range(hours):
        told = "" if 480 <= i < 504 or 100 <= i < 103 else f"{200 + i % 24}"
        lines.append(f"{from_epoch((455_832 + i) * 3600):%Y-%m-%d %H:%M:%S},{200 + i % 24},{told}")
    path = tmp_path / "dacf.csv"
    path.write_text("\n".join(lines))
    series = hourly.read(path, "XX")
    (told,) = hourly.read_published([path], series).columns.T
    assert np.flatnonzero(~np.isfinite(told)).tolist() == list(range(480, 504))
    assert told[100:103].tolist() == series.values[100:103].tolist()
