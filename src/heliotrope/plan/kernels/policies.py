"""Every policy by name: built in or brought by entry point, registered the same way."""

from __future__ import annotations

from importlib.metadata import entry_points

from heliotrope.errors import UnknownName, nearest
from heliotrope.plan.kernels.world import Policy

GROUP = "heliotrope.policies"


def names() -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def named(name: str) -> Policy:
    for point in entry_points(group=GROUP):
        if point.name == name:
            policy: Policy = point.load()
            return policy
    raise UnknownName("no such policy", field="--policy", found=name, hint=nearest(name, names()))
