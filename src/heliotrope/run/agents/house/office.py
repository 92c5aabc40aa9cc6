"""The side that has the work: lets agents in, tells each what is its to do, and takes what it reports."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from math import inf

import msgspec

from heliotrope import footprint
from heliotrope.config import AgentSettings
from heliotrope.errors import BadSignature, HelioError, StaleRequest, StoreError, UnknownName, nearest
from heliotrope.fleet import Fleet
from heliotrope.model import Device, Measurement
from heliotrope.run.agents import wire
from heliotrope.run.agents.house import mirror
from heliotrope.run.agents.house.belief import CLOCK_S, impossible
from heliotrope.run.agents.wire import Join, Joined, Report, Sync, Tail, Wanted
from heliotrope.run.lifecycle import Seen
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.working.logs import ASKED_FOR_S
from heliotrope.store import Store, Transaction, agents, reports
from heliotrope.store.agents import Agent
from heliotrope.store.agents import Errand as Known
from heliotrope.store.reports import Ending

KEPT_S = 5.0  # being heard is noted in the store that often, and who may speak looked up: others look there too
WHY = 1000  # characters of an agent's reasons that are kept
LIVES = 32  # processes of an agent that are remembered
OVER = frozenset({Seen.EXITED, Seen.GONE})


class Told(msgspec.Struct, frozen=True):
    """A sync as it came in."""

    body: bytes
    signature: str
    address: str = ""


class _Heard(msgspec.Struct, frozen=True):
    """One that is believed, and its place among those that came with it."""

    place: int
    said: Sync
    agent: Agent


class _Errand(msgspec.Struct, frozen=True):
    """As wire.Errand; the task goes as the store has it, and is opened by the agent alone."""

    name: str
    wish: str
    task: msgspec.Raw
    held: bool


class _Synced(msgspec.Struct, frozen=True):
    """As wire.Synced."""

    number: int
    errands: tuple[_Errand, ...]
    wanted: tuple[Wanted, ...]


class _News(msgspec.Struct, frozen=True):
    """What one sync changes of what the store knows of its site. An ending goes with what is over."""

    heard: _Heard
    known: dict[str, Known]
    fresh: tuple[tuple[Report, Ending | None], ...]
    tails: tuple[Tail, ...]

    @property
    def unsent(self) -> list[str]:
        return [name for name, one in self.known.items() if one.sent_s is None]

    @property
    def worth_keeping(self) -> bool:
        return bool(self.fresh or self.tails or self.unsent)

    def keep(self, tx: Transaction, now_s: float) -> frozenset[str] | None:
        """What was taken back meanwhile; None where another controller heard a later one: then none of it is kept."""
        if not agents.advance(tx, self.heard.said.site, self.heard.said.number, now_s):
            return None
        withdrawn = agents.sent(tx, self.unsent, now_s)
        for report, ending in self.fresh:
            there, over = report.seen is not Seen.ABSENT, ending is not None
            agents.report(tx, report.name, report.seen.value, report.why, now_s, there=there, over=over)
            if ending is not None:
                reports.end(tx, report.name, ending)
        for tail in self.tails:
            mirror.lay(tx, tail, now_s)
        return withdrawn

    def errands(self, withdrawn: frozenset[str]) -> tuple[_Errand, ...]:
        over = withdrawn | {report.name for report, ending in self.fresh if ending is not None}
        there = {report.name for report, _ in self.fresh if report.seen is not Seen.ABSENT}
        return tuple(
            _Errand(one.name, one.wish, msgspec.Raw(one.task.encode()), one.held_s is not None or one.name in there)
            for one in self.known.values()
            if one.name not in over
        )


_UNHEARD = StoreError("this was not heard")


def _no_site_twice(heard: list[_Heard]) -> Iterator[list[_Heard]]:
    """What a site's first word changed is known before its second is taken."""
    while heard:
        first = {one.said.site: one for one in reversed(heard)}
        yield list(first.values())
        heard = [one for one in heard if first[one.said.site] is not one]


