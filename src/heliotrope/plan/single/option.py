"""One site as an option for one workload: its window, its rates, and its best plan by each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from heliotrope.model import Flexibility, Outlook, Signal, Slot, Workload
from heliotrope.plan.shape.contiguous import TOUCH_S
from heliotrope.plan.single.candidate import Candidate, Progress, Refusal, Transfer
from heliotrope.plan.timeline import Segment, timeline
from heliotrope.units import J_PER_KWH, from_epoch, show_duration

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
    """`line` has grams per second of the work at its power; seconds count from `origin_s`, the time of planning.

    `first_s`: what the first start takes before it does work; `running`: it runs here now and may simply go on.
    """

    def __init__(
        self,
        candidate: Candidate,
        watts: float,
        window: Window,
        origin_s: float,
        moving: Transfer,
        *,
        work_s: float,
        first_s: float = 0.0,
        pause_s: float = 0.0,
        running: bool = False,
    ) -> None:
        self.candidate, self.watts, self.window, self.origin_s, self.moving = candidate, watts, window, origin_s, moving
        self.work_s, self.pause_s = work_s, pause_s
        site = candidate.site
        self.name = site.name
        self.grams_per_s = watts * site.cooling.pue / J_PER_KWH
        line = timeline(candidate.carbon, self.grams_per_s, origin_s, window.start_s, window.end_s)
        self.line = line.without((start - origin_s, end - origin_s) for start, end in candidate.busy)
        gaps = self.line.gaps()
        self.running = running and bool(gaps) and gaps[0][0] == self.line.start
        # Work that runs where others are due has to stop and start again.
        self.first_s = pause_s if running and not self.running else first_s
        self.moving_g = self._moving_g()

    @property
    def fits_whole(self) -> bool:
        """Whether it could run without a pause somewhere in its window."""
        return any(end - start >= self.work_s + self.first_s - TOUCH_S for start, end in self.line.gaps())

    def ending(self, end_s: float) -> Option | None:
        """The same with its window cut short at `end_s`; None where nothing is left of it."""
        if end_s - self.window.start_s < self.work_s + self.first_s:
            return None
        return Option(
            self.candidate,
            self.watts,
            msgspec.structs.replace(self.window, end_s=end_s),
            self.origin_s,
            self.moving,
            work_s=self.work_s,
            first_s=self.first_s,
            pause_s=self.pause_s,
            running=self.running,
        )

    def _over(self, signal: Signal, values: NDArray[np.float64], pieces: list[Segment]) -> float:
        """Integral of a signal's `values` over pieces: unit times seconds."""
        total = 0.0
        for start, end in pieces:
            start_s, end_s = self.origin_s + start, self.origin_s + end
            first, last = signal.index(start_s), signal.index(end_s - 1e-6)
            first_start = signal.start_s + first * signal.step_s
            last_end = signal.start_s + (last + 1) * signal.step_s
            total += float(values[first : last + 1].sum()) * signal.step_s
            total -= float(values[first]) * (start_s - first_start) + float(values[last]) * (last_end - end_s)
        return total

    def _moving_g(self) -> float:
        """Network joules at this site's intensity when the window opens: the marginal model, for placing only."""
        if not self.moving.energy_j:
            return 0.0
        return self.moving.energy_j / J_PER_KWH * self.candidate.carbon.at(self.window.start_s)

    def outlook(self, cost_g: float, pieces: list[Segment]) -> Outlook:
        """What following `pieces` costs; `cost_g` is without moving."""
        cooling = self.candidate.site.cooling
        signal = self.candidate.carbon
        running_s = sum(end - start for start, end in pieces)
        low, high = (self._over(signal, values, pieces) * self.grams_per_s for values in (signal.low, signal.high))
        return Outlook(
            energy_j=self.watts * running_s,
            carbon_g=cost_g + self.moving_g,
            carbon_low_g=low * (cooling.pue_low or cooling.pue) / cooling.pue + self.moving_g,
            carbon_high_g=high * (cooling.pue_high or cooling.pue) / cooling.pue + self.moving_g,
            cost=self._money(pieces, running_s),
            finish=from_epoch(self.origin_s + pieces[-1][1]),
        )

    def _money(self, pieces: list[Segment], running_s: float) -> float:
        """EUR for facility energy."""
        price = self.candidate.price
        facility_mwh_per_s = self.watts * self.candidate.site.cooling.pue / J_PER_KWH / 1000
        if price is not None:
            return self._over(price, price.values, pieces) * facility_mwh_per_s
        stated = self.candidate.site.price_eur_per_mwh
        return running_s * facility_mwh_per_s * (ASSUMED_PRICE_EUR_PER_MWH if stated is None else stated)

    def slots(self, pieces: list[Segment]) -> tuple[Slot, ...]:
        return tuple(
            Slot(self.name, from_epoch(self.origin_s + start), from_epoch(self.origin_s + end)) for start, end in pieces
        )


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
    window, needed_s = option.window, option.work_s + option.first_s
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


class Choice(msgspec.Struct, frozen=True, eq=False):
    """A way to run at one site. Not `exact`: the search stopped at a bound that could no longer win."""

    option: Option
    grams: float
    pieces: list[Segment]
    exact: bool = True

    @property
    def total_g(self) -> float:
        return self.grams + self.option.moving_g


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
