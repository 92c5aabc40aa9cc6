"""A site elsewhere as an engine: what is asked is noted, its agent fetches it, what the agent reports is seen."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import msgspec

from heliotrope.errors import EngineError
from heliotrope.run.agents.wire import Wish
from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.settings import Options, settings
from heliotrope.run.lifecycle import Seen, Sight
from heliotrope.run.working.folder import Folder
from heliotrope.store import Store, agents
from heliotrope.store.agents import Agent, Errand

MARGIN_S = 60.0  # over the lease: what an agent that is cut off takes to end what it runs


class AgentSettings(msgspec.Struct, frozen=True):
    """None are needed here: the agent knows its engine."""


class Silence:
    """Since when nothing was heard, by this process's steady clock: a wall clock that jumps ends nobody's lease.

    A process that comes later counts from its own first look: that delays, and never lets two run at once.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def lasts_s(self, whose: str, last: float) -> float:
        """`last`: what was heard last, whatever changes with each word."""
        known, since_s = self._seen.get(whose, (None, 0.0))
        if known != last:
            since_s = time.monotonic()
            self._seen[whose] = (last, since_s)
        return time.monotonic() - since_s


class AgentEngine:
    """A handle is the attempt's folder in HOME/runs; both ends call it by its path in there."""

    name = "agent"
    capabilities = Capabilities(suspend=True, checkpoint=True, measures=True, queues=True)

    def __init__(self, options: Options) -> None:
        settings(AgentSettings, options)
        self.silence = Silence()

    def launch(self, task: Task) -> None:
        Path(task.handle).mkdir(parents=True, exist_ok=True)
        with _store(task.handle).write() as tx:
            agents.add_errand(tx, _name(task.handle), task.site, msgspec.json.encode(task).decode(), Wish.RUN)

    def observe(self, handle: str) -> Sight:
        ended = Folder(Path(handle)).exit
        if ended is not None:
            return Sight(Seen.EXITED, ended.code, ended.why)
        errand, agent = self._found(handle)
        if errand is None:
            return Sight(Seen.ABSENT)
        if errand.sent_s is None:
            if errand.over:
                return Sight(Seen.EXITED, -15)
            return Sight(Seen.QUEUED, why=f"{errand.site} has not fetched it yet")
        if errand.seen == Seen.GONE or self._is_lost(agent) or self._is_missed(errand, agent):
            return Sight(Seen.GONE)
        if errand.missed_s is not None:
            return Sight(Seen.QUEUED, why=f"the agent of {errand.site} does not know of it any more")
        return Sight(Seen(errand.seen) if errand.seen in {Seen.ALIVE, Seen.QUEUED} else Seen.QUEUED, why=errand.why)

    def pause(self, handle: str) -> None:
        self._wish(handle, Wish.PAUSE)

    def resume(self, handle: str) -> None:
        self._wish(handle, Wish.RUN)

    def save(self, handle: str) -> None:
        if not self._taken_back(handle):
            self._wish(handle, Wish.SAVE)

    def kill(self, handle: str) -> None:
        if not self._taken_back(handle):
            self._wish(handle, Wish.KILL)

    def reap(self, handle: str) -> None:
        """Another attempt may begin when its agent said that it is gone, or has been cut off for so long that it is."""
        errand, agent = self._found(handle)
        if errand is None or errand.over or Folder(Path(handle)).exit is not None:
            return
        self._wish(handle, Wish.KILL)
        if not (self._is_lost(agent) or self._is_missed(errand, agent)):
            raise EngineError(
                f"{errand.site} still has {errand.name}", hint="another attempt waits until it has ended it"
            )

    def _is_lost(self, agent: Agent | None) -> bool:
        """Not heard for a lease and a bit: by then it has ended whatever it ran."""
        return agent is not None and self.silence.lasts_s(agent.site, agent.number) > agent.lease_s + MARGIN_S

    def _is_missed(self, errand: Errand, agent: Agent | None) -> bool:
        """Its agent lost it, or took another's place; by now whoever had it has ended it."""
        if errand.missed_s is None:
            return False
        lease_s = agent.lease_s if agent else 0.0
        return self.silence.lasts_s(errand.name, errand.missed_s) > lease_s + MARGIN_S

    def _taken_back(self, handle: str) -> bool:
        with _store(handle).write() as tx:
            return agents.take_back(tx, _name(handle))

    def _wish(self, handle: str, wish: Wish) -> None:
        errand, _ = self._found(handle)
        if errand is not None and not errand.over and errand.wish != wish:
            with _store(handle).write() as tx:
                agents.wish(tx, errand.name, wish)

    def _found(self, handle: str) -> tuple[Errand | None, Agent | None]:
        with _store(handle).read() as tx:
            errand = agents.errand(tx, _name(handle))
            return errand, agents.agent(tx, errand.site) if errand else None


def _name(handle: str) -> str:
    """RUN/SLOT."""
    return "/".join(Path(handle).parts[-2:])


def _store(handle: str) -> Store:
    return _opened(Path(handle).parents[2])


@cache
def _opened(home: Path) -> Store:
    return Store.at(home)
