"""Grams against money against time: every choice that nothing else beats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from heliotrope.model import Flexibility, Outlook, Slot, Workload
from heliotrope.plan.single.admit import Asked, admit
from heliotrope.plan.single.budget import MONEY_ALONE, at_worth
from heliotrope.plan.single.candidate import Candidate, Latency, check_signals
from heliotrope.plan.single.choice import Choice
from heliotrope.plan.single.option import Option, no_room
from heliotrope.plan.single.reasons import infeasible
from heliotrope.units import show_carbon

FINISHES = 8  # how many latest ends the front tries
DEPTH = 3  # how often it halves between grams alone and money alone
SAME = 1e-6  # points closer than this, relatively, are one


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan that nothing else beats in grams, EUR and finish at once; `sentence` says what it trades."""

    outlook: Outlook
    slots: tuple[Slot, ...]
    sentence: str


def front(
    workload: Workload,
    candidates: Sequence[Candidate],
    *,
    now_s: float,
    horizon_s: float,
    home: str = "",
    latency_ms: Latency | None = None,
    step_s: int = 300,
) -> tuple[Point, ...]:
    """Plans that trade grams, EUR and finishing time, none beaten in all three; earliest finish first."""
    check_signals(candidates)
    asked = Asked(workload, candidates, now_s, home, latency_ms, horizon_s, None)
    admitted = admit(asked)
    if not admitted.options:
        raise infeasible(workload, admitted.refused)
    pausable = workload.flexibility.pausable
    found: list[tuple[tuple[float, float, float], Choice]] = []
    for options in _ends(admitted.options, workload.flexibility):
        for choice in _between(options, float(step_s), home, pausable=pausable):
            outlook = choice.outlook()
            found.append(((outlook.carbon_g, outlook.cost, choice.finish), choice))
    kept: list[tuple[tuple[float, float, float], Choice]] = []
    for values, choice in sorted(found, key=lambda pair: (pair[0][2], pair[0][0], pair[0][1])):
        if not any(all(a <= b * (1 + SAME) + 1e-9 for a, b in zip(other, values, strict=True)) for other, _ in kept):
            kept.append((values, choice))
    cleanest = min(kept, key=lambda pair: pair[0])
    return tuple(Point(choice.outlook(), choice.slots(), _said(values, cleanest[0])) for values, choice in kept)


def _ends(options: Mapping[str, Option], flexibility: Flexibility) -> Iterator[dict[str, Option]]:
    """The options, cut to each of some latest ends; the first is as soon as any can end."""
    soonest = min(o.line.start + o.needs_s(o.fastest) for o in options.values())
    latest = max(o.line.end for o in options.values())
    for end in np.linspace(soonest, latest, FINISHES):
        cut = {}
        for name, option in options.items():
            earlier = option if end >= option.line.end else option.ending(option.origin_s + float(end) + 1e-3)
            if earlier is not None and no_room(earlier, flexibility) is None:
                cut[name] = earlier
        if cut:
            yield cut


def _between(options: Mapping[str, Option], step_s: float, home: str, *, pausable: bool) -> list[Choice]:
    """From grams alone to money alone, halving between neighbours that differ."""

    def at(worth: float) -> Choice:
        return at_worth(options, worth, step_s, home, pausable=pausable)[0]

    def split(a: Choice, b: Choice, depth: int) -> list[Choice]:
        """Both ends' own exchange rate asks whether anything lies below the line between them."""
        one, other = a.outlook(), b.outlook()
        if depth == 0 or one.cost - other.cost <= 1e-9 * max(1.0, abs(one.cost)):
            return []
        middle = at((other.carbon_g - one.carbon_g) / (one.cost - other.cost))
        return [*split(a, middle, depth - 1), middle, *split(middle, b, depth - 1)]

    clean, cheap = at(0.0), at(MONEY_ALONE)
    return [clean, *split(clean, cheap, DEPTH), cheap]


def _said(values: tuple[float, float, float], cleanest: tuple[float, float, float]) -> str:
    more_g, less_eur, sooner_h = values[0] - cleanest[0], cleanest[1] - values[1], (cleanest[2] - values[2]) / 3600
    if more_g <= 1e-9 * max(1.0, cleanest[0]):
        return "the fewest grams"
    gains = [
        f"{less_eur:.3g} EUR cheaper" if less_eur > 1e-9 else "",
        f"{sooner_h:.1f} h sooner" if sooner_h > 0 else "",
    ]
    return f"{show_carbon(more_g)} more, {' and '.join(filter(None, gains))}"
