"""Quantities: there and back, and as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliotrope import units
from heliotrope.errors import InvalidInput


@given(st.floats(0, 1e12))
def test_kwh_and_back(energy_j):
    assert units.joules(units.kwh(energy_j)) == pytest.approx(energy_j)


@given(st.integers(-(2**52), 2**52))
def test_micro_units_lose_nothing(micro):
    assert units.to_micro(units.from_micro(micro)) == micro


def test_pounds_per_megawatt_hour():
    assert units.g_per_kwh_from_lb_per_mwh(1000) == pytest.approx(453.59237)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("15min", 900),
        ("1h30m", 5400),
        ("24h", 86400),
        ("2d", 172800),
        ("1.5h", 5400),
    ],
)
def test_durations(text, seconds):
    assert units.parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "h", "-3h", "1h nope"])
def test_durations_that_are_none(text):
    with pytest.raises(InvalidInput, match="not a duration"):
        units.parse_duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"), [("500", 500), ("4GB", 4 * 10**9), ("2 GiB", 2**31), ("1.5k", 1500), ("1T", 10**12)]
)
def test_sizes(text, size):
    assert units.parse_bytes(text) == size


def test_instants_need_a_zone_or_are_given_one():
    assert units.parse_instant("2026-01-31T07:00+02:00") == datetime(2026, 1, 31, 5, tzinfo=UTC)
    for text in ("2026-01-31T07:00", "2026-01-31"):
        with pytest.raises(InvalidInput, match="without a zone") as raised:
            units.parse_instant(text)
        written = raised.value.hint.split()[1]
        assert units.parse_instant(written) == datetime.fromisoformat(text).replace(tzinfo=UTC), "as the hint says"
    assert units.parse_instant("2026-01-31", zone=UTC) == datetime(2026, 1, 31, tzinfo=UTC)
    assert units.parse_instant("2026-01-31T07:00+02:00", zone=UTC).hour == 5
    with pytest.raises(InvalidInput, match="not a time"):
        units.parse_instant("tomorrow")
    with pytest.raises(InvalidInput, match="without a zone"):
        units.epoch_s(datetime(2026, 1, 1))


@given(st.integers(0, 4_000_000_000), st.integers(-12, 14))
def test_epoch_knows_no_zone(seconds, offset):
    local = datetime.fromtimestamp(seconds, timezone(timedelta(hours=offset)))
    assert units.epoch_s(local) == seconds


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.show_energy(0), "0 J"),
        (units.show_energy(12.345), "12.3 J"),
        (units.show_energy(45_000), "45 kJ"),
        (units.show_energy(3.6e6), "1 kWh"),
        (units.show_carbon(0.0042), "4.2 mg"),
        (units.show_carbon(12_300), "12.3 kg"),
        (units.show_carbon(4.2e6), "4.2 t"),
        (units.show_power(2161), "2.16 kW"),
        (units.show_duration(0.25), "250 ms"),
        (units.show_duration(4), "4 s"),
        (units.show_duration(3600 * 3 + 1200), "3 h 20 min"),
        (units.show_duration(86400 * 2 + 3600 * 4), "2 d 4 h"),
    ],
)
def test_shown_to_people(shown, text):
    assert shown == text


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0412, "0.0412"), (8.391, "8.39"), (434.6, "435"), (999.6, "1,000"), (-19_600.4, "-19,600"), (0, "0")],
)
def test_numbers_for_people_have_no_exponents(value, said):
    assert units.show_number(value) == said
