"""Slurm as an engine: jobs found by their name, requeued by Slurm or by us, never two of one attempt at once."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.queued import Job, Phase, QueuedEngine, folder_name, name_of
from heliotrope.run.engines.settings import Options, settings
from heliotrope.run.engines.slurm.asked import SlurmSettings, request
from heliotrope.run.engines.slurm.commands import Commands
from heliotrope.run.engines.slurm.energy import metered
from heliotrope.run.engines.slurm.rest import Rest
from heliotrope.run.engines.slurm.watch import Tongue, Watch
from heliotrope.run.lifecycle import Seen, Sight
from heliotrope.run.working.folder import Folder

NODE = "heliotrope.run.engines.slurm.node"
SUSPENDED = "SUSPENDED"
ACCOUNTED_S = 15.0  # what slurmctld and slurmdbd may take to account for a job that ended


class SlurmEngine(QueuedEngine):
    name = "slurm"

    def __init__(self, options: Options) -> None:
        self.site = settings(SlurmSettings, options)
        self.capabilities = Capabilities(
            suspend=True,
            checkpoint=True,
            measures=True,
            queues=True,
            holds=True,
            requeues=True,
            power_pool=bool(self.site.power_licence),
        )
        self.commands = Commands(self.site)
        self.slurm: Tongue = Rest(self.site) if self.site.rest else self.commands
        self.watch = Watch(self.slurm)

    def submit(self, name: str, task: Task) -> None:
        self.slurm.submit(request(name, task, self.site, NODE))

    def look(self, name: str, since_s: float) -> Job | None:
        return self.watch.look(name, since_s)

    def cancel(self, name: str) -> None:
        self.slurm.cancel(name)

    def hold(self, job: Job) -> None:
        self.slurm.hold(job)

    def release(self, job: Job) -> None:
        self.slurm.release(job)

    def observe(self, handle: str) -> Sight:
        """Where the node's meter counts, it is not over until Slurm has accounted for it, or plainly will not."""
        sight = super().observe(handle)
        if self.site.meter == "sacct" and sight.seen is Seen.EXITED and not self._metered(Folder(Path(handle))):
            return Sight(Seen.ALIVE)
        return sight

    def _metered(self, folder: Folder) -> bool:
        done, ended, measurement = folder.path / "metered", folder.exit, folder.measurement
        if ended is None or measurement is None or done.exists():
            return True
        mine, others = self.commands.on_node_of(folder_name(folder))
        if mine is not None:
            folder.write("measurement", metered(measurement, mine, others))
        elif time.time() - ended.ended_s < ACCOUNTED_S:
            return False
        else:
            flags = (*measurement.flags, "Slurm accounted for no energy: measured by the job's own keeper")
            folder.write("measurement", msgspec.structs.replace(measurement, flags=flags))
        done.touch()
        return True

    # Suspended by Slurm, the keeper is stopped with its command, and hears nothing until it is resumed.

    def pause(self, handle: str) -> None:
        job = self._begun(handle)
        if job is None:
            super().pause(handle)
        elif job.word != SUSPENDED:
            self.commands.suspend(job)

    def resume(self, handle: str) -> None:
        job = self._begun(handle)
        if job is not None and job.word == SUSPENDED:
            self.commands.resume(job)
        elif job is None:
            super().resume(handle)

    def save(self, handle: str) -> None:
        self._wake(handle)
        super().save(handle)

    def kill(self, handle: str) -> None:
        self._wake(handle)
        super().kill(handle)

    def _wake(self, handle: str) -> None:
        job = self._begun(handle)
        if job is not None and job.word == SUSPENDED:
            self.commands.resume(job)

    def _begun(self, handle: str) -> Job | None:
        """Its job, where Slurm is the one that suspends it."""
        if self.site.suspend != "slurm" or Folder(Path(handle)).began is None:
            return None
        job = self.watch.look(name_of(handle), time.time())
        return job if job is not None and job.phase is Phase.ACTIVE else None
