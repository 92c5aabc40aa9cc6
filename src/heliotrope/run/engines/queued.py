"""An engine over any cluster's queue: what is common to Slurm, Ray and Kubernetes, so that each only speaks its tongue.

The cluster runs a keeper; the attempt's folder, on a directory that both sides see, is where all is told. The queue is
asked what it alone knows: whether the job waits, runs or is gone.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import Path

import msgspec

from heliotrope.errors import EngineError, EngineRefused
from heliotrope.run.engines.keeping import end_here, order
from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.wishes import Letterbox, Wish
from heliotrope.run.lifecycle import Seen, Sight
from heliotrope.run.working.folder import Exit, Folder

LAG_S = 2.0  # what a shared directory may take to show what a node wrote before its job ended
DEAF_S = 10.0  # a keeper that does not carry out a kill by then is not there to do it
REAP_S = 10.0


class Phase(StrEnum):
    """`held`: waits, and will not begin until it is let go."""

    QUEUED = "queued"
    HELD = "held"
    ACTIVE = "active"
    ENDED = "ended"


class Job(msgspec.Struct, frozen=True):
    """How the cluster sees one; `word` is its own name for that. `by_hand`: somebody there ended it on purpose."""

    id: str
    phase: Phase
    word: str
    by_hand: bool = False


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Written when the cluster has taken it."""

    at_s: float


