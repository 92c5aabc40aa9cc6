"""Planning among very many sites: all are bounded from below at once, the best are looked at closely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heliotrope.errors import Infeasible
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import Plan, Signal, SignalKind, Site, Workload
from heliotrope.plan import Candidate, Progress
from heliotrope.plan.screen import Field, Screened, screened, widened
from heliotrope.run.choosing.board import Board
from heliotrope.run.clock import Clock
from heliotrope.units import S_PER_HOUR, hour_floor

MANY = 40  # sites; fewer are all looked at closely
CLOSE = 6  # of many
MOST = 96  # where the first are not certainly the best; the plan's bound tells what may be left
FRESH_S = 60  # a forecast serves all that is submitted within it
_DAY_S = 24 * S_PER_HOUR

Place = Callable[[Sequence[Candidate]], Plan]


class Chooser:
    """One desk's memory of what is expected where."""

    def __init__(self, grid: Grid, kind: SignalKind, board: Board) -> None:
        self._grid = grid
        self._kind = kind
        self._board = board
        self._minute = 0
        self._forecasts: dict[tuple[str, tuple[int, int]], Signal] = {}
        self._fields: dict[tuple[int, int], Field] = {}

    def forecast(self, zone: str, now_s: float, ends_s: float) -> Signal:
        """In whole days, so that many that end at different times share it."""
        self._forget(now_s)
        span = _span(now_s, ends_s)
        if (zone, span) not in self._forecasts:
            self._forecasts[zone, span] = self._grid.forecast(zone, *span, issued_at_s=int(now_s), kind=self._kind)
        return self._forecasts[zone, span]

    def choose(
        self,
        workload: Workload,
        fleet: Fleet,
        now_s: float,
        ends_s: float,
        clock: Clock,
        candidate: Callable[[Site], Candidate],
        place: Place,
        *,
        ready: Progress | None,
        moves: bool,
    ) -> tuple[Plan, list[Candidate]]:
        """`candidate` makes one of a site; `place` finds the best among some."""
        ranked = self._ranked(workload, fleet, now_s, ends_s, clock, moves=moves)
        # Where it would have run at once, and where what it needs lies: the links from there are looked up among them.
        names = {fleet.home, *(data.held_at for data in workload.data), ready.site if ready else ""}
        needed = [site for site in fleet.sites if site.name in names]
        made: dict[str, Candidate] = {}
        taken = CLOSE
        while True:
            near = [fleet.sites[row] for row in ranked.order[:taken]]
            for site in (*near, *needed):
                if site.name not in made:
                    made[site.name] = candidate(site)
            rest_g = ranked.rest_g(taken)
            try:
                plan = place(list(made.values()))
            except Infeasible:
                if rest_g == float("inf"):
                    raise
            else:
                if plan.expected.carbon_g <= rest_g or taken >= MOST:
                    return widened(plan, rest_g), list(made.values())
            taken *= 4

    def _ranked(
        self, workload: Workload, fleet: Fleet, now_s: float, ends_s: float, clock: Clock, *, moves: bool
    ) -> Screened:
        field = self._field_of(fleet, now_s, ends_s)
        names = [site.name for site in field.sites]
        first, count = field.start_s // S_PER_HOUR, field.carbon.shape[1]
        used = self._board.used(names, first, count)
        owns = fleet.sharing.organisation(workload.organisation.partition("/")[0]).owns
        # Whoever owns a part of a site is not kept out by those who borrow; another clock is another time.
        if clock.factor != 1:
            used[:] = 0
        elif owns:
            used[[name in owns for name in names]] = 0
        bounds = field.bounds(workload, used, now_s, ends_s, moves=moves)
        if workload.sites:
            bounds[[name not in workload.sites for name in names]] = float("inf")
        return screened(bounds)

    def _forget(self, now_s: float) -> None:
        """What is no longer fresh."""
        if int(now_s // FRESH_S) != self._minute:
            self._minute = int(now_s // FRESH_S)
            self._forecasts.clear()
            self._fields.clear()

    def _field_of(self, fleet: Fleet, now_s: float, ends_s: float) -> Field:
        span = _span(now_s, ends_s)
        self._forget(now_s)
        field = self._fields.get(span)
        if field is None or field.sites is not fleet.sites:
            signals = {zone: self.forecast(zone, now_s, ends_s) for zone in {site.zone for site in fleet.sites}}
            field = self._fields[span] = Field(fleet.sites, signals, span[0])
        return field


def _span(now_s: float, ends_s: float) -> tuple[int, int]:
    start_s = hour_floor(now_s)
    return start_s, start_s - int(-(ends_s + S_PER_HOUR - start_s) // _DAY_S) * _DAY_S
