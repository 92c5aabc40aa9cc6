"""A measurement that is going on: meters read, work attributed, every sample journalled before it is added up."""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure import registry
from heliotrope.measure.machine.system import TICKS_PER_S, System
from heliotrope.measure.protocol import Meter, Usage
from heliotrope.measure.reference.correction import corrected, misfit, rest
from heliotrope.measure.sampling.follow import Tree
from heliotrope.measure.sampling.loop import LOOP
from heliotrope.measure.sampling.recorder import Pace, Recorder, Sample
from heliotrope.measure.share.attribution import part_of
from heliotrope.measure.share.straight import Beat, Lap, Straight, straight
from heliotrope.model import Provenance

if TYPE_CHECKING:
    from pathlib import Path

    from heliotrope.measure.records.journal import Journal
    from heliotrope.measure.reference.calibration import Calibration
    from heliotrope.model import Measurement

RECKON_S = 10.0  # at the longest between two reckonings of what was noted
SOONER = 0.9  # of the interval: a sample that the thread takes late is still on disk within one interval
SAME_S = 1e-3  # a window that begins so soon after another ended begins where that one ended
CLOCK_STEP_S = 1.0  # of the wall clock against the steady one, before it is told


class Session:
    """Times are epoch seconds at the start plus steady seconds since: a clock that is set meanwhile moves nothing."""

    def __init__(
        self,
        name: str,
        *,
        root_pid: int | None = None,
        interval_s: float = 1.0,
        meters: tuple[str, ...] = (),
        journal: str | Path | None = None,
        system: System | None = None,
        opened: list[Meter] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if not 0 < interval_s < math.inf:
            raise InvalidInput("an interval must be positive and finite", field="interval_s", found=interval_s)
        self.name = name
        self.interval_s = interval_s
        self.beat_s = interval_s if journal is None else SOONER * interval_s
        self.system = system or System()
        self.meters = registry.open_all(self.system, meters) if opened is None else opened
        self._tree = Tree(self.system, os.getpid() if root_pid is None else root_pid)
        self._cpus = self.system.cpus()
        why_not = "" if calibration is None else misfit(calibration, frozenset(meter.name for meter in self.meters))
        self._calibration = None if why_not else calibration
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._stopped: Measurement | None = None
        self._began_wall_s = time.time()
        self._last_s = time.monotonic()
        self._offset_s = self._began_wall_s - self._last_s
        self._busy_s = self.system.busy_s()
        self._drift_s = self._lag_s = 0.0
        self._recorders: list[Recorder] = [Recorder(name, self._began_wall_s, bin_s=interval_s)]
        if why_not:
            self._recorders[0].flags[why_not] = None
        self._straight = None if self._calibration is not None else straight(self.meters, self._cpus)
        self._journal: Journal | None = None
        if journal is not None:
            from pathlib import Path

            from heliotrope.measure.records.journal import Journal

            self._journal = Journal(Path(journal), name, self._began_wall_s, interval_s, self._straight)
        self._paces: dict[tuple[str, str], Pace] = {}
        self._beats: list[Beat] = []  # noted, not reckoned yet
        self._missing: tuple[str, ...] = ()  # what the journal could not take, not told yet
        start = Usage(0.0, 0.0, 0.0, self._cpus)
        for meter in self.meters:
            meter.read(start)
        LOOP.add(self)

    def _wall(self, steady_s: float) -> float:
        return steady_s + self._offset_s

    @property
    def ours(self) -> bool:
        """Whether this process began it: a forked child did not."""
        return os.getpid() == self._owner

    def open_window(self, name: str) -> Recorder:
        """A part of this measurement, from now on, with sums of its own."""
        with self._lock:
            if time.monotonic() - self._last_s > SAME_S:
                self.sample(edge=True)
            recorder = Recorder(name, self._wall(self._last_s), bin_s=self.interval_s)
            self._recorders.append(recorder)
            return recorder

    def window_totals(self, recorder: Recorder) -> Measurement:
        with self._lock:
            self.sample(edge=True)
            return self._sum(recorder)

    def close_window(self, recorder: Recorder) -> Measurement:
        with self._lock:
            totals = self.window_totals(recorder)
            self._recorders.remove(recorder)
            return totals

    def beat(self) -> None:
        """Called by the loop. Where no meter is to be asked, work is noted (and kept) now and reckoned later."""
        with self._lock:
            now_s = time.monotonic()
            if self._straight is None or now_s - self._last_s >= RECKON_S:
                self.sample(edge=self._straight is not None)
            elif self._stopped is None:
                self._note(now_s, self._tree.read())

    def _note(self, now_s: float, tree_s: float) -> None:
        beat = (now_s + self._offset_s, tree_s, self._tree.resident_bytes)
        self._beats.append(beat)
        if self._journal is not None:
            try:
                self._journal.note(beat)
            except OSError as error:
                self._miss(error)

    def sample(self, *, edge: bool = False, look: bool = False) -> None:
        """Reads every meter once, after which every sum is true to this instant.

        `edge`: of a window, where all work that ended is counted; `look`: for new children too.
        """
        with self._lock:
            if self._stopped is not None or not self.ours:
                return
            now_s = time.monotonic()
            if now_s <= self._last_s:
                return
            flags = self._clock_flags(self._wall(now_s))
            tree_s = self._tree.read(accounts=edge, look=look)
            if self._straight is None:
                laps = [self._read(now_s, tree_s, flags)]
            else:
                self._note(now_s, tree_s)
                laps = self._reckon(self._straight, flags)
            self._last_s = now_s
            for recorder in self._recorders:
                for lap in laps:
                    recorder.add(*lap)
                recorder.tell(flags + self._missing)
            self._missing = ()

    def _reckon(self, straight: Straight, flags: tuple[str, ...]) -> list[Lap]:
        """All beats that were noted, each as an interval."""
        beats, self._beats = self._beats, []
        others_s = self._others_s(sum(tree_s for _, tree_s, _ in beats))
        if self._journal is not None:
            try:
                self._journal.others(others_s, flags)
            except OSError as error:
                self._miss(error)
        return list(straight.laps(self._wall(self._last_s), beats, others_s))

    def _read(self, now_s: float, tree_s: float, flags: tuple[str, ...]) -> Lap:
        """One interval by every meter, in the journal before anything is added up."""
        busy_s = tree_s + self._others_s(tree_s)
        elapsed_s = now_s - self._last_s
        usage = Usage(elapsed_s, tree_s, busy_s, self._cpus, self._tree.resident_bytes, self._tree.pids)
        lap = (self._wall(self._last_s), self._wall(now_s), self._samples(usage))
        if self._journal is not None:
            try:
                self._journal.lap(*lap, flags)
            except OSError as error:
                self._miss(error)
        return lap

    def _miss(self, error: OSError) -> None:
        """A disk that has no room must not end a measurement: it is flagged."""
        from heliotrope.measure.records.journal import GAP

        self._missing = (f"{GAP}: {error.strerror}",)

    def _others_s(self, tree_s: float) -> float:
        """CPU-seconds of all others since the last time. The node is told in ticks: what it lags behind is carried."""
        busy_s = self.system.busy_s()
        others_s = busy_s - self._busy_s - tree_s - self._lag_s
        self._busy_s = busy_s
        self._lag_s = min(max(0.0, -others_s), self._cpus / TICKS_PER_S)
        return max(0.0, others_s)

    def _samples(self, usage: Usage) -> tuple[Sample, ...]:
        samples = []
        for meter in self.meters:
            draws = meter.read(usage)
            if self._calibration is not None:
                draws = corrected(self._calibration, draws)
            for draw in draws:
                part = part_of(draw, usage)
                samples.append(Sample(meter.name, draw.domain, meter.provenance, draw.counted, part, draw.flags))
                if draw.counted and meter.resolution_s:
                    self._pace(meter, draw.domain).add(part.mine_j, usage.elapsed_s)
        if self._calibration is not None and (base := rest(self._calibration, usage.elapsed_s)) is not None:
            samples.append(Sample("calibration", base.domain, Provenance.MODELLED, True, part_of(base, usage)))
        return tuple(samples)

    def _pace(self, meter: Meter, domain: str) -> Pace:
        pace = self._paces.get((meter.name, domain))
        if pace is None:
            pace = self._paces[meter.name, domain] = Pace(meter.resolution_s)
        return pace

    def _sum(self, recorder: Recorder) -> Measurement:
        return recorder.measurement(self._journal_path, sum(pace.edge_j for pace in self._paces.values()))

    def _clock_flags(self, end_s: float) -> tuple[str, ...]:
        drift_s = time.time() - end_s
        if abs(drift_s - self._drift_s) < CLOCK_STEP_S:
            return ()
        self._drift_s = drift_s
        return (f"the clock was set by {drift_s:+.0f} s meanwhile; times are kept as they were at the start",)

    def totals(self) -> Measurement:
        """So far, this instant included."""
        with self._lock:
            if self._stopped is not None:
                return self._stopped
            self.sample(look=True)
            return self._sum(self._recorders[0])

    def node(self) -> dict[str, dict[str, float]]:
        """Of each domain so far: mine, others, idle, and the node they sum to; joules."""
        with self._lock:
            return self._recorders[0].node()

    @property
    def _journal_path(self) -> str | None:
        return None if self._journal is None else str(self._journal.path)

    def stop(self) -> Measurement:
        """The last sample, the end of the journal, and the sum. A second stop says the same again."""
        LOOP.remove(self)
        with self._lock:
            if self._stopped is not None:
                return self._stopped
            if not self.ours:
                raise MeterError(
                    "a measurement belongs to the process that began it",
                    cause=f"process {self._owner} began it, {os.getpid()} would end it",
                    hint="measure in the child, or end it in the parent: its children are counted there",
                )
            self.sample(look=True)
            self._stopped = self._sum(self._recorders[0])
            if self._journal is not None:
                try:
                    self._journal.close(self._stopped.end_s, self._stopped.energy_j.value)
                except OSError as error:
                    self._miss(error)
                    self._recorders[0].tell(self._missing)
                    self._stopped = self._sum(self._recorders[0])
            for meter in self.meters:
                meter.close()
            return self._stopped


def own_calibration() -> Calibration | None:
    """What `helio meter calibrate` found for this machine, in HELIO_HOME; None where it was never calibrated."""
    path = os.path.expanduser(os.environ.get("HELIO_HOME") or "~/.heliotrope") + "/calibration.json"  # noqa: PTH111
    if not os.path.exists(path):  # noqa: PTH110  pathlib loads only where it is needed
        return None
    from pathlib import Path

    from heliotrope.measure.reference.calibration import load

    return load(Path(path))
