"""Work in a programme is drawn before it is promised: some runs at once, so that what the rest saves can be known."""

from __future__ import annotations

from functools import cached_property

from heliotrope.config import Settings
from heliotrope.errors import ProviderError, SignalGap, SignalMismatch
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import Plan, Signal, SignalKind, Workload
from heliotrope.prove import Ledger
from heliotrope.prove.claims.enrolment import Enrolment, Ticket
from heliotrope.units import S_PER_HOUR, hour_floor


class Programme:
    """What a home's settings enter its work in; nothing where they name no programme."""

    def __init__(self, ledger: Ledger, grid: Grid, settings: Settings) -> None:
        self.ledger = ledger
        self.grid = grid
        self.settings = settings

    @cached_property
    def enrolment(self) -> Enrolment:
        return Enrolment(self.ledger, self.settings.claims)

    def takes(self, workload: Workload, fleet: Fleet) -> bool:
        """Work that may wait, and could have run at home at once: of no other can a shift be told from a hold-out."""
        named = bool(self.settings.claims.programme)
        return named and workload.deadline is not None and (not workload.sites or fleet.home in workload.sites)

    def draw(self, workload: Workload, plan: Plan, fleet: Fleet, now_s: float) -> Ticket:
        """Logged and durable when it returns; raises where an auditor cannot be reached."""
        zone = fleet.site(fleet.home).zone
        span = (hour_floor(now_s), hour_floor(plan.run_now.finish.timestamp()) + S_PER_HOUR)
        average = self.grid.forecast(
            zone, *span, issued_at_s=int(now_s), kind=SignalKind.parse(self.settings.grid.kind)
        )
        return self.enrolment.draw(workload.id, plan.run_now, average, self._expected(zone, span, now_s), now_s=now_s)

    def marginal_kind(self, workload: Workload) -> SignalKind | None:
        """What a run's record has to show beside its own signals, where its work is in a programme."""
        if not self.settings.claims.programme or not self.enrolment.enrolled(workload.id):
            return None
        return self._kind

    @property
    def _kind(self) -> SignalKind:
        return SignalKind.parse(self.settings.claims.marginal)

    def _expected(self, zone: str, span: tuple[int, int], now_s: float) -> Signal | None:
        try:
            return self.grid.forecast(zone, *span, issued_at_s=int(now_s), kind=self._kind)
        except (ProviderError, SignalGap, SignalMismatch):
            # A programme goes without: then its claims rest on the average alone, and say so.
            return None
