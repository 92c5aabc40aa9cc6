"""Splits the energy of a node among those who used it; what nobody used is named idle. The parts sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from heliotrope.measure.protocol import Draw, Usage

IDLE = "idle"
OTHERS = "others"


class Part(msgspec.Struct, frozen=True):
    """Joules of those followed (90 % in low to high), of everybody else, and of nobody."""

    mine_j: float
    low_j: float
    high_j: float
    others_j: float
    idle_j: float


def split(energy_j: float, idle_j: float, weights: Mapping[str, float]) -> dict[str, float]:
    """`energy_j` less the idle part, by weight; with no weight at all, everything is idle."""
    idle_j = min(max(idle_j, 0.0), energy_j)
    whole = sum(weights.values())
    if whole <= 0:
        return {**dict.fromkeys(weights, 0.0), IDLE: energy_j}
    used_j = energy_j - idle_j
    parts = {name: used_j * (weight / whole) for name, weight in weights.items()}
    parts[IDLE] = energy_j - sum(parts.values())
    return parts


def part_of(draw: Draw, usage: Usage) -> Part:
    """The part of the followed processes in one draw of the node."""
    if draw.mine:
        return Part(draw.energy_j, draw.low_j, draw.high_j, 0.0, 0.0)
    if draw.users is not None:
        return _by_users(draw, usage)
    busy_s = max(usage.busy_s, usage.tree_s)
    rest_s = max(0.0, usage.elapsed_s * (1.0 - busy_s / usage.capacity_s)) if usage.capacity_s else 0.0
    weights = {"mine": usage.tree_s, OTHERS: busy_s - usage.tree_s}
    shares = split(draw.energy_j, draw.idle_w * rest_s, weights)
    least = split(draw.low_j, draw.idle_with_low_w * rest_s, weights)
    most = split(draw.high_j, draw.idle_with_high_w * rest_s, weights)
    mine_j = shares["mine"]
    return Part(mine_j, min(least["mine"], mine_j), max(most["mine"], mine_j), shares[OTHERS], shares[IDLE])


def _by_users(draw: Draw, usage: Usage) -> Part:
    """An accelerator by the weight of each process on it; with nobody on it, its draw is idle."""
    users = draw.users or {}
    mine = sum(weight for pid, weight in users.items() if pid in usage.pids)
    shares = split(draw.energy_j, 0.0, {"mine": mine, OTHERS: sum(users.values()) - mine})
    scale = shares["mine"] / draw.energy_j if draw.energy_j else 0.0
    return Part(shares["mine"], draw.low_j * scale, draw.high_j * scale, shares[OTHERS], shares[IDLE])
