"""What the outside world does wrong, on demand: to the points, to the text, or to the connection."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import msgspec

from heliotrope.errors import UnknownName, nearest
from heliotrope.units import S_PER_DAY, S_PER_HOUR

# (start, value): value None is null
Points = list[tuple[int, float | None]]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`api` empty: all of them. `times` left; `retry_after_s` for `busy`; `slow` answers rightly, `after_s` late."""

    name: str
    api: str = ""
    times: int = 1_000_000
    retry_after_s: float | None = None
    after_s: float = 30.0


def nulls(points: Points, _now_s: int) -> Points:
    return [(at, None if i % 7 == 3 else value) for i, (at, value) in enumerate(points)]


def late(points: Points, now_s: int) -> Points:
    """The newest six hours have not come in yet."""
    return [(at, value) for at, value in points if at < now_s - 6 * S_PER_HOUR]


def revised(points: Points, _now_s: int) -> Points:
    return [(at, None if value is None else value * 1.1) for at, value in points]


def gap(points: Points, _now_s: int) -> Points:
    middle = points[len(points) // 2][0] if points else 0
    return [(at, value) for at, value in points if not middle <= at < middle + 5 * S_PER_HOUR]


def duplicate(points: Points, _now_s: int) -> Points:
    """Each point twice, the second with another value."""
    return [pair for at, value in points for pair in ((at, value), (at, None if value is None else value + 1))]


def absurd(points: Points, _now_s: int) -> Points:
    return [(at, 1e6 if i == len(points) // 2 else value) for i, (at, value) in enumerate(points)]


def negative(points: Points, _now_s: int) -> Points:
    return [(at, -40.0 if i == len(points) // 2 else value) for i, (at, value) in enumerate(points)]


def dst(points: Points, _now_s: int) -> Points:
    """An autumn night of a local clock: the hour after the middle's midnight comes twice, and all later ones late."""
    if not points:
        return points
    turn = points[len(points) // 2][0] // S_PER_DAY * S_PER_DAY + 2 * S_PER_HOUR
    return [(at if at < turn else at - S_PER_HOUR, value) for at, value in points]


def spring(points: Points, _now_s: int) -> Points:
    """A spring night of a local clock: an hour is skipped, and all later ones come an hour early."""
    if not points:
        return points
    turn = points[len(points) // 2][0] // S_PER_DAY * S_PER_DAY + 2 * S_PER_HOUR
    return [(at if at < turn else at + S_PER_HOUR, value) for at, value in points]


DOING: ContextVar[str] = ContextVar("the fault of the request that is being answered", default="")
ON_POINTS: dict[str, Callable[[Points, int], Points]] = {
    fault.__name__: fault for fault in (nulls, late, revised, gap, duplicate, absurd, negative, dst, spring)
}
ON_TEXT = ("truncated", "renamed", "html", "empty")
ON_CONNECTION = ("unauthorized", "forbidden", "busy", "down", "moved", "broken", "slow", "clock")
ON_ISSUE = ("old",)  # a forecast says that it was made 30 h ago
NAMES = (*ON_POINTS, *ON_TEXT, *ON_CONNECTION, *ON_ISSUE)
RENAMED = (
    *("carbonIntensity", "intensity", "value", "co2eq", "price", "rating", "quantity", "hourly", "token"),
    *("fossilFreePercentage", "generationmix", "production_types", "price.amount", "forecast_values"),
)


def on_text(name: str, body: str) -> str:
    if name == "truncated":
        return body[: len(body) * 2 // 3]
    if name == "renamed":
        for field in RENAMED:
            body = body.replace(f'"{field}"', f'"{field}_v2"').replace(f"<{field}>", f"<{field}V2>")
        return body
    return "<html><body>maintenance</body></html>" if name == "html" else ""


def check(name: str) -> str:
    if name not in NAMES:
        raise UnknownName(f"no fault named {name}", field="fault", hint=nearest(name, NAMES))
    return name
