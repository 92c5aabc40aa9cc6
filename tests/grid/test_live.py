"""Forecasts outside backtests: published ones corrected by their record, ours from what drives the power, merged."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.config import GridSettings
from heliotrope.errors import ConfigError, HelioError, ProviderError, SignalGap, SignalMismatch
from heliotrope.grid import Grid
from heliotrope.grid.correct import corrected
from heliotrope.grid.expect import expect, prolong
from heliotrope.grid.merge import merge
from heliotrope.grid.twin.faults import NAMES, Fault
from heliotrope.grid.wire.archive import Issue
from heliotrope.model import CARBON, CARBON_FREE, CARBON_PRICE, PRICE, Quality, QualityKind, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, hour_floor
from twins import CASES, FORECASTERS, KEY, door, options_of, yesterday

NOW = 1_760_000_400
START = hour_floor(NOW)
DIRECT_USED = SignalKind.parse("carbon/average/direct/consumption")


def series(values, start=START, *, source="them", kind=CARBON, flags=()):
    values = np.asarray(values, dtype=float)
    quality = Quality(QualityKind.FORECAST, source, "theirs", NOW, None, tuple(flags))
    return Signal(kind, "DE", start, S_PER_HOUR, values, values, values, quality)


def record(bias, noise, days=20, seed=1):
    """Hourly issues of a service that is `bias` off for days on end, and what then came."""
    rng = np.random.default_rng(seed)
    hours = days * 24 + 48
    truth = 300 + 80 * np.sin(np.arange(hours) * 2 * np.pi / 24) + rng.normal(0, 5, hours)
    first = START - days * 24 * S_PER_HOUR
    issues = []
    for i in range(days * 24):
        said = truth[i : i + 48] - bias[i] + rng.normal(0, noise, 48)
        issues.append(Issue(first + i * S_PER_HOUR, first + i * S_PER_HOUR, tuple(said)))
    actual = {first + i * S_PER_HOUR: truth[i] for i in range(hours)}
    return issues, actual, truth[days * 24 :]


def test_a_service_that_errs_one_way_for_days_is_corrected_and_its_interval_holds():
    days = 20
    bias = 40 * np.sin(np.arange(days * 24 + 48) / 90)
    issues, actual, truth = record(bias, noise=4.0, days=days)
    published = series(truth - bias[days * 24 - 1] + 3.0)
    better = corrected(published, issues, actual, NOW)
    assert np.abs(better.values[:6] - truth[:6]).mean() < 0.6 * np.abs(published.values[:6] - truth[:6]).mean()
    assert ((better.low <= truth) & (truth <= better.high)).mean() > 0.8
    assert "480 earlier forecasts" in " ".join(better.quality.flags)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_nothing_that_came_after_the_issue_changes_the_correction(seed):
    issues, actual, truth = record(np.full(600, 20.0), noise=9.0, days=12)
    rng = np.random.default_rng(seed)
    torn = {at: value if at + S_PER_HOUR <= NOW else float(rng.uniform(0, 900)) for at, value in actual.items()}
    one, other = (corrected(series(truth), issues, known, NOW) for known in (actual, torn))
    for name in ("values", "low", "high"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_a_service_without_a_record_gets_a_wide_interval_that_says_why():
    _, actual, truth = record(np.zeros(600), noise=0.0, days=12)
    blind = corrected(series(truth), [], {}, NOW)
    assert "±50 %, assumed" in blind.quality.flags[-1] or "±50%, assumed" in blind.quality.flags[-1]
    assert (blind.high - blind.low >= 0.9 * truth).all()
    with_history = corrected(series(truth), [], actual, NOW)
    assert "as wide as days differ" in with_history.quality.flags[-1]
    assert np.array_equal(with_history.values, truth)


# Merging -------------------------------------------------------------------------------------------------------


def test_each_hour_is_of_the_first_that_knows_it_and_the_flags_say_whose():
    first = series([1, 2], source="a", flags=("from a",))
    second = series([9, 9, 3, 4], source="b", flags=("from b",))
    merged = merge([first, second], START, START + 4 * S_PER_HOUR, zone="DE")
    assert merged.values.tolist() == [1, 2, 3, 4]
    assert {"2 h from a", "2 h from b", "from a", "from b"} <= set(merged.quality.flags)
    assert merged.quality.source == "a + b"


def test_holes_of_two_hours_are_filled_and_flagged_longer_ones_refused():
    parts = [series([1.0]), series([4.0], START + 3 * S_PER_HOUR)]
    merged = merge(parts, START, START + 4 * S_PER_HOUR, zone="DE")
    assert merged.values.tolist() == [1, 2, 3, 4]
    assert "2 h filled from their neighbours" in merged.quality.flags
    parts[1] = series([4.0], START + 4 * S_PER_HOUR)
    with pytest.raises(SignalGap, match="3 h without values"):
        merge(parts, START, START + 5 * S_PER_HOUR, zone="DE")


def test_a_gap_of_one_provider_is_filled_by_the_next_of_the_same_kind(served, twin, tmp_path):
    start, end = yesterday()
    rows = "\n".join(f"{np.datetime64(at, 's')}Z,{100 + i}" for i, at in enumerate(range(start, end, S_PER_HOUR)))
    (tmp_path / "own.csv").write_text(f"time,GB\n{rows}\n")
    options = {"neso": options_of(served, "neso"), "file": {"kind": "carbon/average/direct/consumption"}}
    grid = Grid(GridSettings(providers=("neso", "file"), files=(str(tmp_path / "own.csv"),), options=options))
    whole = grid.history("GB", start, end, kind=DIRECT_USED)
    twin.faults.append(Fault("gap"))
    grid = Grid(grid.settings)
    merged = grid.history("GB", start, end, kind=DIRECT_USED)
    same = merged.values == whole.values
    assert 40 <= same.sum() < 48
    assert np.allclose(merged.values[~same], 100 + np.flatnonzero(~same))
    assert any("h from file own.csv" in flag for flag in merged.quality.flags)


@pytest.mark.parametrize(("theirs", "ours"), [(200.0, 400.0), (400.0, 100.0), (-20.0, 60.0)])
def test_ours_takes_over_without_a_jump_and_comes_back_to_itself(theirs, ours):
    """A published forecast ends where another is twice as high: the seam fades; prices below zero too."""
    long = prolong(series(np.full(48, theirs), kind=PRICE), series(np.full(168, ours), kind=PRICE))
    assert np.array_equal(long.values[:48], np.full(48, theirs))
    assert abs(long.values[48] - theirs) < 0.12 * abs(ours - theirs)
    assert (np.sign(np.diff(long.values[47:])) == np.sign(ours - theirs)).all()
    assert long.values[-1] == pytest.approx(ours, rel=0.01)


# Against the twin ------------------------------------------------------------------------------------------------


def forecast(served, name, hours, home=None, *, kind=None, also=()):
    zone, own_kind, _ = CASES[name]
    now = int(time.time())
    start = hour_floor(now)
    asked = SignalKind.parse(kind or own_kind)
    end = start + hours * S_PER_HOUR
    return door(served, name, home, also=also).forecast(zone, start, end, issued_at_s=now, kind=asked)


def test_a_forecast_that_ends_early_is_carried_on_by_ours(served, twin):
    signal = forecast(served, "neso", 96)
    assert len(signal.values) == 96
    assert any(flag.startswith("after 48 h: heliotrope forecast") for flag in signal.quality.flags)
    assert (signal.low <= signal.values).all()
    assert (signal.high > signal.low).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "also", "columns"),
    [
        ("entsoe", (), "wind_production_forecast, solar_production_forecast, forecast_load, rest_production_forecast"),
        ("eia", ("openmeteo",), "forecast_load, forecast_wind_speed, forecast_solar, forecast_temperature"),
    ],
)
def test_published_wind_sun_load_and_weather_feed_our_forecast(served, twin, name, also, columns):
    signal = forecast(served, name, 24, also=also)
    assert f"with published forecasts: {columns}" in signal.quality.flags
    assert signal.quality.source.startswith("heliotrope forecast from")
    assert (signal.low <= signal.values).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "said"), [(1, "assumed"), (5, "assumed"), (9, "as wide as days differ"), (22, "differ")]
)
def test_a_short_history_repeats_its_last_day_and_says_how_little_it_rests_on(days, said):
    """Falling back, flagged: as wide as days differ where nine of them are known, else assumed."""
    rng = np.random.default_rng(days)
    past = series(300 + rng.normal(0, 40, days * 24), START - days * S_PER_DAY)
    ours = expect(past, START, START + 168 * S_PER_HOUR, START)
    assert np.array_equal(ours.values, np.tile(past.values[-24:], 7))
    assert (ours.low < ours.values).all()
    assert (ours.values < ours.high).all()
    assert f"short history ({days}.0 days)" in ours.quality.flags[0]
    assert ours.quality.flags[0].endswith(said)
    with pytest.raises(SignalGap, match="23 h of history are too few"):
        expect(series(past.values[-23:], START - 23 * S_PER_HOUR), START, START + S_PER_DAY, START)


@pytest.mark.slow
def test_a_driver_that_fails_is_done_without_and_named(served, twin):
    twin.faults.append(Fault("down", api="openmeteo"))
    signal = forecast(served, "eia", 24, also=("openmeteo",))
    assert any("without openmeteo's forecasts" in flag for flag in signal.quality.flags)
    assert len(signal.values) == 24


def test_every_issue_is_kept_to_learn_from(served, twin, tmp_path):
    grid = door(served, "neso", tmp_path)
    now = int(time.time())
    grid.forecast("GB", hour_floor(now), hour_floor(now) + S_PER_DAY, issued_at_s=now, kind=DIRECT_USED)
    kept = grid.providers[0].issues(grid.zone("GB"), DIRECT_USED, now + 1)
    assert len(kept) == 1
    assert len(kept[0].values) >= 47


@pytest.mark.slow
@pytest.mark.parametrize("fault", [name for name in NAMES if name != "slow"])
@pytest.mark.parametrize("name", FORECASTERS)
def test_no_fault_in_a_forecast_crashes_passes_in_silence_or_storms(served, twin, name, fault):
    truth = forecast(served, name, 12)
    twin.calls.clear()
    twin.faults.append(Fault(fault))
    found = raised = None
    try:
        found = forecast(served, name, 12)
    except HelioError as error:
        raised = error
    assert len(twin.calls) <= 20
    if raised is not None:
        assert isinstance(raised, ProviderError | SignalGap)
        assert KEY not in str(raised)
        return
    assert np.isfinite(found.values).all()
    told = {*found.quality.flags, found.quality.source} - {*truth.quality.flags, truth.quality.source}
    if fault not in {"revised", "dst", "spring"}:
        assert told or np.allclose(found.values, truth.values, atol=0.6)


def test_a_forecast_made_long_ago_says_so(served, twin):
    twin.faults.append(Fault("old"))
    signal = forecast(served, "watttime", 12)
    assert any(flag.startswith("stale: issued 30.") for flag in signal.quality.flags)


def test_day_ahead_prices_are_settled_and_not_corrected(served, twin):
    price = forecast(served, "energycharts", 12, kind="price")
    assert np.array_equal(price.low, price.high)
    assert len(twin.calls) == 1


# Other kinds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("entsoe", "carbon_free"),
        ("eia", "carbon_free"),
        ("energycharts", "carbon_free"),
        ("electricitymaps", "carbon_free/consumption"),
        ("neso", "carbon_free/consumption"),
    ],
)
def test_the_carbon_free_share_of_each_hour_is_that_of_the_mix(served, twin, name, kind):
    zone = CASES[name][0]
    share = door(served, name).history(zone, *yesterday(), kind=SignalKind.parse(kind))
    truth = [twin.world.mix(zone, share.start_s + i * S_PER_HOUR)["wind"] for i in range(48)]
    assert np.allclose(share.values, truth, atol=0.002)
    assert share.kind.unit == "fraction"


def test_entsoe_answers_for_the_zone_that_was_asked(served, twin):
    """France is cleaner than Poland, whatever the twin is asked first."""
    kind = SignalKind.parse("carbon/average/lifecycle/production")
    france, poland = (door(served, "entsoe").history(zone, *yesterday(), kind=kind) for zone in ("FR", "PL"))
    assert france.values.max() < poland.values.min()


def test_a_contracts_price_and_a_carbon_price_can_be_stated():
    options = {"constant": {"price": {"DE": 95.0}, "carbon_price": 71.5}}
    grid = Grid(GridSettings(providers=("constant", "model"), options=options))
    assert set(grid.history("DE", START, START + S_PER_DAY, kind=PRICE).values) == {95.0}
    assert set(grid.forecast("FR", START, START + S_PER_DAY, issued_at_s=NOW, kind=CARBON_PRICE).values) == {71.5}
    assert grid.history("FR", START, START + S_PER_DAY, kind=PRICE).quality.flags[0].startswith("assumed")
    assert (grid.history("FR", START, START + S_PER_DAY, kind=CARBON_FREE).values > 0.5).all()
    with pytest.raises(SignalMismatch) as error:
        Grid(GridSettings()).history("FR", START, START + S_PER_DAY, kind=CARBON_PRICE)
    assert "[grid.options.constant] carbon_price" in error.value.hint


@pytest.mark.parametrize("stated", [{}, {"prise": 3}, {"price": "dear"}, {"price": True}, {"carbon_price": -3.0}])
def test_what_cannot_be_stated_is_refused(stated):
    with pytest.raises(ConfigError):
        Grid(GridSettings(providers=("constant",), options={"constant": stated})).providers  # noqa: B018
