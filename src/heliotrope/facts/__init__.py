"""Sourced constants: CSV tables, each row with value, unit, kind, year, source, licence. Nothing without a source."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from heliotrope.errors import InvalidInput, UnknownName, nearest

DATA = __file__.removesuffix("__init__.py") + "data"  # as text: pathlib loads longer than a table is read
REQUIRED = ("name", "value", "unit", "kind", "year", "source", "licence")


class Fact(NamedTuple):
    """One row, light to load for a meter that starts. `more` holds the table's own columns, as text."""

    table: str
    name: str
    value: float
    unit: str
    kind: str
    year: int
    source: str
    licence: str
    more: Mapping[str, str]


def tables() -> tuple[str, ...]:
    from pathlib import Path

    return tuple(sorted(path.stem for path in Path(DATA).glob("*.csv")))


@cache
def table(name: str) -> tuple[Fact, ...]:
    try:
        text = open(f"{DATA}/{name}.csv", encoding="utf-8")  # noqa: PTH123, SIM115
    except FileNotFoundError:
        raise UnknownName(f"no table of facts named {name}", hint=nearest(name, tables())) from None
    with text:
        return tuple(_fact(name, line, row) for line, row in enumerate(csv.DictReader(text), start=2))


def _fact(name: str, line: int, row: dict[str, str]) -> Fact:
    for column in REQUIRED:
        if not (row.get(column) or "").strip():
            raise InvalidInput(
                "a fact needs every column", file=f"{name}.csv", line=line, field=column, allowed="non-empty"
            )
    return Fact(
        table=name,
        name=row["name"],
        value=float(row["value"]),
        unit=row["unit"],
        kind=row["kind"],
        year=int(row["year"]),
        source=row["source"],
        licence=row["licence"],
        more=MappingProxyType({k: v for k, v in row.items() if k not in REQUIRED}),
    )


@cache
def _by_name(table_name: str) -> Mapping[str, Fact]:
    return MappingProxyType({fact.name: fact for fact in table(table_name)})


def fact(table_name: str, name: str) -> Fact:
    """The row of that name; an unknown name's error lists its nearest."""
    rows = _by_name(table_name)
    if name not in rows:
        raise UnknownName(f"{table_name} has no {name}", field=table_name, hint=nearest(name, rows))
    return rows[name]
