"""The Plan page: what a run of some length would get, asked of the same planner that places real ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Flexibility, Length, Resources, Workload, WorkloadKind
from heliotrope.run.views import RunView
from heliotrope.units import from_epoch, parse_duration_s
from heliotrope.web.house import House


class Question(msgspec.Struct, frozen=True):
    """As typed; the words of the page's address."""

    length: str = "2h"
    within: str = "24h"
    power: str = "200"
    pausable: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Question:
        blank = cls()
        return cls(
            query.get("length", blank.length),
            query.get("within", blank.within),
            query.get("power", blank.power),
            bool(query.get("pausable")),
        )


def answer(house: House, asked: Question) -> RunView:
    """A job that is planned but not submitted: nothing is stored, nothing logged."""
    now_s = time.time()
    workload = Workload(
        id="question",
        kind=WorkloadKind.BATCH,
        command=("your", "job"),
        submitted_at=from_epoch(now_s),
        length=Length.known(_positive(asked.length, "length")),
        resources=Resources(power_w=_watts(asked.power)),
        flexibility=Flexibility(pausable=asked.pausable),
        deadline=from_epoch(now_s) + timedelta(seconds=_positive(asked.within, "within")),
    )
    plan, strips = house.controller.plan(workload, now_s, house.fleet)
    return RunView(
        workload=workload,
        plan=plan,
        run=None,
        attempts=(),
        measurement=None,
        footprint=None,
        run_now_g=None,
        events=(),
        strips=tuple(strips),
        home=house.fleet.home,
    )


def _positive(text: str, field: str) -> float:
    seconds = parse_duration_s(text, field=field)
    if not 0 < seconds <= 31 * 86_400:
        raise InvalidInput("out of range", field=field, found=text, allowed="more than 0, at most 31d")
    return seconds


def _watts(text: str) -> float:
    try:
        watts = float(text)
    except ValueError:
        watts = -1.0
    if not 0 < watts <= 1e9:
        raise InvalidInput("not a power", field="power", found=text, allowed="watts, more than 0")
    return watts
