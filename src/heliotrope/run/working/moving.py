"""State between sites: where it lies, who may have it, and its way there, noted so that each byte is counted once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec

from heliotrope.checkpoint.carry import Lack, lack, pull
from heliotrope.checkpoint.depots import FolderSource
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


def state_folder(home: Path, site: str, workload: str) -> Path:
    """What a work saved at a site that this machine's disk serves; the last part is the same at every site."""
    return home / "checkpoints" / site / workload


def may_have(workload: Workload, site: Site) -> bool:
    """A state has seen the data, and obeys the same law."""
    here = {site.jurisdiction, site.country}
    return all(not data.jurisdictions or here & set(data.jurisdictions) for data in workload.data)


def carriable(fleet: Fleet) -> bool:
    """Whether states can be carried between all of its sites: an agent keeps them on its own disk."""
    return all(site.engine != AGENT for site in fleet.sites)


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

    def arrived(self, run_id: str, workload_id: str, origin: Site | None, target: Site) -> bool:
        """Nothing has to come, or it has. `origin`: where an attempt before it ran last, if any did."""
        if origin is None or origin.name == target.name or AGENT in {origin.engine, target.engine}:
            return True
        note = note_of(self._folder(run_id))
        if note is not None and (note.origin, note.target) == (origin.name, target.name) and note.ended_s is not None:
            return True
        left = state_folder(self.home, origin.name, workload_id)
        return not (left.is_dir() and any(left.iterdir()))

    def carry(self, run_id: str, workload: Workload, origin: Site, target: Site) -> None:
        """Begins it, or looks how it goes; raises what broke it, and tries again after a while."""
        way = self._under_way.get(run_id)
        if way is None:
            broke_s, wait_s = self._broken.get(run_id, (0.0, 0.0))
            if time.monotonic() - broke_s < wait_s:
                return
            _refuse_unlawful(workload, target)
            way = _Way(self.home, self._folder(run_id), workload.id, origin.name, target.name)
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


class _Way(threading.Thread):
    """One state's way from one site to another."""

    def __init__(self, home: Path, run: Path, workload: str, origin: str, target: str) -> None:
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
        source = FolderSource(state_folder(self.home, self.origin, self.workload))
        digest = source.manifest.digest
        folder = state_folder(self.home, self.target, self.workload)
        folder.parent.mkdir(parents=True, exist_ok=True)
        asked = lack(source, digest, folder)
        note = self._noted(digest, asked)
        pull(source, asked, folder, stop=self.stop.is_set)
        self._write(msgspec.structs.replace(note, ended_s=time.time()))

    def _noted(self, digest: str, asked: Lack) -> Carry:
        """Written before the first byte: what is sent after a break was counted then."""
        note = note_of(self.attempt)
        if note is None or (note.origin, note.target, note.digest) != (self.origin, self.target, digest):
            note = Carry(self.origin, self.target, digest, asked.whole_bytes, asked.missing_bytes, time.time())
            self._write(note)
        return note

    def _write(self, note: Carry) -> None:
        write_whole(self.attempt / "carry.json", msgspec.json.encode(note))


def _refuse_unlawful(workload: Workload, target: Site) -> None:
    if not may_have(workload, target):
        raise Infeasible(
            f"the state of {workload.id} may not go to {target.name}",
            cause=f"it has seen data that may not be under {target.jurisdiction or 'unknown'} law",
            hint="name the sites that may have it, or let the data go there",
        )
