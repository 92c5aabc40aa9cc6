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
from heliotrope.run.agents import wire
from heliotrope.run.agents.belief import CLOCK_S, impossible
from heliotrope.run.agents.wire import Errand, Join, Joined, Report, Sync, Synced, Wish
from heliotrope.run.engines.protocol import Task
from heliotrope.run.folder import Folder
from heliotrope.run.lifecycle import Seen
from heliotrope.store import Store, agents
from heliotrope.store.agents import Agent

KEPT_S = 5.0  # being heard is noted in the store that often: others look there, and a lease is long


class Office:
    """One home's. Calls may come from any thread."""

    def __init__(self, store: Store, home: Path, fleet: Fleet, settings: AgentSettings) -> None:
        self.store = store
        self.runs = home / "runs"
        self.fleet = fleet
        self.settings = settings
        self._lock = threading.Lock()
        self._agents: dict[str, Agent] = {}
        self._heard: dict[str, tuple[int, float]] = {}
        self._kept_s = 0.0

    def token(self, site: str, *, valid_s: float, now_s: float) -> str:
        """Lets one agent in, as `site`, once. Shown once: the store keeps its hash."""
        self._known(site)
        token = f"helio-{secrets.token_urlsafe(24)}"
        with self.store.write() as tx:
            agents.add_token(tx, _digest(token), site, now_s + valid_s)
        return token

    def join(self, body: bytes, now_s: float) -> Joined:
        asked = wire.decoded(body, Join)
        wire.check_key(asked.key)
        with self.store.write() as tx:
            site = agents.use_token(tx, _digest(asked.token), now_s)
            if site is None:
                raise BadSignature(
                    "this token lets nobody in",
                    cause="it is unknown, too old, or was used",
                    hint="helio site token NAME",
                )
            devices = self._devices(site) or asked.devices
            agents.put_agent(tx, Agent(site, asked.key, devices, self.settings.lease_s, 0, now_s))
        with self._lock:
            self._agents.pop(site, None)
            self._heard.pop(site, None)
        return Joined(site, self.settings.lease_s, self.settings.sync_s)

    def sync(self, body: bytes, signature: str, now_s: float) -> Synced:
        """Refuses what the site did not sign, and what it signed before something that was taken already."""
        told = wire.decoded(body, Sync)
        agent = self._agent(told.site)
        wire.check(agent.key, body, signature)
        with self._lock:
            last = max(agent.number, self._heard.get(told.site, (0, 0.0))[0])
            if told.number <= last:
                raise StaleRequest(f"number {told.number} was used already", last=last)
            self._heard[told.site] = (told.number, now_s)
        with self.store.read() as tx:
            known = {one.name: one for one in agents.errands(tx, told.site)}
        fresh = [
            r for r in told.reports if r.name in known and (r.seen, r.why) != (known[r.name].seen, known[r.name].why)
        ]
        unsent = [name for name, one in known.items() if one.sent_s is None]
        for report in fresh:
            sent_s = known[report.name].sent_s
            if report.seen is Seen.EXITED:
                self._take(report, agent, told.at_s, now_s, now_s if sent_s is None else sent_s)
        if fresh or unsent:
            with self.store.write() as tx:
                agents.heard(tx, told.site, told.number, now_s)
                agents.sent(tx, unsent, now_s)
                for report in fresh:
                    agents.report(tx, report.name, report.seen.value, report.why, over=report.seen is Seen.EXITED)
        self._note_heard(now_s)
        over = {report.name for report in fresh if report.seen is Seen.EXITED}
        return Synced(
            told.number,
            tuple(
                Errand(one.name, Wish(one.wish), msgspec.json.decode(one.task, type=Task))
                for one in known.values()
                if one.name not in over
            ),
        )

    def _take(self, report: Report, agent: Agent, said_s: float, now_s: float, sent_s: float) -> None:
        """What it measured, then how it ended: whoever sees the end finds the measurement."""
        folder = Folder(self.runs / report.name)
        if folder.exit is not None or report.exit is None:
            return
        folder.path.mkdir(parents=True, exist_ok=True)
        if report.measurement is not None:
            why = impossible(report.measurement, agent.devices, now_s - sent_s)
            if why:
                folder.write("refused", f"{agent.site}: {why}")
            else:
                folder.write("measurement", _on_our_clock(report.measurement, now_s - said_s, agent.site))
        folder.write("exit", report.exit)

    def _agent(self, site: str) -> Agent:
        with self._lock:
            found = self._agents.get(site)
        if found is None:
            with self.store.read() as tx:
                found = agents.agent(tx, site)
            if found is None:
                raise BadSignature(f"no agent of {site} was let in", hint=f"helio site token {site}")
            with self._lock:
                self._agents[site] = found
        return found

    def _note_heard(self, now_s: float) -> None:
        """All that were heard, in one transaction, now and then."""
        with self._lock:
            if now_s - self._kept_s < KEPT_S:
                return
            self._kept_s = now_s
            heard = dict(self._heard)
        with self.store.write() as tx:
            for site, (number, at_s) in heard.items():
                agents.heard(tx, site, number, at_s)

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


def present(store: Store) -> dict[str, float]:
    """Seconds since each agent was last heard."""
    with store.read() as tx:
        return {site: max(0.0, time.time() - one.heard_s) for site, one in agents.agents(tx).items()}


def _on_our_clock(measurement: Measurement, ahead_s: float, site: str) -> Measurement:
    """Hours are what carbon goes by, so a clock that is wrong would bill the wrong ones."""
    if abs(ahead_s) <= CLOCK_S:
        return measurement
    moved = footprint.shift(measurement, ahead_s)
    flag = f"the clock of {site} was {-ahead_s:+.0f} s off: its readings were moved"
    return msgspec.structs.replace(moved, flags=(*moved.flags, flag))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
