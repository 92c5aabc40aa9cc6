"""Which days are free: dates that calendars on walls agree about, by rule, and plain weekends where nobody knows."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from heliotrope import facts
from heliotrope.grid.forecast.inputs import free_days
from heliotrope.grid.forecast.inputs.features import NAMES, matrix, scale
from heliotrope.grid.forecast.inputs.free_days import SATURDAY, SUNDAY, WORKDAY


def kind(zone, date):
    return free_days.of(zone)[(dt.date.fromisoformat(date) - dt.date(1970, 1, 1)).days]


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        ("DE", "2022-10-03", SUNDAY),
        ("DE", "2022-05-26", SUNDAY),  # Ascension
        ("DE", "2022-10-04", WORKDAY),
        ("FR", "2022-10-03", WORKDAY),
        ("US-CAL-CISO", "2022-11-24", SUNDAY),  # fourth Thursday
        ("PJM", "2024-05-27", SUNDAY),  # last Monday of May
        ("US", "2021-07-05", SUNDAY),  # the fourth was a Sunday
        ("GB", "2021-12-28", SUNDAY),  # Boxing Day fell on a Sunday
        ("GB", "2023-05-01", SUNDAY),
        ("GR", "2024-05-03", SUNDAY),  # Orthodox Good Friday
        ("SE", "2022-06-25", SUNDAY),  # Midsummer's Day
        ("azure/westeurope", "2023-04-27", SUNDAY),  # King's Day
        ("IL", "2022-09-09", SATURDAY),  # Friday
        ("IL", "2022-09-10", SUNDAY),
        ("IL", "2022-09-11", WORKDAY),
        ("nobody's", "2022-12-25", SUNDAY),
        ("nobody's", "2022-12-26", WORKDAY),
        ("nobody's", "2022-12-24", SATURDAY),
    ],
)
def test_days_are_what_calendars_say(zone, date, expected):
    assert kind(zone, date) == expected


@pytest.mark.parametrize(
    ("year", "western", "orthodox"),
    [(1954, "04-18", "04-25"), (1981, "04-19", "04-26"), (2008, "03-23", "04-27"), (2025, "04-20", "04-20")],
)
def test_easter_falls_where_the_churches_put_it(year, western, orthodox):
    assert free_days.gregorian_easter(year) == dt.date.fromisoformat(f"{year}-{western}")
    assert free_days.julian_easter(year) == dt.date.fromisoformat(f"{year}-{orthodox}")


def test_every_rule_of_every_country_gives_a_day_in_every_year():
    for row in facts.table("free_days"):
        kinds = free_days.of(row.name)
        assert len(kinds) == free_days.DAYS
        workdays = (kinds == WORKDAY).mean()
        assert 0.6 < workdays < 0.87, row.name


def test_a_holiday_looks_like_a_sunday_to_a_forecast():
    hours, hour0 = 60 * 24, 455_832 + 250 * 24  # from 8 September 2022
    series = scale(np.full(hours, 50.0), hour0, hours, free_days.of("DE"))
    free, sunday, after = (
        NAMES.index(name)
        for name in ("free: a weekend or holiday", "a Sunday or holiday", "first day at work after free ones")
    )
    unity_day = 25 * 24
    seen = matrix(series, unity_day + 24 * np.array([0, 1, 2, 6]), 5)
    assert seen[:, free].tolist() == [1, 0, 0, 1]
    assert seen[:, sunday].tolist() == [1, 0, 0, 1]
    assert seen[:, after].tolist() == [0, 1, 0, 0]
