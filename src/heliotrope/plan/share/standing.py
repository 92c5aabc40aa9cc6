"""What each organisation used, lent and borrowed, fading with age: the one number that decides between borrowers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from heliotrope.fleet.shares import Organisation
from heliotrope.units import S_PER_DAY


class Use(msgspec.Struct, frozen=True):
    """One attempt that is over. `lent_by`: the share of it that ran on whose capacity; the rest was its own."""

    organisation: str
    ended_s: float
    energy_j: float
    carbon_g: float
    project: str = ""
    lent_by: dict[str, float] = msgspec.field(default_factory=dict)


class Standing(msgspec.Struct):
    """Decayed J and g; `credit_*` is what others used of its capacity less what it used of theirs.

    Summed over organisations every credit is zero: what one lent another borrowed.
    """

    energy_j: float = 0.0
    carbon_g: float = 0.0
    credit_j: float = 0.0
    credit_g: float = 0.0
    day_j: float = 0.0
    day_g: float = 0.0

    def add(self, energy_j: float, carbon_g: float) -> None:
        self.energy_j += energy_j
        self.carbon_g += carbon_g


def standings(uses: Iterable[Use], now_s: float, half_life_s: float) -> dict[str, Standing]:
    """By organisation and, for quotas of a day, by `organisation/project`."""
    found: dict[str, Standing] = {}

    def of(name: str) -> Standing:
        return found.setdefault(name, Standing())

    for use in uses:
        age_s = max(0.0, now_s - use.ended_s)
        kept = 0.5 ** (age_s / half_life_s)
        names = [use.organisation, *([f"{use.organisation}/{use.project}"] if use.project else [])]
        for name in names:
            of(name).add(kept * use.energy_j, kept * use.carbon_g)
            if age_s < S_PER_DAY:
                of(name).day_j += use.energy_j
                of(name).day_g += use.carbon_g
        for lender, share in use.lent_by.items():
            for name, sign in ((lender, 1.0), (use.organisation, -1.0)):
                of(name).credit_j += sign * kept * share * use.energy_j
                of(name).credit_g += sign * kept * share * use.carbon_g
    return found


def dominant(organisation: Organisation, standing: Standing, total: Standing) -> float:
    """The larger of its shares of all energy and all carbon, less what it is owed, by its weight: least goes first."""
    shares = (
        (standing.energy_j - standing.credit_j) / total.energy_j if total.energy_j > 0 else 0.0,
        (standing.carbon_g - standing.credit_g) / total.carbon_g if total.carbon_g > 0 else 0.0,
    )
    return max(shares) / organisation.weight


def total(found: dict[str, Standing]) -> Standing:
    """Of all organisations, none of their projects twice."""
    whole = Standing()
    for name, standing in found.items():
        if "/" not in name:
            whole.add(standing.energy_j, standing.carbon_g)
    return whole
