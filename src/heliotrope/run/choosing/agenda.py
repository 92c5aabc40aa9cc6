"""Which of all that are not over have to be looked at now: what an engine has, what may begin, what is planned anew."""

from __future__ import annotations

import math

import msgspec

from heliotrope.fleet import Fleet
from heliotrope.model import RunState
from heliotrope.plan.share import Turns
from heliotrope.run.choosing import sharing
from heliotrope.run.choosing.board import Board, Card
from heliotrope.run.lifecycle import Turn
from heliotrope.store import Store

REPLAN_S = 3600.0  # of a run's clock: forecasts are hourly
REPLAN_WALL_S = 5.0  # a fast clock's hours are short, and planning takes its time
LATE_S = 60.0  # of the wall: a start that was missed by more is chosen anew
UNDER_WAY = frozenset({RunState.RUNNING, RunState.PAUSED})
STANDING_S = 60.0  # of the wall: what was used fades slowly, so turns are thought over that often anyway


class Agenda(msgspec.Struct, frozen=True):
    """`look`: those that hold or may begin; `replan`: those whose plan is old, the oldest first; `sleep_s`: epoch s."""

    said: Turns
    look: tuple[Card, ...]
    replan: tuple[Card, ...]
    until_s: float


class Secretary:
    """Thinks all of it over when something changed or a time came; else says what it said."""

    def __init__(self, store: Store, board: Board) -> None:
        self._store = store
        self._board = board
        self._version = -1
        self._agenda: Agenda | None = None
        self._replanned_s: dict[str, float] = {}

    def agenda(self, fleet: Fleet, now_s: float) -> Agenda:
        """`now_s`: of the wall."""
        version = self._board.refresh()
        if self._agenda is None or version != self._version or now_s >= self._agenda.until_s:
            self._agenda, self._version = self._thought_over(fleet, now_s), version
        return self._agenda

    def replanned(self, card: Card, now_s: float) -> None:
        """Also where the plan stayed as it was: it is not looked for again at once."""
        self._replanned_s[card.workload] = card.clock.at(now_s)
        if self._agenda is not None:
            rest = tuple(one for one in self._agenda.replan if one.run != card.run)
            self._agenda = msgspec.structs.replace(self._agenda, replan=rest)

    def _thought_over(self, fleet: Fleet, now_s: float) -> Agenda:
        cards = self._board.cards()
        with self._store.read() as tx:
            said = sharing.decide(tx, cards, fleet, now_s)
        look, replan = [], []
        until_s = now_s + STANDING_S
        for card in cards:
            due_s = self._replan_s(card)
            if due_s <= now_s:
                replan.append((due_s, card))
            elif due_s < until_s:
                until_s = due_s
            if card.sent or card.cancelled or card.holds:
                look.append(card)
            elif card.asks(now_s):
                if sharing.turn_of(card.run, said) is Turn.GO:
                    look.append(card)
            else:
                until_s = min(until_s, card.clock.wall_at(card.starts_s))
        replan.sort(key=lambda one: one[0])
        live = {card.workload for card in cards}
        self._replanned_s = {name: at_s for name, at_s in self._replanned_s.items() if name in live}
        return Agenda(said, tuple(look), tuple(card for _, card in replan), until_s)

    def _replan_s(self, card: Card) -> float:
        """Wall time at which its plan is old: when forecasts may have changed, or its start was missed."""
        if card.cancelled or not (card.state is RunState.WAITING or (card.movable and card.state in UNDER_WAY)):
            return math.inf
        clock, looked_s = card.clock, max(card.made_s, self._replanned_s.get(card.workload, card.made_s))
        wall_s = REPLAN_WALL_S * clock.factor
        aged_s = looked_s + max(REPLAN_S, wall_s)
        if card.state in UNDER_WAY:
            return clock.wall_at(aged_s)
        if aged_s < card.starts_s - wall_s:
            return clock.wall_at(aged_s)
        if card.starts_s <= card.made_s:
            return math.inf
        return clock.wall_at(max(card.starts_s, looked_s) + LATE_S * clock.factor)
