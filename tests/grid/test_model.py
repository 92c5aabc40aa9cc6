"""Laws of the embedded model: faithful to the year, deterministic, shaped by the sun, honest about its width."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.grid import zones
from heliotrope.grid.providers import model
from heliotrope.model import CARBON, QualityKind, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, epoch_s, parse_instant

NAMES = sorted(zones.all_zones())
YEAR = {year: epoch_s(parse_instant(f"{year}-01-01T00:00Z")) for year in range(2019, 2032)}
SHARED = Path(__file__).parents[3] / "shared/data/grid/intensity_2022_hourly.csv"


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_over_a_year_is_the_yearly_intensity(name):
    signal = model.series(zones.find(name), CARBON, YEAR[2026], YEAR[2027])
    assert len(signal.values) == 8760
    assert signal.values.mean() == pytest.approx(zones.find(name).intensity.value)
    assert (signal.values > 0).all()
    assert (signal.low <= signal.values).all()
    assert (signal.values <= signal.high).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), st.integers(YEAR[2019], YEAR[2030]), st.integers(1, 400), st.integers(0, 400))
def test_an_hour_has_one_value_whatever_window_it_is_seen_in(name, start, hours, shift):
    zone = zones.find(name)
    end = start + hours * S_PER_HOUR
    one = model.series(zone, CARBON, start, end)
    assert one.start_s <= start
    assert one.end_s >= end
    assert one.end_s - one.start_s <= end - start + 2 * S_PER_HOUR
    other = model.series(zone, CARBON, start - shift * S_PER_HOUR, end)
    assert np.array_equal(one.values, other.values[-len(one.values) :])


def test_another_process_gives_the_same_numbers():
    code = (
        "from heliotrope.grid import zones; from heliotrope.grid.providers import model; "
        "from heliotrope.model import CARBON; "
        f"print(repr(model.series(zones.find('DE'), CARBON, {YEAR[2026]}, {YEAR[2026] + S_PER_DAY}).values.tolist()))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = model.series(zones.find("DE"), CARBON, YEAR[2026], YEAR[2026] + S_PER_DAY).values.tolist()
    assert there.strip() == repr(here)


@pytest.mark.parametrize("name", ["DE", "US-CAL-CISO", "AU", "IN", "CL"])
def test_sunny_grids_are_cleanest_when_the_sun_is_high_there(name):
    zone = zones.find(name)
    signal = model.series(zone, CARBON, YEAR[2026], YEAR[2027])
    local = (signal.start_s / S_PER_HOUR + np.arange(8760) + 0.5 + zone.place.longitude / 15) % 24
    by_hour = [signal.values[(local >= h) & (local < h + 1)].mean() for h in range(24)]
    assert 10 <= int(np.argmin(by_hour)) <= 14
    assert max(by_hour) > 1.1 * min(by_hour)


def test_there_is_no_sun_at_night_and_none_in_a_polar_winter():
    oslo = zones.find("NO")
    at = np.arange(YEAR[2026], YEAR[2027], S_PER_HOUR)
    sun = model.dispatch(oslo, at)["solar"]
    midnight = np.flatnonzero((at / S_PER_HOUR + oslo.place.longitude / 15) % 24 < 1)
    assert (sun[midnight[:40]] == 0).all()


def test_seasons_turn_over_in_the_south():
    def january_over_july(name):
        at = np.arange(YEAR[2026], YEAR[2027], S_PER_HOUR)
        sun = model.dispatch(zones.find(name), at)["solar"]
        return sun[: 31 * 24].sum() / sun[181 * 24 : 212 * 24].sum()

    assert january_over_july("DE") < 0.5
    assert january_over_july("CL") > 1.5


def test_weekends_are_cleaner_where_demand_burns_fuel():
    signal = model.series(zones.find("PL"), CARBON, YEAR[2026], YEAR[2027])
    day = (np.arange(8760) // 24 + 3) % 7  # 2026 began on a Thursday
    assert signal.values[day >= 5].mean() < signal.values[day < 5].mean()


def test_an_unknown_place_is_flat_and_as_wide_as_the_world():
    signal = model.series(zones.find(""), CARBON, YEAR[2026], YEAR[2026] + S_PER_DAY)
    assert len(set(signal.values.tolist())) == 1
    assert signal.low[0] < 60
    assert signal.high[0] > 650
    assert "unknown place" in signal.quality.flags[-1]


def test_no_hour_can_be_dirtier_than_the_dirtiest_fuel():
    for name in ("DE", "FR", "US-CAL-CISO"):
        signal = model.series(zones.find(name), CARBON, YEAR[2026], YEAR[2027])
        assert signal.high.max() <= 1.1 * 820


def test_it_says_what_it_is():
    quality = model.series(zones.find("FR"), CARBON, YEAR[2026], YEAR[2026] + S_PER_DAY).quality
    assert quality.kind is QualityKind.MODELLED
    assert "Ember" in quality.source
    assert quality.licence == "CC BY 4.0"
    assert quality.year == 2023
    assert any("modelled" in flag for flag in quality.flags)


def test_an_unknown_part_of_a_country_is_wider_and_says_so():
    known = model.series(zones.find("US"), CARBON, YEAR[2026], YEAR[2026] + S_PER_DAY)
    part = model.series(zones.find("US-NW-NOWHERE"), CARBON, YEAR[2026], YEAR[2026] + S_PER_DAY)
    assert part.low[0] < known.low[0]
    assert part.high[0] > known.high[0]
    assert any("stands in" in flag for flag in part.quality.flags)


@pytest.mark.parametrize("kind", ["carbon/average/direct", "carbon_free"])
def test_other_kinds_follow_from_the_same_mix(kind):
    asked = SignalKind.parse(kind)
    signal = model.series(zones.find("DE"), asked, YEAR[2026], YEAR[2027])
    lifecycle = model.series(zones.find("DE"), CARBON, YEAR[2026], YEAR[2027])
    assert signal.kind == asked
    correlation = np.corrcoef(signal.values, lifecycle.values)[0, 1]
    assert correlation > 0.95 if kind.endswith("direct") else correlation < -0.95


def test_the_interval_holds_what_grids_really_did():
    """Against 60 zones of 2022: the shares are printed by bench/grid.py and quoted in docs/grid.md."""
    if not SHARED.is_file():
        pytest.skip("no ../shared/data/grid/intensity_2022_hourly.csv: the width cannot be checked against real grids")
    with SHARED.open(encoding="utf-8") as text:
        header, *rows = csv.reader(text)
    actual = np.array([[float(cell) for cell in row[1:]] for row in rows])
    held = []
    for i, name in enumerate(header[1:]):
        signal = model.series(zones.find(name), CARBON, YEAR[2022], YEAR[2023])
        held.append(((actual[:, i] >= signal.low) & (actual[:, i] <= signal.high)).mean())
    assert 0.85 < np.mean(held) < 0.97
