"""State between sites: where it lies, who may have it, and its way there, noted so that each byte is counted once.

Where both ends are folders that this machine sees, a state goes straight. A site with an agent lays its states down at
the house, and fetches them there (`agents/states`): whoever has one asks for it by an errand, and waits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from heliotrope.checkpoint.carry import Lack, drop, lack, pull
from heliotrope.checkpoint.depots import FolderSource, Source
from heliotrope.errors import EngineError, Infeasible
from heliotrope.files import write_whole
from heliotrope.fleet import Fleet
from heliotrope.model import Run, Site, Workload
from heliotrope.run import engines
from heliotrope.run.agents.wire import Wish
from heliotrope.run.engines.agent import AgentEngine
from heliotrope.run.engines.protocol import Left, Task
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.meeting import Laid, Meeting
from heliotrope.run.working.ways import Stop, Ways

AGENT = "agent"


class Carry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sent_bytes` of `whole_bytes` were missing when it began; wall times; `ended_s` None while it is on its way.

    Where neither end is this house, it came `via` it, and `up_bytes` were sent to there before.
    """

    origin: str
    target: str
    digest: str
    whole_bytes: int
    sent_bytes: int
    began_s: float
    ended_s: float | None = None
    via: str = ""
    up_bytes: int = 0


class Journey(msgspec.Struct, frozen=True):
    """From where the attempt `left_by` saved it, to where the attempt `run` goes on with it. `house`: our own site."""

    run: str
    left_by: str
    workload: Workload
    origin: Site
    target: Site
    house: str

    @property
    def from_agent(self) -> bool:
        return self.origin.engine == AGENT

    @property
    def to_agent(self) -> bool:
        return self.target.engine == AGENT


def state_folder(home: Path, site: str, workload: str) -> Path:
    """What a work saved at a site that this machine's disk serves; the last part is the same at every site."""
    return home / "checkpoints" / site / workload


def may_have(workload: Workload, site: Site) -> bool:
    """A state has seen the data, and obeys the same law."""
    here = {site.jurisdiction, site.country}
    return all(not data.jurisdictions or here & set(data.jurisdictions) for data in workload.data)


def carriable(workload: Workload, fleet: Fleet) -> bool:
    """Whether its state can be carried between all sites: to and from agents it goes by way of the house."""
    return may_have(workload, fleet.site(fleet.home)) or all(site.engine != AGENT for site in fleet.sites)


def note_of(run: Path) -> Carry | None:
    """Of an attempt, in its folder."""
    try:
        return msgspec.json.decode((run / "carry.json").read_bytes(), type=Carry)
    except FileNotFoundError:
        return None


def write_note(run: Path, note: Carry) -> None:
    write_whole(run / "carry.json", msgspec.json.encode(note))


def came(run: Path, digest: str, sent_bytes: int, began_s: float, ended_s: float | None) -> None:
    """As its agent says. What was said of another state, or after it was whole, changes nothing."""
    note = note_of(run)
    if note is not None and note.digest == digest and note.ended_s is None:
        write_note(run, msgspec.structs.replace(note, sent_bytes=sent_bytes, began_s=began_s, ended_s=ended_s))


