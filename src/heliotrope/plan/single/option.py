"""One site as an option for one workload: its window, its rates, its ways to run, and whether there is room."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from heliotrope.model import Flexibility, Signal, Workload
from heliotrope.plan.shape.contiguous import TOUCH_S, Due
from heliotrope.plan.shape.modes import Mode
from heliotrope.plan.shape.unsure import Phases
from heliotrope.plan.single.candidate import Candidate, Progress, Refusal, Transfer
from heliotrope.plan.timeline import Segment, timeline
from heliotrope.units import J_PER_KWH, show_duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# EUR/MWh where no price is known: the middle of a wide assumed span; the plan's flags say so.
ASSUMED_PRICE_EUR_PER_MWH = 120.0


class Window(msgspec.Struct, frozen=True):
    """When a workload may run, epoch seconds: [start_s, end_s), `end_by` names what ends it."""

    start_s: float
    end_s: float
    end_by: str

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


class Option:
    """`line` has grams per second of the work in `ways[0]`; seconds count from `origin_s`, the time of planning.

    `first_s`: what the first start takes before it does work; `running`: it runs here now and may simply go on.
    `phases`: the work, of the longest case where its length is not known, with the share of cases that get as far.
    `due`: by when it should be done, and grams for each second later. `reshapes`: it may change its mode on the way.
    """

    def __init__(
        self,
        candidate: Candidate,
        ways: tuple[Mode, ...],
        window: Window,
        origin_s: float,
        moving: Transfer,
        *,
        phases: Phases,
        first_s: float = 0.0,
        pause_s: float = 0.0,
        running: bool = False,
        due: Due | None = None,
        reshapes: bool = False,
    ) -> None:
        self.candidate, self.ways, self.window, self.origin_s, self.moving = candidate, ways, window, origin_s, moving
        self.phases, self.pause_s, self.due, self.reshapes = phases, pause_s, due, reshapes
        self.work_s = sum(seconds for seconds, _ in phases)
        site = candidate.site
        self.name, self.watts = site.name, ways[0].watts
        self.grams_per_s = self.watts * site.cooling.pue / J_PER_KWH
        line = timeline(candidate.carbon, self.grams_per_s, origin_s, window.start_s, window.end_s)
        self.line = line.without((start - origin_s, end - origin_s) for start, end in candidate.busy)
        self.fastest = max(range(len(ways)), key=lambda k: (ways[k].speed, -k))
        gaps = self.line.gaps()
        self.running = running and bool(gaps) and gaps[0][0] == self.line.start
        # Work that runs where others are due has to stop and start again.
        self.first_s = pause_s if running and not self.running else first_s
        self.moving_g = self._moving_g()

    def needs_s(self, mode: int = 0) -> float:
        """Seconds from first start to end in one mode without a pause."""
        return self.first_s + self.work_s / self.ways[mode].speed

    def turns(self, mode: int = 0) -> list[tuple[float, float]]:
        """Seconds after the first start at which each phase ends without a pause, and its share of cases."""
        works_s = itertools.accumulate(seconds for seconds, _ in self.phases)
        speed = self.ways[mode].speed
        return [(self.first_s + end / speed, share) for end, (_, share) in zip(works_s, self.phases, strict=True)]

    def fits(self, mode: int = 0) -> bool:
        """Whether it could run without a pause somewhere in its window."""
        return any(end - start >= self.needs_s(mode) - TOUCH_S for start, end in self.line.gaps())

    def ending(self, end_s: float) -> Option | None:
        """The same with its window cut short at `end_s`; None where nothing is left of it."""
        if end_s - self.window.start_s < self.needs_s(self.fastest):
            return None
        return Option(
            self.candidate,
            self.ways,
            msgspec.structs.replace(self.window, end_s=end_s),
            self.origin_s,
            self.moving,
            phases=self.phases,
            first_s=self.first_s,
            pause_s=self.pause_s,
            running=self.running,
            due=self.due,
            reshapes=self.reshapes,
        )

    @property
    def groups(self) -> list[list[int]]:
        """Modes that one plan may mix."""
        every = list(range(len(self.ways)))
        return [every] if self.reshapes else [[mode] for mode in every]

    def late_g(self, finish: float) -> float:
        """What ending at `finish` counts for being late, in grams."""
        return 0.0 if self.due is None else self.due[1] * max(0.0, finish - self.due[0])

    def over(self, signal: Signal, span: Segment, *series: NDArray[np.float64]) -> list[float]:
        """Integrals over `span` of series on the signal's steps, as its `low` and `high`: unit times seconds."""
        start_s, end_s = self.origin_s + span[0], self.origin_s + span[1]
        first, last = signal.index(start_s), signal.index(end_s - 1e-6)
        first_start = signal.start_s + first * signal.step_s
        last_end = signal.start_s + (last + 1) * signal.step_s
        return [
            float(values[first : last + 1].sum()) * signal.step_s
            - values.item(first) * (start_s - first_start)
            - values.item(last) * (last_end - end_s)
            for values in series
        ]

    def _moving_g(self) -> float:
        """Network joules at this site's intensity when the window opens: the marginal model, for placing only."""
        if not self.moving.energy_j:
            return 0.0
        return self.moving.energy_j / J_PER_KWH * self.candidate.carbon.at(self.window.start_s)

    def money(self, span: Segment, watts: float) -> float:
        """EUR for facility energy."""
        price = self.candidate.price
        facility_mwh_per_s = watts * self.candidate.site.cooling.pue / J_PER_KWH / 1000
        if price is not None:
            return self.over(price, span, price.values)[0] * facility_mwh_per_s
        stated = self.candidate.site.price_eur_per_mwh
        return (span[1] - span[0]) * facility_mwh_per_s * (ASSUMED_PRICE_EUR_PER_MWH if stated is None else stated)


