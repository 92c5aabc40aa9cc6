"""One shape for every benchmark: rows out, as a table for people or JSON for machines."""

from __future__ import annotations

import argparse
import json
import operator
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

_COMPARE = {"<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt}


@dataclass
class Row:
    """`want` reads `<= 60`, `>= 0.9`, `= 0`, `0.88..0.92` or nothing; `value` None means it could not be measured here."""

    name: str
    value: float | None
    unit: str = ""
    want: str = ""
    peer: str = ""
    peer_value: float | None = None
    how: str = ""

    @property
    def met(self) -> bool | None:
        if not self.want or self.value is None:
            return None if not self.want else False
        if ".." in self.want:
            low, high = map(float, self.want.split(".."))
            return low <= self.value <= high
        sign, number = re.fullmatch(r"\s*([<>=]+)\s*([-\d.e_+]+)\s*", self.want).groups()
        return bool(_COMPARE[sign](self.value, float(number)))


def run(title: str, rows: Callable[[bool], Iterable[Row]]) -> None:
    """`rows(quick)` yields as it measures, so that a long benchmark shows its progress."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--quick", action="store_true", help="smaller inputs; ends within 50 s")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    args = parser.parse_args()
    if not args.json:
        print(f"{title}{' (quick)' if args.quick else ''}\n")
        print(f"{'':2}{'what':58} {'measured':>16} {'want':>12}  {'peer':24} how")
    for row in rows(args.quick):
        if args.json:
            print(json.dumps(asdict(row) | {"met": row.met}), flush=True)
            continue
        mark = {True: "✓", False: "✗", None: " "}[row.met]
        value = "not measured" if row.value is None else f"{_short(row.value)} {row.unit}"
        peer = row.peer + (f" {_short(row.peer_value)}" if row.peer_value is not None else "")
        print(f"{mark:2}{row.name:58} {value:>16} {row.want:>12}  {peer:24} {row.how}", flush=True)
    sys.stdout.flush()


def _short(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
