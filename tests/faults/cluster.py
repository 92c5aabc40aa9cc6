"""An engine in virtual time, for schedules of faults: what a real one may do to a job, in microseconds and by lot."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from heliotrope.errors import EngineError
from heliotrope.model import Estimate, Measurement, PauseBy, Reading
from heliotrope.run.engines import Capabilities
from heliotrope.run.lifecycle import Seen, Sight
from heliotrope.run.working.folder import Exit, Folder

POWER_W = 100.0


@dataclass
class Attempt:
    """`left_s`: of work. `began_s` by the wall of its site, `worked_s` by nobody's clock but its own."""

    workload: str
    by: PauseBy
    left_s: float
    saves_to: Path | None = None
    seen: Seen = Seen.QUEUED
    stopped: bool = False
    asked: bool = False
    code: int = 0
    began_s: float = 0.0
    worked_s: float = 0.0

    @property
    def draws(self) -> bool:
        return self.seen is Seen.ALIVE and not self.stopped


class Cluster:
    """One site's. `fault(name)` may end the caller, or be cut off: before what was asked is done, or after it."""

    name = "virtual"
    capabilities = Capabilities(suspend=True, checkpoint=True, measures=True, queues=True)

    def __init__(self, world, site) -> None:
        self.world, self.site = world, site
        self.attempts: dict[str, Attempt] = {}
        self.energy_j: dict[str, float] = {}
        self.reachable = True

    # The protocol

    def launch(self, task):
        def begin():
            if task.handle not in self.attempts:
                saved = Path(task.checkpoint)
                job = self.world.jobs[saved.name]
                left_s = read(saved) if job.saves else None
                if job.moves:
                    self.world.goes_on(job, left_s, task.handle)
                self.attempts[task.handle] = Attempt(
                    job.id, job.by, job.needs_s if left_s is None else left_s, saved if job.saves else None
                )
                Path(task.handle).mkdir(parents=True, exist_ok=True)

        self._asked("launch", begin)

    def observe(self, handle):
        if not self.reachable:
            raise EngineError(f"{self.site} does not answer")
        return self.look(handle)

    def look(self, handle):
        """As whoever stands there sees it."""
        one = self.attempts.get(handle)
        if one is None:
            return Sight(Seen.ABSENT)
        return Sight(one.seen, one.code if one.seen is Seen.EXITED else None)

    def pause(self, handle):
        self._asked("pause", lambda: self._set(handle, stopped=True))

    def resume(self, handle):
        self._asked("resume", lambda: self._set(handle, stopped=False))

    def save(self, handle):
        def ask():
            one = self.attempts.get(handle)
            if one is not None and one.seen is Seen.QUEUED:
                self.end(handle, -signal.SIGTERM)
            elif one is not None:
                one.asked, one.stopped = True, False

        self._asked("save", ask)

    def kill(self, handle):
        self._asked("kill", lambda: handle in self.attempts and self.end(handle, -signal.SIGKILL))

    def reap(self, handle):
        self._asked("reap", lambda: None)

    def _asked(self, what, do):
        """A message may be lost, its answer may be, and it may come twice."""
        fate = self.world.fate(what)
        if not self.reachable or fate == "lost":
            raise EngineError(f"{self.site}: {what} was not heard")
        do()
        if fate == "twice":
            do()
        self.world.point(f"after {what}")
        if fate == "unanswered":
            raise EngineError(f"{self.site}: nothing came back of {what}")

    # What happens there

    def _set(self, handle, *, stopped):
        one = self.attempts.get(handle)
        if one is not None and one.seen in {Seen.QUEUED, Seen.ALIVE}:
            one.stopped = stopped

    def advance(self, seconds):
        for handle, one in list(self.attempts.items()):
            if one.seen is Seen.QUEUED and not one.stopped and self.world.dice.random() < 0.8:
                one.seen, one.began_s = Seen.ALIVE, self.world.now_s()
            elif one.draws:
                spent_s = min(seconds, one.left_s)
                one.worked_s += spent_s
                one.left_s -= spent_s
                if one.left_s <= 0:
                    self.end(handle, 0)
                elif one.asked:
                    self.end(handle, 75 if one.by is PauseBy.CHECKPOINT else -signal.SIGTERM)

    def end(self, handle, code):
        """A keeper's last act: the measurement, then the exit."""
        one = self.attempts[handle]
        if one.seen not in {Seen.QUEUED, Seen.ALIVE}:
            return
        self._measure(handle, one)
        one.seen, one.code = Seen.EXITED, code
        job = self.world.jobs[one.workload]
        if one.saves_to is not None:
            one.saves_to.mkdir(parents=True, exist_ok=True)
            (one.saves_to / "left").write_text(repr(one.left_s))
            job.left_s[Path(handle).parts[-2]] = one.left_s
        job.completions += code == 0
        Folder(Path(handle)).write("exit", Exit(code, self.world.now_s()))

    def never(self, handle, task):
        """Asked to leave before it began."""
        self.attempts[handle] = Attempt(Path(task.checkpoint).name, PauseBy.SIGNAL, 0.0, seen=Seen.EXITED, code=-15)

    def vanish(self, handle):
        """Its node goes: nothing of it lives, and nobody says so. Its journal is there."""
        one = self.attempts[handle]
        if one.seen is Seen.ALIVE:
            self._measure(handle, one)
            one.seen = Seen.GONE

    def _measure(self, handle, one):
        if one.worked_s <= 0:
            return
        energy_j = one.worked_s * POWER_W
        self.energy_j[handle] = self.energy_j.get(handle, 0.0) + energy_j
        start_s, end_s = one.began_s, one.began_s + one.worked_s
        reading = Reading("virtual", "host", start_s, end_s, energy_j)
        said = Measurement("w", start_s, end_s, one.worked_s, Estimate.exact(energy_j), (), (reading,))
        Folder(Path(handle)).write("measurement", said)


def read(saved):
    """What is left to do, as its last checkpoint says; None where there is none."""
    try:
        return float((saved / "left").read_text())
    except FileNotFoundError:
        return None
