"""Ray as an engine, through its Jobs API alone: Ray itself is not loaded.

Ray knows no hold and no requeue: what waits for its hour waits with us, and a pause by checkpoint stops the job and
sends a new one. The entry point runs on a node that has what was asked for, beside the folder that all share.
"""

from __future__ import annotations

import math
import shlex
import sys
from typing import Annotated, Any

import msgspec

from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.queued import Job, Phase, QueuedEngine
from heliotrope.run.engines.rest import Answered, Api, secret
from heliotrope.run.engines.settings import Options, of_work, pairs, settings

PHASES = {"PENDING": Phase.QUEUED, "RUNNING": Phase.ACTIVE}
STOP_WAIT_S = 60  # after its SIGTERM, before Ray kills; our own grace is shorter, and ends it sooner


class RayWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`labels`: of the node where the entry point runs, as in `tier=central,site=north`."""

    labels: str = ""


class RaySettings(RayWork, frozen=True, forbid_unknown_fields=True):
    """`url`: of the dashboard. `token_file`: else RAY_AUTH_TOKEN. `power_resource`: a custom resource of watts."""

    url: Annotated[str, msgspec.Meta(min_length=1)] = "http://127.0.0.1:8265"
    token_file: str = ""
    python: str = ""
    power_resource: str = ""


class RayEngine(QueuedEngine):
    name = "ray"

    def __init__(self, options: Options) -> None:
        self.site = settings(RaySettings, options)
        self.api = Api(self.site.url, field="engine_options.url")
        self.capabilities = Capabilities(
            suspend=True, checkpoint=True, measures=True, queues=True, power_pool=bool(self.site.power_resource)
        )

    def submit(self, name: str, task: Task) -> None:
        own = of_work(RayWork, "ray", task.options)
        words = [self.site.python or sys.executable, "-m", "heliotrope.run.engines.keeper", task.handle, "--told"]
        asked: dict[str, Any] = {
            "submission_id": name,
            "entrypoint": f"exec {shlex.join(words)}",
            "entrypoint_num_cpus": task.cpus * task.width,
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}},
            "metadata": {"organisation": task.organisation},
        }
        if task.devices:
            asked["entrypoint_num_gpus"] = task.devices * task.width
        if task.memory_bytes:
            asked["entrypoint_memory"] = task.memory_bytes
        if self.site.power_resource and task.power_w is not None:
            asked["entrypoint_resources"] = {self.site.power_resource: math.ceil(task.power_w * task.width)}
        if labels := own.labels or self.site.labels:
            asked["entrypoint_label_selector"] = pairs(labels, "labels")
        try:
            self._ask("POST", "/api/jobs/", asked)
        except Answered as refusal:
            # Sent by a launch that a crash kept us from noting: one name is one job.
            if "already exists" not in refusal.said:
                raise

    def look(self, name: str, since_s: float) -> Job | None:
        try:
            told = self._ask("GET", f"/api/jobs/{name}")
        except Answered as refusal:
            if refusal.status == 404:
                return None
            raise
        status = told["status"]
        # Stopped through Ray by somebody else; our own stop is known by what we asked.
        return Job(name, PHASES.get(status, Phase.ENDED), told.get("message") or status, by_hand=status == "STOPPED")

    def cancel(self, name: str) -> None:
        try:
            self._ask("POST", f"/api/jobs/{name}/stop")
        except Answered as refusal:
            if refusal.status != 404:
                raise

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        token = secret(self.site.token_file, "RAY_AUTH_TOKEN", "engine_options.token_file")
        return self.api.ask(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
