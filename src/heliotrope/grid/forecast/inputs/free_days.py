"""Which days people have free: a country's weekend, and its public holidays by rule.

Power is used on a holiday as on a Sunday. A place of no known country has Saturday and Sunday; holidays that follow the
moon are not known here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from heliotrope import facts
from heliotrope.errors import UnknownZone
from heliotrope.grid import zones

if TYPE_CHECKING:
    from numpy.typing import NDArray

    DayKinds = NDArray[np.int8]

WORKDAY, SATURDAY, SUNDAY = 0, 1, 2
YEARS = range(1970, 2101)
EPOCH = dt.date(1970, 1, 1)
DAYS = (dt.date(YEARS.stop, 1, 1) - EPOCH).days
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def of(zone: str) -> DayKinds:
    """The kind of each day since 1 January 1970 in `zone`: `WORKDAY`, `SATURDAY` (the weekend's first) or `SUNDAY`."""
    return _in_country(_country(zone))


def _country(zone: str) -> str:
    """Also of zones called by the last part of their name alone, as files do: PJM, CISO."""
    try:
        return zones.find(zone).country
    except UnknownZone:
        ending = f"-{zone.strip().upper()}"
        found = {each.country for name, each in zones.all_zones().items() if name.endswith(ending)}
        return found.pop() if len(found) == 1 else ""


@cache
def _in_country(country: str) -> DayKinds:
    rules = {fact.name: fact.more for fact in facts.table("free_days")}.get(country, {"weekend": "Sat Sun"})
    weekend = rules["weekend"].split()
    kinds = np.full(DAYS, WORKDAY, np.int8)
    for weekday, kind in zip(weekend, (SATURDAY, SUNDAY)[-len(weekend) :], strict=True):
        kinds[(WEEKDAYS.index(weekday) - EPOCH.weekday()) % 7 :: 7] = kind
    for year in YEARS if len(rules) > 1 else ():
        holidays = sorted(_holidays(year, rules))
        kinds[[(holiday - EPOCH).days for holiday in holidays]] = SUNDAY
        for holiday in holidays:
            if WEEKDAYS[holiday.weekday()] in rules["moved"]:  # to the next day that is not free anyway
                day = (holiday - EPOCH).days
                kinds[day + int(np.argmax(kinds[day:] == WORKDAY))] = SUNDAY
    kinds.setflags(write=False)
    return kinds


def _holidays(year: int, rules: Mapping[str, str]) -> Iterator[dt.date]:
    for text in rules["dates"].split():
        yield on(year, text)
    for column, reckoning in (("easter", gregorian_easter), ("orthodox", julian_easter)):
        for text in rules[column].split():
            yield reckoning(year) + dt.timedelta(int(text))
    for text in rules["weekdays"].split():
        yield weekday_from(year, text)


def on(year: int, date: str) -> dt.date:
    """`MM-DD` of a year."""
    return dt.date.fromisoformat(f"{year}-{date}")


def weekday_from(year: int, rule: str) -> dt.date:
    """`Thu>=11-22`: the first Thursday from 22 November on."""
    weekday, _, first = rule.partition(">=")
    start = on(year, first)
    return start + dt.timedelta((WEEKDAYS.index(weekday) - start.weekday()) % 7)


def gregorian_easter(year: int) -> dt.date:
    """The Sunday after the first full moon of spring, by the church's tables (Meeus, Jones, Butcher)."""
    century, cycle = year // 100, year % 19
    correction = century - century // 4 - (century - (century + 8) // 25 + 1) // 3
    moon = (19 * cycle + correction + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (year % 100 // 4) - moon - year % 100 % 4) % 7
    days = moon + to_sunday - 7 * ((cycle + 11 * moon + 22 * to_sunday) // 451)
    return dt.date(year, 3, 22) + dt.timedelta(days)


def julian_easter(year: int) -> dt.date:
    """The Orthodox one, as the Gregorian calendar of 1900 to 2099 dates it."""
    moon = (19 * (year % 19) + 15) % 30
    to_sunday = (2 * (year % 4) + 4 * (year % 7) - moon + 34) % 7
    return dt.date(year, 3, 22) + dt.timedelta(moon + to_sunday + 13)
