"""The side that has the work: lets agents in, tells each what is its to do, and takes what it reports."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from pathlib import Path

import msgspec

from heliotrope import footprint
from heliotrope.config import AgentSettings
from heliotrope.errors import BadSignature, StaleRequest, UnknownName, nearest
from heliotrope.fleet import Fleet
from heliotrope.model import Device, Measurement
from heliotrope.run.agents import tails, wire
from heliotrope.run.agents.belief import CLOCK_S, impossible
from heliotrope.run.agents.wire import Errand, Join, Joined, Report, Sync, Synced, Wish
from heliotrope.run.engines.protocol import Task
from heliotrope.run.lifecycle import Seen
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.working.folder import Folder
from heliotrope.store import Store, agents
from heliotrope.store.agents import Agent

KEPT_S = 5.0  # being heard is noted in the store that often, and who may speak looked up: others look there too
LIVES = 32  # processes of an agent that are remembered
OVER = frozenset({Seen.EXITED, Seen.GONE})


class Office:
    """One home's. Calls may come from any thread."""

    def __init__(self, store: Store, home: Path, fleet: Fleet, settings: AgentSettings) -> None:
        self.store = store
        self.refusals = Refusals(store)
        self.runs = home / "runs"
        self.fleet = fleet
        self.settings = settings
        self._lock = threading.Lock()
        self._agents: dict[str, tuple[Agent, float]] = {}
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

    def sync(self, body: bytes, signature: str, now_s: float, address: str = "") -> Synced:
        """Refuses what the site did not sign, and what it signed before something that was taken already."""
        told = wire.decoded(body, Sync)
        agent = self._signed(told, body, signature, now_s, address)
        with self._lock:
            last = max(agent.number, self._heard.get(told.site, (0, 0.0))[0])
            if told.number <= last:
                raise StaleRequest(f"number {told.number} was used already", last=last)
            self._heard[told.site] = (told.number, now_s)
        self._one_life(told, address)
        with self.store.read() as tx:
            known = {one.name: one for one in agents.errands(tx, told.site)}
            wanted = tails.wanted(tx, self.runs, told.site, now_s)
        fresh = [
            r for r in told.reports if r.name in known and (r.seen, r.why) != (known[r.name].seen, known[r.name].why)
        ]
        unsent = [name for name, one in known.items() if one.sent_s is None]
        tails.lay(self.runs, told.tails, frozenset(one.name for one in wanted), now_s)
        for report in fresh:
            sent_s = known[report.name].sent_s
            if report.seen in OVER:
                self._take(report, agent, told.at_s, now_s, now_s if sent_s is None else sent_s)
        if fresh or unsent:
            with self.store.write() as tx:
                agents.heard(tx, told.site, told.number, now_s)
                agents.sent(tx, unsent, now_s)
                for report in fresh:
                    agents.report(
                        tx,
                        report.name,
                        report.seen.value,
                        report.why,
                        now_s,
                        there=report.seen is not Seen.ABSENT,
                        over=report.seen in OVER,
                    )
        self._note_heard(now_s)
        over = {report.name for report in fresh if report.seen in OVER}
        there = {report.name for report in fresh if report.seen is not Seen.ABSENT}
        return Synced(
            told.number,
            tuple(
                Errand(
                    one.name,
                    Wish(one.wish),
                    msgspec.json.decode(one.task, type=Task),
                    held=one.held_s is not None or one.name in there,
                )
                for one in known.values()
                if one.name not in over
            ),
            wanted,
        )

    def _signed(self, told: Sync, body: bytes, signature: str, now_s: float, address: str) -> Agent:
        """The agent whose key signed it; anybody else is turned away, and that is noted."""
        try:
            agent = self._agent(told.site, now_s)
            wire.check(agent.key, body, signature)
        except BadSignature as error:
            self.refusals.note("speak for a site", error.what, address=address, about=told.site)
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

    def _take(self, report: Report, agent: Agent, said_s: float, now_s: float, sent_s: float) -> None:
        """What it measured, then how it ended: whoever sees the end finds the measurement."""
        folder = Folder(self.runs / report.name)
        if folder.exit is not None or (report.exit is None and report.seen is Seen.EXITED):
            return
        folder.path.mkdir(parents=True, exist_ok=True)
        if report.measurement is not None:
            why = impossible(report.measurement, agent.devices, now_s - sent_s)
            if why:
                folder.write("refused", f"{agent.site}: {why}")
                self.refusals.note("report a reading", why, who=agent.site, about=report.name)
            else:
                folder.write("measurement", _on_our_clock(report.measurement, now_s - said_s, agent.site))
        if report.exit is not None and report.seen is Seen.EXITED:
            folder.write("exit", report.exit)

    def _agent(self, site: str, now_s: float) -> Agent:
        """As it was a moment ago: another process may have shut it out since."""
        with self._lock:
            found, read_s = self._agents.get(site, (None, 0.0))
        if found is None or not 0 <= now_s - read_s <= KEPT_S:
            with self.store.read() as tx:
                found = agents.agent(tx, site)
            if found is None or not found.key:
                raise BadSignature(f"no agent of {site} was let in", hint=f"helio site token {site}")
            with self._lock:
                self._agents[site] = (found, now_s)
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
