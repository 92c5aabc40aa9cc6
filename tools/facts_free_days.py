"""Writes free_days.csv: each country's weekend and its public holidays as rules, from one public package.

    python tools/facts_free_days.py SOURCES

SOURCES is a folder holding the unpacked package holidays 0.109 (PyPI). A holiday is kept where one rule gives its
date in every one of eight years: a date, days from Easter, or the first such weekday from a date on. Those that follow
the moon, and one region's own, follow none and are left out.
"""

from __future__ import annotations

import csv
import datetime as dt
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from heliotrope import facts
from heliotrope.grid.forecast.inputs.free_days import WEEKDAYS, gregorian_easter, julian_easter, on, weekday_from

DATA = Path(__file__).parents[1] / "src/heliotrope/facts/data"
YEARS = range(2024, 2032)
MOSTLY = {"GB": "ENG"}  # where most people's holidays are kept by the part
SOURCE = "holidays 0.109 (PyPI): public holidays of the whole country, 2024 to 2031, as rules"
RULES = ("weekend", "dates", "easter", "orthodox", "weekdays", "moved")


def main(sources: Path) -> None:
    sys.path.insert(0, str(sources))
    import holidays

    with (DATA / "countries.csv").open(encoding="utf-8") as text:
        countries = [row["name"] for row in csv.DictReader(text)]
    with (DATA / "free_days.csv").open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text, lineterminator="\n")
        out.writerow([*facts.REQUIRED, *RULES])
        for country in sorted(set(countries) & set(holidays.list_supported_countries(include_aliases=False))):
            out.writerow(_row(country, holidays))


def _row(country: str, holidays: Any) -> list[str]:
    told = holidays.country_holidays(country, MOSTLY.get(country), years=YEARS, observed=False)
    left = set(told)
    dates = _taken(left, sorted({f"{day:%m-%d}" for day in left} - {"02-29"}), on)
    spans = [str(days) for days in range(-60, 80)]
    western = _taken(left, spans, lambda year, days: gregorian_easter(year) + dt.timedelta(int(days)))
    orthodox = _taken(left, spans, lambda year, days: julian_easter(year) + dt.timedelta(int(days)))
    weekdays = _taken(left, _weekday_rules(left), weekday_from)
    rules = (dates, western, orthodox, weekdays)
    weekend = " ".join(WEEKDAYS[day] for day in sorted(told.weekend))
    count = sum(map(len, rules))
    head = [country, str(count), "days/year", "free days", "2026", SOURCE, "MIT", weekend]
    return head + [" ".join(rule) for rule in rules] + [_moved(country, holidays, told.weekend, dates)]


def _weekday_rules(left: set[dt.date]) -> list[str]:
    """The first such weekday from the earliest date on that it ever had."""
    starts = sorted({f"{day:%m-%d}" for day in left} - {"02-29"})
    return [f"{WEEKDAYS[day]}>={start}" for start in starts for day in range(7)]


def _taken(left: set[dt.date], rules: Iterable[str], date: Callable[[int, str], dt.date]) -> list[str]:
    """The rules whose date is free in every year; what they explain is taken from `left`."""
    kept = []
    for rule in rules:
        found = {date(year, rule) for year in YEARS}
        if found <= left:
            kept.append(rule)
            left -= found
    return kept


def _moved(country: str, holidays: Any, weekend: Iterable[int], dates: list[str]) -> str:
    """The days of the weekend on which a holiday is mostly made up for by one of the next days."""
    part = MOSTLY.get(country)
    with_moved, without = (
        set(holidays.country_holidays(country, part, years=YEARS, observed=moved)) for moved in (True, False)
    )
    days = [on(year, date) for year in YEARS for date in dates]
    names = []
    for weekday in sorted(weekend):
        lost = [day for day in days if day.weekday() == weekday]
        made_up = [day for day in lost if any(day + dt.timedelta(k) in with_moved - without for k in range(1, 5))]
        if 2 * len(made_up) > len(lost):
            names.append(WEEKDAYS[weekday])
    return " ".join(names)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