def too_short(window: Window, needed_s: float, workload: Workload) -> Refusal | None:
    """Time is a limit like any other: what ends the window, and by how much it is short."""
    missing_s = needed_s - max(window.length_s, 0.0)
    if missing_s <= 1e-6:
        return None
    has = f"needs {show_duration(needed_s)}, has {show_duration(max(window.length_s, 0.0))}"
    if window.end_by == "deadline" and workload.deadline is not None:
        missing_s = window.start_s + needed_s - window.end_s
        return Refusal(
            "deadline", f"{has} before the deadline", f"a deadline {show_duration(missing_s)} later", missing_s
        )
    relax = f"a {window.end_by} {show_duration(missing_s)} longer, or shorter work"
    return Refusal(window.end_by, f"{has} before the {window.end_by} ends", relax, missing_s)


def no_room(option: Option, flexibility: Flexibility) -> Refusal | None:
    """Other work's promises are a limit too: unbroken work must fit between two of them."""
    window, needed_s = option.window, option.needs_s(option.fastest)
    gaps = option.line.gaps()
    if option.running and not flexibility.pausable:
        gaps = gaps[:1] if gaps and gaps[0][0] == option.line.start else []
    free = [end - start for start, end in gaps]
    room_s = max(free, default=0.0)
    if flexibility.pausable:
        # One piece a gap does most work; every one but the first begins with a resume.
        worth = [gap for gap in free if gap > option.pause_s]
        room_s = max(room_s, sum(worth) - option.pause_s * (len(worth) - 1)) if worth else room_s
    missing_s = needed_s - room_s
    if missing_s <= 1e-6:
        return None
    reason = f"needs {show_duration(needed_s)}, other work leaves {show_duration(room_s)} before the {window.end_by}"
    return Refusal("capacity", reason, f"a {window.end_by} {show_duration(missing_s)} later", missing_s)


def window_of(
    workload: Workload, candidate: Candidate, now_s: float, horizon_s: float, moving: Transfer, ready: Progress | None
) -> Window:
    """From when it may start and its data is there, to the deadline, the horizon or the end of the signal."""
    start_s = max(now_s, workload.submitted_at.timestamp())
    if workload.not_before is not None:
        start_s = max(start_s, workload.not_before.timestamp())
    if not (ready is not None and ready.running and ready.site == candidate.site.name):
        start_s = max(start_s, now_s + moving.seconds)
    ends = [(now_s + horizon_s, "horizon"), (float(candidate.carbon.end_s), "signal")]
    if workload.deadline is not None:
        ends.append((workload.deadline.timestamp(), "deadline"))
    end_s, end_by = min(ends)
    return Window(start_s, end_s, end_by)
