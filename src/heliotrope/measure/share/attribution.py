"""Splits the energy of a node among those who used it; what nobody used is named idle. The parts sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from heliotrope.measure.protocol import NOBODY, Draw, Usage

IDLE = "idle"


class Part(NamedTuple):
    """Joules of those followed (90 % in low to high), of everybody else, and of nobody."""

    mine_j: float
    low_j: float
    high_j: float
    others_j: float
    idle_j: float

    @property
    def node_j(self) -> float:
        return self.mine_j + self.others_j + self.idle_j


def split(energy_j: float, idle_j: float, weights: Mapping[str, float]) -> dict[str, float]:
    """`energy_j` less the idle part, by weight; with no weight at all, everything is idle."""
    whole = sum(weights.values())
    if whole <= 0:
        return {**dict.fromkeys(weights, 0.0), IDLE: energy_j}
    used_j = _used(energy_j, idle_j)
    parts = {name: used_j * (weight / whole) for name, weight in weights.items()}
    parts[IDLE] = energy_j - sum(parts.values())
    return parts


def _used(energy_j: float, idle_j: float) -> float:
    """What is left when the idle part, at most all of it, is taken away."""
    if idle_j <= 0:
        return energy_j
    return energy_j - idle_j if idle_j < energy_j else 0.0


def part_of(draw: Draw, usage: Usage) -> Part:
    """The part of the followed processes in one draw of the node."""
    energy_j = draw.energy_j
    if draw.mine:
        return Part(energy_j, draw.low_j, draw.high_j, 0.0, 0.0)
    if draw.users is not None:
        return _by_users(draw, draw.users, usage)
    busy_s = max(usage.busy_s, usage.tree_s)
    if busy_s <= 0:
        return Part(0.0, 0.0, 0.0, 0.0, energy_j)
    share = usage.tree_s / busy_s
    idle_s = max(0.0, usage.elapsed_s - busy_s / usage.cpus)
    used_j = _used(energy_j, draw.idle_w * idle_s)
    mine_j = used_j * share
    low_j = _used(draw.low_j, draw.idle_with_low_w * idle_s) * share
    high_j = _used(draw.high_j, draw.idle_with_high_w * idle_s) * share
    return Part(mine_j, min(low_j, mine_j), max(high_j, mine_j), used_j - mine_j, energy_j - used_j)


def _by_users(draw: Draw, users: Mapping[int, float], usage: Usage) -> Part:
    """An accelerator by the weight of each process on it; with nobody on it, its draw is idle."""
    whole = sum(users.values())
    if whole <= 0:
        return Part(0.0, 0.0, 0.0, 0.0, draw.energy_j)
    share = sum(weight for pid, weight in users.items() if pid in usage.pids and pid != NOBODY) / whole
    mine_j, idle_j = draw.energy_j * share, draw.energy_j * (users.get(NOBODY, 0.0) / whole)
    return Part(mine_j, draw.low_j * share, draw.high_j * share, draw.energy_j - mine_j - idle_j, idle_j)