def fetch(
    source: Source, note: Carry, run: Path, folder: Path, stop: Stop, tell: Callable[[Carry], None] = lambda _: None
) -> None:
    """Noted, and told, before the first byte: what is sent after a break was counted then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    asked = lack(source, note.digest, folder)
    note = _noted(run, note, asked)
    tell(note)
    pull(source, asked, folder, stop=stop)
    note = msgspec.structs.replace(note, ended_s=time.time())
    tell(note)
    write_note(run, note)


def _noted(run: Path, note: Carry, asked: Lack) -> Carry:
    before = note_of(run)
    if before is not None and (before.origin, before.target, before.digest) == (note.origin, note.target, note.digest):
        return before
    note = msgspec.structs.replace(note, whole_bytes=asked.whole_bytes, sent_bytes=asked.missing_bytes)
    write_note(run, note)
    return note


class Mover:
    """One a home. Each state on its way has a thread; a kill loses only what had not come."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._ways = Ways()

    def arrived(self, journey: Journey | None) -> bool:
        """Nothing has to come, or all of it has; with an agent ahead: it lies here, to be fetched."""
        if journey is None or journey.origin.name == journey.target.name:
            return True
        note = note_of(self._run(journey.run))
        if note is not None and _is_of(note, journey) and note.ended_s is not None:
            return True
        if journey.from_agent:
            return self._is_answered(journey) and (journey.to_agent or self._laid(journey) is None)
        if not _holds(state_folder(self.home, journey.origin.name, journey.workload.id)):
            return True
        laid = self._laid(journey)
        return journey.to_agent and laid is not None and laid.run == journey.left_by

    def carry(self, journey: Journey) -> None:
        """Begins it, or looks how it goes; raises what broke it, and tries again after a while."""
        _refuse_unlawful(journey)
        if journey.from_agent and not self._is_answered(journey):
            self._ask(journey)
            return
        broke = self._ways.go(journey.run, lambda stop: self._go(journey, stop))
        if broke is not None:
            raise _stuck(journey, f"{broke.what}{f': {broke.cause}' if broke.cause else ''}") from broke

    def depart(self, journey: Journey) -> None:
        """Before an agent is told to begin: its attempt is charged for what comes, and knows what it waits for."""
        laid = self._laid(journey)
        if journey.to_agent and journey.origin.name != journey.target.name and laid is not None:
            self._charge(journey, laid)

    def missed(self, journey: Journey) -> str:
        """What should have come from an agent and did not, if anything."""
        if not journey.from_agent or journey.origin.name == journey.target.name:
            return ""
        laid = self._laid(journey)
        if laid is not None and laid.run == journey.left_by:
            return ""
        then = "begins anew" if laid is None else "goes on with what was saved before"
        return f"nothing of {journey.left_by} came from {journey.origin.name}: {then}"

    def left(self, run: str, site: Site) -> Left | None:
        """What an agent has to fetch before it begins this attempt: until it says that it has it."""
        note = note_of(self._run(run))
        if note is None or site.engine != AGENT or note.target != site.name or note.ended_s is not None:
            return None
        return Left(note.origin, note.digest)

    def tidy(self, workload: str, attempts: Sequence[Run], fleet: Fleet) -> None:
        """Of work that is over for good: what it saved stays where that was last, and nowhere else."""
        for one in attempts:
            self._ways.end(one.id)
        began = [one for one in attempts if one.handle and self.left(one.id, fleet.site(one.site)) is None]
        stays = began[-1].site if began else ""
        for one in attempts:
            site = fleet.site(one.site)
            if site.name != stays and site.engine != AGENT:
                drop(state_folder(self.home, site.name, workload))
            elif site.name != stays and one.handle:
                far(site).ask(self._task(f"{one.id}/drop", site, workload), Wish.DROP)
        Meeting(self.home, workload).drop()

    def at_several(self) -> list[str]:
        """Work whose state lies at more than one of the sites here, or between sites."""
        folders = Counter(folder.name for folder in (self.home / "checkpoints").glob("*/*"))
        meeting = {folder.name for folder in (self.home / "states").glob("*")}
        return sorted(meeting | {name for name, times in folders.items() if times > 1})

    def close(self) -> None:
        """What is on its way stops between two pieces."""
        self._ways.close()

    def _go(self, journey: Journey, stop: Stop) -> None:
        work, origin, target = journey.workload.id, journey.origin.name, journey.target.name
        meeting, run = Meeting(self.home, work), self._run(journey.run)
        if journey.to_agent:
            meeting.lay(journey.left_by, origin, state_folder(self.home, origin, work))
            return
        folder = state_folder(self.home, target, work)
        if journey.from_agent:
            laid = self._laid(journey)
            assert laid is not None, "asked for by whoever saw it"
            fetch(meeting.depot, self._charge(journey, laid), run, folder, stop)
            return
        source = FolderSource(state_folder(self.home, origin, work))
        fetch(source, Carry(origin, target, source.manifest.digest, 0, 0, time.time()), run, folder, stop)

    def _ask(self, journey: Journey) -> None:
        """An agent lays it down as soon as it hears of this; from then on the attempt is charged for it."""
        engine, name = far(journey.origin), f"{journey.left_by}/state"
        engine.ask(self._task(name, journey.origin, journey.workload.id), Wish.SEND)
        coming = Meeting(self.home, journey.workload.id).coming
        if coming is not None and coming.run == journey.left_by:
            self._charge(journey, coming)
        sight = engine.observe(self._handle(name))
        if sight.seen is Seen.ALIVE and sight.why:
            raise _stuck(journey, sight.why)

    def _is_answered(self, journey: Journey) -> bool:
        """It lies here; or nothing more comes from there, and what lies here from earlier has to do."""
        laid = Meeting(self.home, journey.workload.id).laid
        if laid is not None and laid.run == journey.left_by:
            return True
        return far(journey.origin).is_answered(self._handle(f"{journey.left_by}/state"))

    def _charge(self, journey: Journey, laid: Laid) -> Carry:
        """What came up to here is known; what goes on to an agent is told by it."""
        note = note_of(self._run(journey.run))
        if note is not None and _is_of(note, journey) and note.digest == laid.digest:
            return note
        note = Carry(
            journey.origin.name, journey.target.name, laid.digest, laid.whole_bytes, laid.sent_bytes, laid.began_s
        )
        if journey.to_agent and journey.from_agent:
            note = msgspec.structs.replace(note, sent_bytes=0, via=journey.house, up_bytes=laid.sent_bytes)
        write_note(self._run(journey.run), note)
        return note

    def _laid(self, journey: Journey) -> Laid | None:
        """What waits here, if anything was saved at all."""
        laid = Meeting(self.home, journey.workload.id).laid
        return None if laid is None or laid.is_empty else laid

    def _task(self, name: str, site: Site, workload: str) -> Task:
        saved = str(state_folder(self.home, site.name, workload))
        return Task(self._handle(name), (), "/", {}, saved, interval_s=1.0, site=site.name)

    def _handle(self, name: str) -> str:
        return str(self.home / "runs" / name)

    def _run(self, run: str) -> Path:
        return self.home / "runs" / run


def far(site: Site) -> AgentEngine:
    engine = engines.of(site)
    assert isinstance(engine, AgentEngine), "only agents' sites are asked for what they hold"
    return engine


def _stuck(journey: Journey, why: str) -> EngineError:
    return EngineError(
        f"the state of {journey.workload.id} cannot come from {journey.origin.name} to {journey.target.name} now",
        cause=why,
        hint="it goes on where it was, in a moment",
    )


def _holds(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_of(note: Carry, journey: Journey) -> bool:
    return (note.origin, note.target) == (journey.origin.name, journey.target.name)


def _refuse_unlawful(journey: Journey) -> None:
    if not may_have(journey.workload, journey.target):
        raise Infeasible(
            f"the state of {journey.workload.id} may not go to {journey.target.name}",
            cause=f"it has seen data that may not be under {journey.target.jurisdiction or 'unknown'} law",
            hint="name the sites that may have it, or let the data go there",
        )