class Office:
    """One home's. Calls may come from any thread."""

    def __init__(self, store: Store, fleet: Fleet, settings: AgentSettings) -> None:
        self.store = store
        self.refusals = Refusals(store)
        self.fleet = fleet
        self.settings = settings
        self._lock = threading.Lock()
        self._agents: dict[str, Agent] = {}
        self._read_s = -inf
        self._heard: dict[str, tuple[int, float]] = {}
        self._lives: dict[str, list[str]] = {}
        self._kept_s = 0.0

    def token(self, site: str, *, valid_s: float, now_s: float) -> str:
        """Lets one agent in, as `site`, once. Shown once: the store keeps its hash."""
        self._known(site)
        token = f"helio-{secrets.token_urlsafe(24)}"
        with self.store.write() as tx:
            agents.add_token(tx, _digest(token), site, now_s + valid_s)
        return token

    def join(self, body: bytes, now_s: float, address: str = "") -> Joined:
        asked = wire.decoded(body, Join)
        wire.check_key(asked.key)
        digest = _digest(asked.token)
        with self.store.write() as tx:
            site = agents.use_token(tx, digest, now_s)
            if site is not None:
                # Another agent of the site may still have what it was told of: this one begins none of it.
                agents.hold(tx, site, now_s)
                devices = self._devices(site) or asked.devices
                agents.put_agent(tx, Agent(site, asked.key, devices, self.settings.lease_s, 0, now_s))
            whose = site or agents.token_site(tx, digest)
        if site is None:
            why = f"the token of {whose} was shown again, or too late" if whose else "a token that nobody was given"
            self.refusals.note("join", why, address=address, about=whose)
            raise BadSignature(
                "this token lets nobody in", cause="it is unknown, too old, or was used", hint="helio site token NAME"
            )
        self._drop(site)
        return Joined(site, self.settings.lease_s, self.settings.sync_s)

    def shut_out(self, site: str) -> None:
        """Its agent is believed no more, and ends what it runs when its lease is over; a token lets another in."""
        with self.store.write() as tx:
            if not agents.shut_out(tx, site):
                raise UnknownName(f"no agent speaks for {site}", hint=f"helio site token {site} lets one in")
        self._drop(site)

    def sync_all(self, told: Sequence[Told], now_s: float) -> list[bytes | HelioError]:
        """Each is answered or refused by itself; the store is read once for all of them, and written once at most.

        Whatever is to be kept of them is durable when this returns.
        """
        answers: list[bytes | HelioError] = [_UNHEARD] * len(told)
        heard = []
        for place, one in enumerate(told):
            try:
                heard.append(_Heard(place, *self._heard_from(one, now_s)))
            except HelioError as error:
                answers[place] = error
        for once in _no_site_twice(heard):
            try:
                said = self._take(once, now_s)
            except StoreError as error:
                said = dict.fromkeys((one.place for one in once), error)
            for place, answer in said.items():
                answers[place] = answer if isinstance(answer, HelioError) else msgspec.json.encode(answer)
        self._note_heard(now_s)
        return answers

    def _heard_from(self, told: Told, now_s: float) -> tuple[Sync, Agent]:
        """Refuses what the site did not sign, and what it signed before something that was taken already."""
        said = wire.decoded(told.body, Sync)
        agent = self._signed(said, told, now_s)
        with self._lock:
            last = max(agent.number, self._heard.get(said.site, (0, 0.0))[0])
            if said.number <= last:
                raise StaleRequest(f"number {said.number} was used already", last=last)
            self._heard[said.site] = (said.number, now_s)
        self._one_life(said, told.address)
        return said, agent

    def _take(self, heard: Sequence[_Heard], now_s: float) -> dict[int, _Synced | HelioError]:
        """By their places. What each reports becomes true in the one transaction; then they are told what is theirs."""
        sites = [one.said.site for one in heard]
        with self.store.read() as tx:
            known = agents.errands(tx, sites)
            wanted: dict[str, list[Wanted]] = {}
            for site, name, after in reports.outputs_asked(tx, sites, now_s - ASKED_FOR_S):
                wanted.setdefault(site, []).append(Wanted(name, after))
        news = [self._news(one, known[one.said.site], wanted.get(one.said.site, ()), now_s) for one in heard]
        kept: dict[int, frozenset[str] | None] = {}
        if any(one.worth_keeping for one in news):
            with self.store.write() as tx:
                kept = {one.heard.place: one.keep(tx, now_s) for one in news if one.worth_keeping}
        answers: dict[int, _Synced | HelioError] = {}
        for one in news:
            said, withdrawn = one.heard.said, kept.get(one.heard.place, frozenset())
            answers[one.heard.place] = (
                StaleRequest(f"number {said.number} was used already", last=said.number)
                if withdrawn is None
                else _Synced(said.number, one.errands(withdrawn), tuple(wanted.get(said.site, ())))
            )
        return answers

    def _news(self, heard: _Heard, known: dict[str, Known], wanted: Sequence[Wanted], now_s: float) -> _News:
        fresh = []
        for told in heard.said.reports:
            report = msgspec.structs.replace(told, why=told.why[:WHY])
            before = known.get(report.name)
            if before is None or (report.seen, report.why) == (before.seen, before.why):
                continue
            sent_s = now_s if before.sent_s is None else before.sent_s
            over = report.seen in OVER
            fresh.append((report, self._ending(report, heard, now_s, sent_s) if over else None))
        asked = {one.name for one in wanted}
        return _News(heard, known, tuple(fresh), tuple(tail for tail in heard.said.tails if tail.name in asked))

    def _ending(self, report: Report, heard: _Heard, now_s: float, sent_s: float) -> Ending:
        """As far as it is believed."""
        exit_ = report.exit if report.seen is Seen.EXITED else None
        ended = msgspec.json.encode(exit_).decode() if exit_ else None
        if report.measurement is None:
            return Ending(ended)
        measured = _on_our_clock(report.measurement, now_s - heard.said.at_s, heard.agent.site)
        why = impossible(measured, heard.agent.devices, sent_s, now_s)
        if why:
            self.refusals.note("report a reading", why, who=heard.agent.site, about=report.name)
            return Ending(ended, refused=f"{heard.agent.site}: {why}")
        return Ending(ended, msgspec.json.encode(measured).decode())

    def _signed(self, said: Sync, told: Told, now_s: float) -> Agent:
        """The agent whose key signed it; anybody else is turned away, and that is noted."""
        try:
            agent = self._agent(said.site, now_s)
            wire.check(agent.key, told.body, told.signature)
        except BadSignature as error:
            self.refusals.note("speak for a site", error.what, address=told.address, about=said.site)
            raise
        return agent

    def _one_life(self, told: Sync, address: str) -> None:
        """A process that was followed by another does not come again, unless somebody took its key elsewhere.

        Nobody can tell which of the two is the right one: neither is believed until a token lets one in.
        """
        with self._lock:
            lives = self._lives.setdefault(told.site, [])
            if not told.life or lives[-1:] == [told.life]:
                return
            twice = told.life in lives
            lives.append(told.life)
            del lives[:-LIVES]
        if twice:
            self.shut_out(told.site)
            why = "two agents speak with one key: both are shut out"
            self.refusals.note("speak for a site", why, address=address, about=told.site)
            raise BadSignature(f"{told.site}: {why}", hint=f"helio site token {told.site} lets one in")

    def _drop(self, site: str) -> None:
        with self._lock:
            self._agents.pop(site, None)
            self._heard.pop(site, None)
            self._lives.pop(site, None)

    def _agent(self, site: str, now_s: float) -> Agent:
        """As all were a moment ago: another process may have shut it out since."""
        with self._lock:
            if not 0 <= now_s - self._read_s <= KEPT_S:
                with self.store.read() as tx:
                    self._agents = agents.agents(tx)
                self._read_s = now_s
            found = self._agents.get(site)
        if found is None:
            with self.store.read() as tx:
                found = agents.agent(tx, site)
            if found is not None:
                with self._lock:
                    self._agents[site] = found
        if found is None or not found.key:
            raise BadSignature(f"no agent of {site} was let in", hint=f"helio site token {site}")
        return found

    def _note_heard(self, now_s: float) -> None:
        """All that were heard, in one transaction, now and then."""
        with self._lock:
            if 0 <= now_s - self._kept_s < KEPT_S:
                return
            self._kept_s = now_s
            heard = dict(self._heard)
        with self.store.write() as tx:
            agents.heard_all(tx, [(site, number, at_s) for site, (number, at_s) in heard.items()])

    def _known(self, site: str) -> None:
        names = [one.name for one in self.fleet.sites if one.engine == "agent"]
        if site not in names:
            raise UnknownName(
                f"no site called {site} is reached by an agent",
                field="site",
                hint=nearest(site, names) if names else 'give it engine = "agent" in the fleet file',
            )

    def _devices(self, site: str) -> tuple[Device, ...]:
        return next((one.devices for one in self.fleet.sites if one.name == site), ())


class Presence(msgspec.Struct, frozen=True):
    """An agent that was let in. `silent_s`: since it was heard. `believed`: not where it was shut out since."""

    site: str
    silent_s: float
    lease_s: float
    believed: bool


def present(store: Store) -> tuple[Presence, ...]:
    now_s = time.time()
    with store.read() as tx:
        found = agents.agents(tx).values()
    return tuple(Presence(one.site, max(0.0, now_s - one.heard_s), one.lease_s, bool(one.key)) for one in found)


def _on_our_clock(measurement: Measurement, ahead_s: float, site: str) -> Measurement:
    """Hours are what carbon goes by, so a clock that is wrong would bill the wrong ones."""
    if abs(ahead_s) <= CLOCK_S:
        return measurement
    moved = footprint.shift(measurement, ahead_s)
    flag = f"the clock of {site} was {-ahead_s:+.0f} s off: its readings were moved"
    return msgspec.structs.replace(moved, flags=(*moved.flags, flag))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
