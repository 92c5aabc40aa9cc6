"""A way to run, as legs on options: what it costs, and its slots."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from heliotrope.model import Outlook, Slot
from heliotrope.plan.shape.contiguous import TOUCH_S
from heliotrope.plan.single.option import Option
from heliotrope.plan.timeline import Segment
from heliotrope.units import from_epoch


class Leg(msgspec.Struct, frozen=True, eq=False):
    """Over [start, end), seconds after planning, at `option` in mode number `mode`; `share`: of cases alive then."""

    option: Option
    start: float
    end: float
    mode: int = 0
    share: float = 1.0

    @property
    def grams(self) -> float:
        """Expected ones."""
        ways = self.option.ways
        return self.option.line.integral(self.start, self.end) * ways[self.mode].watts / ways[0].watts * self.share


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
        legs = shared(option, legs)
        late_g = sum(chance * option.late_g(end) for end, chance in endings(legs)) if option.due else 0.0
        score = sum(leg.grams for leg in legs) + option.moving_g + late_g
        return cls(option, tuple(legs), score, option.moving_g, score if floor is None else min(floor, score))

    @classmethod
    def at_least(cls, option: Option, floor: float) -> Choice:
        return cls(option, (), floor, option.moving_g, floor, exact=False)

    @property
    def finish(self) -> float:
        """The expected one."""
        return sum(end * chance for end, chance in endings(self.legs))

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
            per_unit = option.grams_per_s * watts / option.watts * leg.share
            energy_j += watts * (leg.end - leg.start) * leg.share
            carbon_g += leg.grams
            low, high = option.over(signal, span, signal.low, signal.high)
            low_g += low * per_unit * (cooling.pue_low or cooling.pue) / cooling.pue
            high_g += high * per_unit * (cooling.pue_high or cooling.pue) / cooling.pue
            cost += option.money(span, watts) * leg.share
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
            for leg in joined(self.legs)
        )


def endings(legs: Sequence[Leg]) -> list[tuple[float, float]]:
    """When it may be over, and the chance of each."""
    if legs[0].share == legs[-1].share:
        return [(legs[-1].end, legs[-1].share)]
    later = [*(leg.share for leg in legs[1:]), 0.0]
    return [(leg.end, leg.share - after) for leg, after in zip(legs, later, strict=True) if leg.share > after]


def shared(option: Option, legs: list[Leg]) -> list[Leg]:
    """Legs for the longest case, cut where a phase of the work ends, each with its share of cases."""
    if len(option.phases) == 1:
        return legs
    found: list[Leg] = []
    rest = list(option.phases)
    for i, leg in enumerate(legs):
        begin, speed = leg.start, option.ways[leg.mode].speed
        again = i > 0 or (option.running and begin > option.line.start + TOUCH_S)
        works_from = begin + (option.pause_s if again else option.first_s)
        while len(rest) > 1 and works_from + rest[0][0] / speed < leg.end - TOUCH_S:
            turn = works_from + rest[0][0] / speed
            found.append(Leg(option, begin, turn, leg.mode, rest.pop(0)[1]))
            begin = works_from = turn
        found.append(Leg(option, begin, leg.end, leg.mode, rest[0][1]))
        left_s = rest[0][0] - max(0.0, leg.end - works_from) * speed
        rest = [(left_s, rest[0][1]), *rest[1:]] if left_s > TOUCH_S or len(rest) == 1 else rest[1:]
    return found


def joined(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """Touching legs of one site and mode made one, for the longest case."""
    found: list[Leg] = []
    for leg in legs:
        last = found[-1] if found else None
        if last and last.option is leg.option and last.mode == leg.mode and leg.start - last.end <= TOUCH_S:
            found[-1] = Leg(leg.option, last.start, leg.end, leg.mode)
        else:
            found.append(leg)
    return tuple(found)
