"""Many questions at once: a grid of settings, one after another here, or spread over a Ray cluster when asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from heliotrope.errors import MissingExtra, UsageError, nearest
from heliotrope.simulate.replay import Result
from heliotrope.simulate.scenario import Scenario, simulate
from heliotrope.units import parse_duration_s

SETTINGS: dict[str, Callable[[str], Any]] = {
    "policy": str,
    "zones": str,
    "capacity": str,
    "forecast": str,
    "start-hour": float,
    "slack": parse_duration_s,
    "wait-short": parse_duration_s,
    "wait-long": parse_duration_s,
    "replan": parse_duration_s,
}
FIELD_OF = {"slack": "slack_s", "wait-short": "wait_short_s", "wait-long": "wait_long_s", "replan": "replan_s"}


class Row(msgspec.Struct, frozen=True):
    """One setting of the sweep and what came of it."""

    settings: dict[str, str]
    result: Result


def parsed(texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """`slack=6h,24h` and the like."""
    out = []
    for text in texts:
        name, equals, values = text.partition("=")
        if name not in SETTINGS or not equals or not values:
            raise UsageError(f"--sweep {text}: not a setting to sweep", hint=nearest(name, SETTINGS))
        out.append((name, values.split(",")))
    return out


def scenarios(base: Scenario, axes: Sequence[tuple[str, list[str]]]) -> Iterator[tuple[dict[str, str], Scenario]]:
    for values in itertools.product(*(choices for _, choices in axes)):
        settings = dict(zip((name for name, _ in axes), values, strict=True))
        fields: dict[str, Any] = {
            FIELD_OF.get(name, name.replace("-", "_")): SETTINGS[name](value) for name, value in settings.items()
        }
        yield settings, msgspec.structs.replace(base, **fields)


def sweep(base: Scenario, axes: Sequence[tuple[str, list[str]]], *, on_ray: bool = False) -> Iterator[Row]:
    """In the order of the settings."""
    asked = list(scenarios(base, axes))
    if not on_ray:
        for settings, scenario in asked:
            yield Row(settings, simulate(scenario))
        return
    try:
        import ray  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise MissingExtra("ray", "ray", needed_for="a sweep on Ray") from None
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(simulate)
        for (settings, _), found in zip(asked, [remote.remote(s) for _, s in asked], strict=True):
            yield Row(settings, ray.get(found))
    finally:
        if started:
            ray.shutdown()
