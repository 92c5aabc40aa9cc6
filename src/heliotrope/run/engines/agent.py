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
from heliotrope.run.working.folder import Exit
from heliotrope.store import Store, agents
from heliotrope.store.agents import Standing

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
    """A handle is a path in HOME/runs, of which both ends know the last two parts: RUN/NUMBER.

    HOME says which store to ask; all that is known of it lies there, so any home that shares the store will do.
    """

    name = "agent"
    capabilities = Capabilities(suspend=True, checkpoint=True, measures=True, queues=True)

    def __init__(self, options: Options) -> None:
        settings(AgentSettings, options)
        self.silence = Silence()

    def launch(self, task: Task) -> None:
        with _store(task.handle).write() as tx:
            agents.add_errand(tx, _name(task.handle), task.site, msgspec.json.encode(task).decode(), Wish.RUN)

    def observe(self, handle: str) -> Sight:
        errand = self._found(handle)
        if errand is None:
            return Sight(Seen.ABSENT)
        if errand.over and errand.exit:
            ended = msgspec.json.decode(errand.exit, type=Exit)
            return Sight(Seen.EXITED, ended.code, ended.why)
        if errand.sent_s is None:
            if errand.over:
                return Sight(Seen.EXITED, -15)
            return Sight(Seen.QUEUED, why=f"{errand.site} has not fetched it yet")
        if errand.seen == Seen.GONE or self._is_lost(errand) or self._is_missed(errand):
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
        errand = self._found(handle)
        if errand is None or errand.over:
            return
        self._wish(handle, Wish.KILL)
        if not (self._is_lost(errand) or self._is_missed(errand)):
            raise EngineError(
                f"{errand.site} still has {errand.name}", hint="another attempt waits until it has ended it"
            )

    def ask(self, task: Task, wish: Wish) -> None:
        """What is no run: a state that its agent is to send here, or to drop. Asked again, it is the same."""
        if self._found(task.handle) is None:
            with _store(task.handle).write() as tx:
                agents.add_errand(tx, _name(task.handle), task.site, msgspec.json.encode(task).decode(), wish)

    def is_answered(self, handle: str) -> bool:
        """Of what was asked: nothing more comes of it. One that is away for so long does not answer when it is back."""
        errand = self._found(handle)
        if errand is None or errand.over:
            return errand is not None
        if not self._is_lost(errand):
            return False
        self.kill(handle)
        return True

    def _is_lost(self, errand: Standing) -> bool:
        """Its agent was not heard for a lease and a bit: by then it has ended whatever it ran."""
        if errand.number is None or errand.lease_s is None:
            return False
        return self.silence.lasts_s(errand.site, errand.number) > errand.lease_s + MARGIN_S

    def _is_missed(self, errand: Standing) -> bool:
        """Its agent lost it, or took another's place; by now whoever had it has ended it."""
        if errand.missed_s is None:
            return False
        return self.silence.lasts_s(errand.name, errand.missed_s) > (errand.lease_s or 0.0) + MARGIN_S

    def _taken_back(self, handle: str) -> bool:
        with _store(handle).write() as tx:
            return agents.take_back(tx, _name(handle))

    def _wish(self, handle: str, wish: Wish) -> None:
        errand = self._found(handle)
        if errand is not None and not errand.over and errand.wish != wish:
            with _store(handle).write() as tx:
                agents.wish(tx, errand.name, wish)

    def _found(self, handle: str) -> Standing | None:
        with _store(handle).read() as tx:
            return agents.standing(tx, _name(handle))


def _name(handle: str) -> str:
    """RUN/NUMBER."""
    return "/".join(handle.rsplit("/", 2)[1:])


def at_home(handle: str, home: Path) -> str:
    """As a controller that shares the store calls it."""
    return str(home / "runs" / _name(handle))


def _store(handle: str) -> Store:
    return _opened(handle.rsplit("/", 3)[0])


@cache
def _opened(home: str) -> Store:
    return Store.at(Path(home))
