"""The Plan page: what a run of some length would get, asked of the same planner that places real ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Flexibility, Length, Resources, Workload, WorkloadKind
from heliotrope.plan.whatif.explain import Price, explained
from heliotrope.plan.whatif.front import Point, front
from heliotrope.run.desk import strip_of
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


class Answer(msgspec.Struct, frozen=True):
    """`prices`: what each limit of the question costs, the dearest first; `front`: what else one might choose."""

    view: RunView
    prices: tuple[Price, ...]
    front: tuple[Point, ...]


def answer(house: House, asked: Question) -> Answer:
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
    candidates, horizon_s = house.controller.candidates(workload, now_s, house.fleet)
    told: dict[str, Any] = {
        "now_s": now_s,
        "home": house.fleet.home,
        "latency_ms": house.fleet.latency_ms,
        "horizon_s": horizon_s,
        "step_s": house.settings.plan.step_s,
    }
    plan, prices = explained(workload, candidates, **told)
    view = RunView(
        workload=workload,
        plan=plan,
        run=None,
        attempts=(),
        measurement=None,
        footprint=None,
        run_now_g=None,
        events=(),
        strips=tuple(strip_of(candidate) for candidate in candidates),
        home=house.fleet.home,
    )
    return Answer(view, prices, front(workload, candidates, **told))


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
