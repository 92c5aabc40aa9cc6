"""Many questions at once: a grid of settings, one after another here, or spread over a Ray cluster when asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from heliotrope.errors import InvalidInput, MissingExtra, UsageError, nearest
from heliotrope.plan.kernels.policies import registry as policies
from heliotrope.simulate.replay import Result
from heliotrope.simulate.scenario import Scenario, simulate
from heliotrope.units import parse_duration_s


def _hour(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput("not a number", field="--sweep start-hour", found=text, allowed="hours") from None


def _policy(name: str) -> str:
    policies.named(name)
    return name


# What each value of a setting has to be; asked of all before the first is tried.
SETTINGS: dict[str, Callable[[str], Any]] = {
    "policy": _policy,
    "zones": str,
    "capacity": str,
    "forecast": str,
    "start-hour": _hour,
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
    out: list[tuple[str, list[str]]] = []
    for text in texts:
        name, equals, values = text.partition("=")
        if name not in SETTINGS:
            raise UsageError(f"--sweep {text}: not a setting to sweep", hint=nearest(name, SETTINGS))
        if not equals or not all(values.split(",")):
            raise UsageError(f"--sweep {text}: no values to try", hint=f"--sweep {name}=A,B")
        if any(name == other for other, _ in out):
            raise UsageError(f"--sweep {name} is there twice", hint=f"--sweep {name}=A,B")
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
    if base.out is not None or base.picture is not None:
        raise UsageError("--out and --picture are of one setting, a sweep tries many", hint="--results FILE")
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