class QueuedEngine(ABC):
    """A handle is the attempt's folder, as everywhere; the cluster knows it by `name_of` the folder."""

    name: str
    capabilities: Capabilities

    # What each cluster's tongue is for

    @abstractmethod
    def submit(self, name: str, task: Task) -> None:
        """Raises EngineRefused for what the cluster will not have, EngineError for what may pass."""

    @abstractmethod
    def look(self, name: str, since_s: float) -> Job | None:
        """What it is doing, seen after `since_s`; None where the cluster knows of none, or no more."""

    @abstractmethod
    def cancel(self, name: str) -> None:
        """Whatever bears the name; nothing is no error."""

    def hold(self, job: Job) -> None:
        """Only asked of engines whose capabilities say that they can."""
        raise EngineRefused(f"{self.name} holds nothing back")

    def release(self, job: Job) -> None:
        raise EngineRefused(f"{self.name} holds nothing back")

    # The protocol

    def launch(self, task: Task) -> None:
        """Sends it, unless it was ever sent: a job that a crash kept us from noting is found by its name."""
        folder = Folder(Path(task.handle))
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            lock = folder.try_lock("launching")
        except OSError as error:
            raise EngineError(
                f"{task.handle}: cannot be begun", cause=str(error), hint="is there room there?"
            ) from error
        if lock is None:
            return
        try:
            if self._sent(folder) is None and folder.exit is None and folder.began is None:
                self._launch(task, folder)
        finally:
            os.close(lock)

    def _launch(self, task: Task, folder: Folder) -> None:
        Path(task.checkpoint).mkdir(parents=True, exist_ok=True)
        Letterbox(folder.path).lay_out()
        folder.write("order", order(task))
        (folder.path / "sending").touch()
        try:
            self.submit(name_of(task.handle), task)
        except EngineRefused as refusal:
            folder.write("exit", Exit(1, time.time(), str(refusal)))
            return
        folder.write("sent", Sent(time.time()))

    def observe(self, handle: str) -> Sight:
        folder = Folder(Path(handle))
        if not folder.path.is_dir():
            return Sight(Seen.ABSENT)
        ended = folder.exit
        if ended is not None and ended.why:
            return Sight(Seen.EXITED, ended.code, ended.why)
        if ended is not None and folder.measurement is not None and (ended.code == 0 or folder.asked.exists()):
            # Nobody of it lives, and nothing that the cluster could say would change how it ended.
            return Sight(Seen.EXITED, ended.code)
        if _never_begins(folder):
            return Sight(Seen.EXITED, -signal.SIGTERM)
        sent = self._sent(folder)
        if sent is None:
            return Sight(Seen.ABSENT)
        job = self.look(folder_name(folder), sent.at_s)
        if job is not None and job.phase is not Phase.ENDED:
            return Sight(Seen.ALIVE if job.phase is Phase.ACTIVE else Seen.QUEUED, why=job.word)
        return self._over(folder, job)

    def _over(self, folder: Folder, job: Job | None) -> Sight:
        ended, asked = folder.exit, folder.asked.exists()
        ended_there = f"{self.name} says: {job.word}" if job is not None and job.by_hand and not asked else ""
        if ended is not None:
            return Sight(Seen.EXITED, ended.code, ended.why or ended_there)
        if time.time() - _last_written_s(folder) < LAG_S or _is_kept(folder):
            return Sight(Seen.ALIVE)
        return Sight(Seen.EXITED, 1, ended_there) if ended_there else Sight(Seen.GONE)

    def pause(self, handle: str) -> None:
        job = self._waiting(handle)
        if job is None:
            Letterbox(Path(handle)).put(Wish.PAUSE)
        elif self.capabilities.holds and job.phase is not Phase.HELD:
            self.hold(job)

    def resume(self, handle: str) -> None:
        job = self._waiting(handle)
        if job is None:
            Letterbox(Path(handle)).put(Wish.RESUME)
        elif job.phase is Phase.HELD:
            self.release(job)

    def save(self, handle: str) -> None:
        """What waits has nothing to save: it is taken back."""
        folder = Folder(Path(handle))
        folder.asked.touch()
        if self._waiting(handle) is None:
            Letterbox(folder.path).put(Wish.SAVE)
        else:
            self.cancel(folder_name(folder))

    def kill(self, handle: str) -> None:
        folder = Folder(Path(handle))
        box = Letterbox(folder.path)
        if not folder.path.is_dir():
            return
        folder.asked.touch()
        box.put(Wish.KILL)
        if self._waiting(handle) is not None or time.time() - box.path.stat().st_mtime > DEAF_S:
            self.cancel(folder_name(folder))

    def reap(self, handle: str) -> None:
        """Makes certain that nothing of it lives, before another attempt may: by the cluster's word, and by looking."""
        folder = Folder(Path(handle))
        if not folder.path.is_dir():
            return
        folder.asked.touch()
        if _never_begins(folder):
            self.cancel(folder_name(folder))
            return
        if self._sent(folder) is not None:
            name, deadline = folder_name(folder), time.monotonic() + REAP_S
            while (job := self.look(name, time.time())) is not None and job.phase is not Phase.ENDED:
                self.cancel(name)
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"{handle}: {self.name} does not end it ({job.word})", hint="another attempt waits until it has"
                    )
                time.sleep(0.2)
        end_here(folder)

    def _waiting(self, handle: str) -> Job | None:
        """Its job where that has not begun; None where it did, or where there is none."""
        folder = Folder(Path(handle))
        if folder.began is not None or (sent := self._sent(folder)) is None:
            return None
        job = self.look(folder_name(folder), sent.at_s)
        return job if job is not None and job.phase in {Phase.QUEUED, Phase.HELD} else None

    def _sent(self, folder: Folder) -> Sent | None:
        """What was noted when it was sent; where a crash came in between, what the cluster says."""
        sent = folder.read("sent", Sent)
        if sent is None and (folder.path / "sending").exists():
            now_s = time.time()
            if self.look(folder_name(folder), now_s) is not None:
                sent = Sent(now_s)
                folder.write("sent", sent)
        return sent


def name_of(handle: str) -> str:
    """Unique among all homes that send to one cluster, and readable in its lists."""
    path = Path(handle)
    return f"helio-{path.parent.name}-{path.name}-{hashlib.sha256(handle.encode()).hexdigest()[:8]}".lower()


def folder_name(folder: Folder) -> str:
    return name_of(str(folder.path))


def _last_written_s(folder: Folder) -> float:
    """By whoever carries it out, not by us who wish."""
    found = [folder.path / name for name in ("sent.json", "began.json", "journal.jsonl", "out.log", "keeper.log")]
    return max((path.stat().st_mtime for path in found if path.exists()), default=0.0)


def _never_begins(folder: Folder) -> bool:
    """Asked to leave before it began: a keeper that comes later sees that, and there is none now that did not."""
    return folder.asked.exists() and folder.began is None and folder.exit is None and not _is_kept(folder)


def _is_kept(folder: Folder) -> bool:
    """Where the shared directory knows locks: whether a keeper holds it, whatever the cluster says."""
    lock = folder.try_lock()
    if lock is not None:
        os.close(lock)
    return lock is None
