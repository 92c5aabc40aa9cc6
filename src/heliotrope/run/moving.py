"""State between sites: where it lies, who may have it, and its way there, noted so that each byte is counted once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec

from heliotrope.checkpoint.carry import Lack, lack, pull, push
from heliotrope.checkpoint.depots import Depot, FolderSource, Source, depot
from heliotrope.errors import EngineError, HelioError, Infeasible
from heliotrope.files import write_whole
from heliotrope.fleet import Fleet
from heliotrope.model import Site, Workload

AGENT = "agent"
PATIENCE_S = 2.0  # before a transfer that broke is tried again; doubled each time
LONGEST_S = 300.0


class Carry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sent_bytes` of `whole_bytes` were missing when it began; wall times; `ended_s` None while it is on its way."""

    origin: str
    target: str
    digest: str
    whole_bytes: int
    sent_bytes: int
    began_s: float
    ended_s: float | None = None


class Left(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an attempt left for whoever goes on: the digest under which its site's depot has it."""

    digest: str


def state_folder(home: Path, site: str, workload: str) -> Path:
    """What a work saved at a site that this machine's disk serves; the last part is the same at every site."""
    return home / "checkpoints" / site / workload


def depot_of(home: Path, site: Site, workload: str) -> Depot:
    """Where states of a site are fetched from whose disk is not seen here."""
    return depot(f"{site.depot.rstrip('/')}/{workload}" if site.depot else str(home / "depots" / site.name / workload))


def may_have(workload: Workload, site: Site) -> bool:
    """A state has seen the data, and obeys the same law."""
    here = {site.jurisdiction, site.country}
    return all(not data.jurisdictions or here & set(data.jurisdictions) for data in workload.data)


def passes_home(site: Site) -> bool:
    """Whether what comes from there, or goes there, lies at the controller's own site on its way."""
    return site.engine == AGENT and not site.depot


def carriable(workload: Workload, fleet: Fleet) -> bool:
    """Whether a state may take every way that a plan with moves could ask for."""
    if any(site.engine == AGENT for site in fleet.sites):
        return False
    return may_have(workload, fleet.site(fleet.home)) or not any(passes_home(site) for site in fleet.sites)


def note_of(folder: Path) -> Carry | None:
    """Of an attempt, in its folder."""
    try:
        return msgspec.json.decode((folder / "carry.json").read_bytes(), type=Carry)
    except FileNotFoundError:
        return None


class Mover:
    """One a home. Each state on its way has a thread; a kill loses only what had not come."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._under_way: dict[str, _Way] = {}
        self._broken: dict[str, tuple[float, float]] = {}

    def arrived(self, run_id: str, workload_id: str, origin: Site | None, target: str) -> bool:
        """Nothing has to come, or it has. `origin`: where an attempt before it ran last, if any did."""
        if origin is None or origin.name == target:
            return True
        note = note_of(self._folder(run_id))
        if note is not None and (note.origin, note.target) == (origin.name, target) and note.ended_s is not None:
            return True
        return not self._left(origin, workload_id)

    def carry(self, run_id: str, workload: Workload, origin: Site, target: Site, home: Site) -> None:
        """Begins it, or looks how it goes; raises what broke it, and tries again after a while."""
        way = self._under_way.get(run_id)
        if way is None:
            broke_s, wait_s = self._broken.get(run_id, (0.0, 0.0))
            if time.monotonic() - broke_s < wait_s:
                return
            _refuse_unlawful(workload, origin, target, home)
            way = _Way(self.home, self._folder(run_id), workload.id, origin, target)
            self._under_way[run_id] = way
            way.start()
        if way.is_alive():
            return
        del self._under_way[run_id]
        if way.broke is None:
            self._broken.pop(run_id, None)
            return
        _, wait_s = self._broken.get(run_id, (0.0, PATIENCE_S / 2))
        self._broken[run_id] = (time.monotonic(), min(2 * wait_s, LONGEST_S))
        raise EngineError(
            f"the state of {workload.id} cannot come from {origin.name} to {target.name} now",
            cause=f"{way.broke.what}{f': {way.broke.cause}' if way.broke.cause else ''}",
            hint="it goes on where it was, in a moment",
        ) from way.broke

    def close(self) -> None:
        """What is on its way stops between two pieces."""
        for way in self._under_way.values():
            way.stop.set()
        for way in self._under_way.values():
            way.join()
        self._under_way.clear()

    def _folder(self, run_id: str) -> Path:
        return self.home / "runs" / run_id

    def _left(self, origin: Site, workload_id: str) -> bool:
        """Whether anything was saved there."""
        if origin.engine == AGENT:
            return (self.home / "depots" / origin.name / f"{workload_id}.json").exists()
        folder = state_folder(self.home, origin.name, workload_id)
        return folder.is_dir() and any(folder.iterdir())


class _Way(threading.Thread):
    """One state's way from one site to another."""

    def __init__(self, home: Path, run: Path, workload: str, origin: Site, target: Site) -> None:
        super().__init__(name=f"helio-carry-{run.name}", daemon=True)
        self.home, self.attempt, self.workload, self.origin, self.target = home, run, workload, origin, target
        self.stop = threading.Event()
        self.broke: HelioError | None = None

    def run(self) -> None:
        try:
            self._go()
        except HelioError as error:
            self.broke = error
        except OSError as error:
            self.broke = EngineError("the disk refused it", cause=str(error))

    def _go(self) -> None:
        source, digest = self._source()
        folder = state_folder(self.home, self.target.name, self.workload)
        folder.parent.mkdir(parents=True, exist_ok=True)
        asked = lack(source, digest, folder)
        note = self._noted(digest, asked)
        pull(source, asked, folder, stop=self.stop.is_set)
        self._write(msgspec.structs.replace(note, ended_s=time.time()))

    def _source(self) -> tuple[Source, str]:
        """The folder itself where it is seen here; else what its agent laid into a depot."""
        if self.origin.engine != AGENT:
            found = FolderSource(state_folder(self.home, self.origin.name, self.workload))
            return found, found.manifest.digest
        left = msgspec.json.decode(
            (self.home / "depots" / self.origin.name / f"{self.workload}.json").read_bytes(), type=Left
        )
        return depot_of(self.home, self.origin, self.workload), left.digest

    def _noted(self, digest: str, asked: Lack) -> Carry:
        """Written before the first byte: what is sent after a break was counted then."""
        note = note_of(self.attempt)
        if note is not None and (note.origin, note.target, note.digest) == (
            self.origin.name,
            self.target.name,
            digest,
        ):
            return note
        note = Carry(self.origin.name, self.target.name, digest, asked.whole_bytes, asked.missing_bytes, time.time())
        self._write(note)
        return note

    def _write(self, note: Carry) -> None:
        write_whole(self.attempt / "carry.json", msgspec.json.encode(note))


def _refuse_unlawful(workload: Workload, origin: Site, target: Site, home: Site) -> None:
    through = (home,) if passes_home(origin) or passes_home(target) else ()
    for site in (target, *through):
        if not may_have(workload, site):
            raise Infeasible(
                f"the state of {workload.id} may not go to {site.name}",
                cause=f"it has seen data that may not be under {site.jurisdiction or 'unknown'} law",
                hint="name the sites that may have it, or let the data go there",
            )


__all__ = ["Carry", "Left", "Mover", "carriable", "depot_of", "may_have", "note_of", "push", "state_folder"]
