"""A way to run, as legs on options: what it costs, and its slots."""

from __future__ import annotations

import msgspec

from heliotrope.model import Outlook, Slot
from heliotrope.plan.single.option import Option
from heliotrope.plan.timeline import Segment
from heliotrope.units import from_epoch


class Leg(msgspec.Struct, frozen=True, eq=False):
    """Over [start, end), seconds after planning, at `option` in its mode number `mode`."""

    option: Option
    start: float
    end: float
    mode: int = 0

    @property
    def grams(self) -> float:
        ways = self.option.ways
        return self.option.line.integral(self.start, self.end) * ways[self.mode].watts / ways[0].watts


class Choice(msgspec.Struct, frozen=True, eq=False):
    """`moved_g`: grams of getting data and state there. `score`: grams, and what else counts as grams, to compare by.

    Not `exact`: no legs; the search stopped at a bound that could no longer win. `floor`: no way to run scores less.
    """

    option: Option
    legs: tuple[Leg, ...]
    score: float
    moved_g: float = 0.0
    floor: float = 0.0
    exact: bool = True

    @classmethod
    def of(cls, option: Option, legs: list[Leg], floor: float | None = None) -> Choice:
        """`floor` None: this is the best there is."""
        score = sum(leg.grams for leg in legs) + option.moving_g + option.late_g(legs[-1].end)
        return cls(option, tuple(legs), score, option.moving_g, score if floor is None else min(floor, score))

    @classmethod
    def at_least(cls, option: Option, floor: float) -> Choice:
        return cls(option, (), floor, option.moving_g, floor, exact=False)

    @property
    def finish(self) -> float:
        return self.legs[-1].end

    @property
    def pieces(self) -> list[Segment]:
        """When it runs, however wide."""
        found: list[Segment] = []
        for leg in self.legs:
            if found and leg.start - found[-1][1] <= 1e-6:
                found[-1] = (found[-1][0], leg.end)
            else:
                found.append((leg.start, leg.end))
        return found

    def outlook(self) -> Outlook:
        """What following it costs; embodied carbon is sunk and not in it."""
        energy_j = cost = 0.0
        carbon_g = low_g = high_g = self.moved_g
        for leg in self.legs:
            option, span = leg.option, (leg.start, leg.end)
            watts, cooling = option.ways[leg.mode].watts, option.candidate.site.cooling
            signal = option.candidate.carbon
            per_unit = option.grams_per_s * watts / option.watts
            energy_j += watts * (leg.end - leg.start)
            carbon_g += leg.grams
            low, high = option.over(signal, span, signal.low, signal.high)
            low_g += low * per_unit * (cooling.pue_low or cooling.pue) / cooling.pue
            high_g += high * per_unit * (cooling.pue_high or cooling.pue) / cooling.pue
            cost += option.money(span, watts)
        finish = from_epoch(self.legs[0].option.origin_s + self.finish)
        return Outlook(energy_j, carbon_g, low_g, high_g, cost, finish)

    def slots(self) -> tuple[Slot, ...]:
        return tuple(
            Slot(
                leg.option.name,
                from_epoch(leg.option.origin_s + leg.start),
                from_epoch(leg.option.origin_s + leg.end),
                leg.option.ways[leg.mode].width,
                leg.option.ways[leg.mode].cap_w,
            )
            for leg in self.legs
        )
