"""Slurm as an engine: jobs found by their name, requeued by Slurm or by us, never two of one attempt at once."""

from __future__ import annotations

import time
from pathlib import Path

from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.queued import Job, Phase, QueuedEngine, name_of
from heliotrope.run.engines.settings import Options, settings
from heliotrope.run.engines.slurm.asked import SlurmSettings, request
from heliotrope.run.engines.slurm.commands import Commands
from heliotrope.run.folder import Folder

NODE = "heliotrope.run.engines.slurm.node"
SUSPENDED = "SUSPENDED"


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
        self.slurm = Commands(self.site)

    def submit(self, name: str, task: Task) -> None:
        self.slurm.submit(request(name, task, self.site, NODE))

    def look(self, name: str, since_s: float) -> Job | None:
        return self.slurm.look(name, since_s)

    def cancel(self, name: str) -> None:
        self.slurm.cancel(name)

    def hold(self, job: Job) -> None:
        self.slurm.hold(job)

    def release(self, job: Job) -> None:
        self.slurm.release(job)

    # Suspended by Slurm, the keeper is stopped with its command, and hears nothing until it is resumed.

    def pause(self, handle: str) -> None:
        job = self._begun(handle)
        if job is None:
            super().pause(handle)
        elif job.word != SUSPENDED:
            self.slurm.suspend(job)

    def resume(self, handle: str) -> None:
        job = self._begun(handle)
        if job is not None and job.word == SUSPENDED:
            self.slurm.resume(job)
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
            self.slurm.resume(job)

    def _begun(self, handle: str) -> Job | None:
        """Its job, where Slurm is the one that suspends it."""
        if self.site.suspend != "slurm" or Folder(Path(handle)).began is None:
            return None
        job = self.slurm.look(name_of(handle), time.time())
        return job if job is not None and job.phase is Phase.ACTIVE else None
