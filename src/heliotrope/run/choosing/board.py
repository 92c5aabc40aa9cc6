"""What is not over, at a glance: kept in memory, brought up to date with what changed in the store since the last look.

A hundred thousand that wait cost a look nothing until something of them changes or their time comes.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from heliotrope.model import Flexibility, Resources, RunState, Slot
from heliotrope.plan.share import Ask
from heliotrope.run.choosing.hours import Hours, Span
from heliotrope.run.clock import Clock
from heliotrope.store import Store, runs
from heliotrope.units import epoch_s

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOLDS = frozenset({RunState.STARTING, RunState.RUNNING, RunState.RESUMING, RunState.PAUSING, RunState.CANCELLING})
_PAGE = 500
_KEPT_HOURS = 24 * 7  # after so many, those that are over are left behind


class _Run(msgspec.Struct):
    id: str
    workload: str
    site: str = ""
    handle: str = ""
    slot: int = 0


class _Work(msgspec.Struct):
    organisation: str
    submitted_at: datetime
    resources: Resources
    flexibility: Flexibility


class _Expected(msgspec.Struct):
    energy_j: float
    carbon_g: float


class _Plan(msgspec.Struct):
    made_at: datetime
    slots: tuple[Slot, ...]
    expected: _Expected


_RUN, _WORK, _PLAN = msgspec.json.Decoder(_Run), msgspec.json.Decoder(_Work), msgspec.json.Decoder(_Plan)


class Card(msgspec.Struct, frozen=True, gc=False):
    """What must be known of one to tell whether to look closer. `ask`: what it wants when its time has come.

    `spans`: site, start and end (epoch s of its own clock), devices, from the slot that it is at on.
    """

    run: str
    workload: str
    seq: int
    state: RunState
    clock: Clock
    cancelled: bool
    made_s: float
    sent: bool
    movable: bool
    ask: Ask
    spans: tuple[tuple[str, float, float, int], ...]

    @property
    def starts_s(self) -> float:
        return self.spans[0][1]

    @property
    def holds(self) -> bool:
        return self.state in HOLDS

    def asks(self, now_s: float) -> bool:
        """It has room, or its time to have some came. `now_s`: of the wall."""
        return self.holds or (not self.cancelled and self.clock.at(now_s) >= self.starts_s)


def card_of(glance: runs.Glance) -> Card:
    run, work, plan = _RUN.decode(glance.run_body), _WORK.decode(glance.workload_body), _PLAN.decode(glance.plan_body)
    state = RunState(glance.state)
    number = min(run.slot, len(plan.slots) - 1)
    devices = max(1, work.resources.devices)
    spans = tuple((s.site, epoch_s(s.start), epoch_s(s.end), devices * s.width) for s in plan.slots[number:])
    slot = plan.slots[number]
    organisation, _, project = work.organisation.partition("/")
    ask = Ask(
        id=run.id,
        organisation=organisation,
        site=run.site if run.handle else slot.site,
        devices=devices * slot.width,
        since_s=epoch_s(work.submitted_at),
        running=state in HOLDS,
        pausable=work.flexibility.pausable,
        project=project,
        power_w=(work.resources.power_w or 0.0) * slot.width,
        energy_j=plan.expected.energy_j,
        carbon_g=plan.expected.carbon_g,
    )
    return Card(
        run=run.id,
        workload=run.workload,
        seq=glance.seq,
        state=state,
        clock=Clock(glance.factor, glance.origin_s),
        cancelled=glance.cancel_s is not None,
        made_s=epoch_s(plan.made_at),
        sent=bool(run.handle),
        movable=work.flexibility.moves,
        ask=ask,
        spans=spans,
    )


class Board:
    """One process's. Calls may come from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seq = 0
        self._cards: dict[str, Card] = {}
        self._at: defaultdict[str, dict[str, Card]] = defaultdict(dict)
        self._hours: Hours | None = None

    def refresh(self) -> int:
        """As of now; a number that differs whenever anything changed."""
        with self._lock, self._store.read() as tx:
            newest = runs.newest_seq(tx)
            if newest == self._seq:
                return newest
            for name in runs.ended_since(tx, self._seq) if self._seq else ():
                self._drop(name)
            since = self._seq
            while page := runs.glances(tx, since, _PAGE):
                for glance in page:
                    self._put(card_of(glance))
                since = page[-1].seq
            self._seq = newest
            return newest

    def cards(self) -> list[Card]:
        """The oldest change first."""
        with self._lock:
            return list(self._cards.values())

    def at(self, site: str) -> list[Card]:
        """Those that are promised room there."""
        with self._lock:
            return list(self._at[site].values()) if site in self._at else []

    def used(self, sites: Sequence[str], first: int, count: int) -> NDArray[np.int64]:
        """Devices promised for all of each hour (numbered from the epoch), sites in rows; on the wall's clock alone."""
        with self._lock:
            if self._hours is None or not 0 <= first - self._hours.first < _KEPT_HOURS:
                self._hours = Hours(first)
                for card in self._cards.values():
                    self._hours.add(_promised(card))
            return self._hours.used(sites, first, count)

    def _put(self, card: Card) -> None:
        self._drop(card.run)
        self._cards[card.run] = card
        if self._hours is not None:
            self._hours.add(_promised(card))
        for site in _sites(card):
            self._at[site][card.run] = card

    def _drop(self, name: str) -> None:
        card = self._cards.pop(name, None)
        if card is not None:
            if self._hours is not None:
                self._hours.add(_promised(card), -1)
            for site in _sites(card):
                self._at[site].pop(name, None)


def _sites(card: Card) -> Iterable[str]:
    return {span[0] for span in card.spans}


def _promised(card: Card) -> tuple[Span, ...]:
    return card.spans if card.clock.factor == 1 and not card.cancelled else ()
