"""The house's side of states on their way: an agent lays down, or fetches, what an errand of its own site names."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import msgspec

from heliotrope.checkpoint.manifest import Manifest, decoded, name_of
from heliotrope.checkpoint.shelf import CHUNK_BYTES
from heliotrope.config import AgentSettings
from heliotrope.errors import BadSignature, InvalidInput, NotAllowed, StaleRequest, StoreError
from heliotrope.fleet import Fleet
from heliotrope.run.agents import wire
from heliotrope.run.agents.wire import Act, Ask, Came, Missing, Wish
from heliotrope.run.engines.protocol import Task
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.working.meeting import Laid, Meeting
from heliotrope.run.working.moving import came, may_have
from heliotrope.store import Store, agents, runs
from heliotrope.units import show_bytes

SPARE_BYTES = 64 << 20  # of this disk: what runs here has to be written down, too


class _Case(msgspec.Struct, frozen=True):
    """An errand of the site that asks. `run`: the attempt that it belongs to."""

    name: str
    run: str
    site: str
    wish: Wish
    task: Task
    work: str


class States:
    """One home's. Calls may come from any thread."""

    def __init__(self, store: Store, home: Path, fleet: Fleet, settings: AgentSettings, refusals: Refusals) -> None:
        self.store, self.home, self.fleet, self.settings, self.refusals = store, home, fleet, settings, refusals
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._offers: dict[str, Manifest] = {}

    def take(self, body: bytes, signature: str, now_s: float, address: str = "") -> bytes:
        line, _, data = body.partition(b"\n")
        ask = wire.decoded(line, Ask)
        self._heard(ask, line, signature, address)
        if ask.act is not Act.GET and name_of(data) != ask.digest:
            raise InvalidInput("these bytes are not what they are called", field="digest", found=ask.digest)
        case = self._case(ask, address)
        match ask.act:
            case Act.OFFER:
                return msgspec.json.encode(self._offered(case, data))
            case Act.PUT:
                self._put(case, ask.digest, data)
                return b""
            case Act.GET:
                return self._get(case, ask.digest)
            case Act.CAME:
                self._came(case, wire.decoded(data, Came), now_s)
                return b""

    def _heard(self, ask: Ask, line: bytes, signature: str, address: str) -> None:
        """Refuses what the site did not sign, and what it signed before something that was taken already."""
        with self.store.read() as tx:
            agent = agents.agent(tx, ask.site)
        try:
            if agent is None or not agent.key:
                raise BadSignature(f"no agent of {ask.site} was let in", hint=f"helio site token {ask.site}")
            wire.check(agent.key, line, signature)
        except BadSignature as error:
            self.refusals.note("speak for a site", error.what, address=address, about=ask.site)
            raise
        with self._lock:
            last = self._numbers.get(ask.site, 0)
            if ask.number <= last:
                raise StaleRequest(f"number {ask.number} was used already", last=last)
            self._numbers[ask.site] = ask.number

    def _case(self, ask: Ask, address: str) -> _Case:
        """Errands of other sites do not exist for it; nor does a state that the law keeps from it, or from here."""
        with self.store.read() as tx:
            errand = agents.errand(tx, ask.errand)
            if errand is None or errand.site != ask.site or errand.over:
                self.refusals.note("reach a state", "not an errand of this site", who=ask.site, address=address)
                raise NotAllowed(f"{ask.site} has no errand called {ask.errand}")
            task = msgspec.json.decode(errand.task, type=Task)
            work = Path(task.checkpoint).name
            workload = runs.workload(tx, work)
        for site in {ask.site, self.fleet.home}:
            if workload is None or not may_have(workload, self.fleet.site(site)):
                why = f"it has seen data that may not be at {site}"
                self.refusals.note("reach a state", why, who=ask.site, address=address, about=work)
                raise NotAllowed(f"the state of {work} does not go this way", cause=why)
        return _Case(errand.name, errand.name.rpartition("/")[0], errand.site, Wish(errand.wish), task, work)

    # Laid down

    def _offered(self, case: _Case, data: bytes) -> Missing:
        if case.wish is not Wish.SEND:
            raise NotAllowed(f"nobody asked for the state of {case.name}")
        manifest, meeting = decoded(data), Meeting(self.home, case.work)
        for name, size in manifest.sizes.items():
            if not 0 < size <= CHUNK_BYTES:
                raise InvalidInput("a piece of another size", field=name, found=size, allowed=f"1 to {CHUNK_BYTES}")
        if manifest.whole_bytes > self.settings.state_bytes:
            raise InvalidInput(
                f"the state of {case.work} is too large for this house",
                field="agents.state_bytes",
                found=show_bytes(manifest.whole_bytes),
                allowed=show_bytes(self.settings.state_bytes),
            )
        missing = meeting.depot.missing(list(manifest.sizes))
        meeting.begin(case.run, case.site, manifest, missing)
        if not missing:
            meeting.end(manifest)
        elif shutil.disk_usage(meeting.folder.path).free - SPARE_BYTES < manifest.bytes_of(missing):
            raise StoreError(f"no room for {show_bytes(manifest.bytes_of(missing))} here")
        with self._lock:
            if missing:
                self._offers[case.name] = manifest
            else:
                self._offers.pop(case.name, None)
        return Missing(tuple(missing))

    def _put(self, case: _Case, name: str, data: bytes) -> None:
        with self._lock:
            offer = self._offers.get(case.name)
        if case.wish is not Wish.SEND or offer is None or offer.sizes.get(name) != len(data):
            raise InvalidInput("a piece of no state that was offered", field="digest", found=name)
        Meeting(self.home, case.work).depot.put([(name, data)])

    # Fetched

    def _get(self, case: _Case, digest: str) -> bytes:
        laid = self._left_for(case)
        meeting = Meeting(self.home, case.work)
        if digest != laid.digest and digest not in meeting.manifest(laid.digest).sizes:
            raise NotAllowed("no piece of the state that is waited for", cause=digest)
        return next(meeting.depot.get([digest]))[1]

    def _came(self, case: _Case, told: Came, now_s: float) -> None:
        """What its agent says, as far as it can be true: no more came than there is."""
        laid = self._left_for(case)
        if told.sent_bytes > laid.whole_bytes:
            why = f"it says that {told.sent_bytes} of {laid.whole_bytes} bytes came"
            self.refusals.note("tell how a state came", why, who=case.site, about=case.name)
            raise InvalidInput("more bytes than there are", field="sent_bytes", found=told.sent_bytes)
        ahead_s = now_s - told.at_s
        ended_s = None if told.ended_s is None else min(told.ended_s + ahead_s, now_s)
        came(self.home / "runs" / case.run, laid.digest, told.sent_bytes, min(told.began_s + ahead_s, now_s), ended_s)

    def _left_for(self, case: _Case) -> Laid:
        laid = Meeting(self.home, case.work).laid
        if case.wish is Wish.SEND or case.task.left is None or laid is None or laid.digest != case.task.left.digest:
            raise NotAllowed(f"no state waits for {case.name}")
        return laid
