"""Kubernetes as an engine: Jobs, over its own API; with Kueue, jobs that wait in a queue until it lets them go.

What has not begun is held by `spec.suspend`. What runs is never suspended that way: Kubernetes would end its pods. It
is paused on its node, or asked to save and sent again. Six calls need no client of their own.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec

from heliotrope.errors import EngineError, InvalidInput
from heliotrope.run.engines.protocol import Capabilities, Task
from heliotrope.run.engines.queued import Job, Phase, QueuedEngine
from heliotrope.run.engines.rest import Answered, Api, secret
from heliotrope.run.engines.settings import Options, of_work, pairs, settings

SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # what every pod is given
QUEUE = "kueue.x-k8s.io/queue-name"
GRACE_S = 60


class KubernetesWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`queue`: a LocalQueue of Kueue. `labels`: of the node, as in `gpu=h100,zone=a`; `marks`: of the job."""

    image: str = ""
    queue: str = ""
    labels: str = ""
    marks: str = ""


class KubernetesSettings(KubernetesWork, frozen=True, forbid_unknown_fields=True):
    """How a cluster is reached; from a pod in it, nothing need be said but the image and the shared volume.

    `claim` (a PersistentVolumeClaim) or `host_path` is mounted at `mount`, where the controller sees it too. `device`:
    the resource that one device is.
    """

    url: str = ""
    namespace: str = "default"
    token_file: str = ""
    certificate: str = ""
    claim: str = ""
    host_path: str = ""
    mount: Annotated[str, msgspec.Meta(pattern="^/")] = "/home/heliotrope"
    python: str = "python3"
    device: str = "nvidia.com/gpu"
    power_resource: str = ""


class KubeApi:
    """An API server; from a pod of its cluster, address, token and authority are found."""

    def __init__(self, url: str, token_file: str = "", certificate: str = "") -> None:
        self.token_file = token_file or _in_pod("token", url)
        within = f"https://{os.environ.get('KUBERNETES_SERVICE_HOST', 'kubernetes.default.svc')}"
        authority = certificate or _in_pod("ca.crt", url)
        self.api = Api(url or within, field="engine_options.url", certificate=authority)

    def ask(self, method: str, path: str, body: object = None, more: dict[str, str] | None = None) -> Any:
        token = secret(self.token_file, "KUBERNETES_TOKEN", "engine_options.token_file")
        return self.api.ask(method, path, body, (more or {}) | ({"Authorization": f"Bearer {token}"} if token else {}))

    def merge(self, path: str, body: object) -> None:
        self.ask("PATCH", path, body, {"Content-Type": "application/merge-patch+json"})


def _in_pod(name: str, url: str) -> str:
    return str(SECRETS / name) if not url and (SECRETS / name).exists() else ""


class KubernetesEngine(QueuedEngine):
    name = "kubernetes"

    def __init__(self, options: Options) -> None:
        self.site = settings(KubernetesSettings, options)
        if not self.site.image or bool(self.site.claim) == bool(self.site.host_path):
            raise InvalidInput(
                "an image, and one of claim and host_path, are needed",
                field="engine_options.image",
                found=self.site.image,
                allowed="an image that has heliotrope in it",
            )
        self.api = KubeApi(self.site.url, self.site.token_file, self.site.certificate)
        self.jobs = f"/apis/batch/v1/namespaces/{self.site.namespace}/jobs"
        self.capabilities = Capabilities(
            suspend=True,
            checkpoint=True,
            measures=True,
            queues=True,
            holds=not self.site.queue,  # Kueue owns `suspend` of what is in its queues
            power_pool=bool(self.site.power_resource),
        )

    def submit(self, name: str, task: Task) -> None:
        try:
            self.api.ask("POST", self.jobs, manifest(name, task, self.site))
        except Answered as refusal:
            if "exceeded quota" in refusal.said:
                raise EngineError(f"{self.site.namespace}: its quota is used up", cause=refusal.said) from refusal
            if refusal.status != 409:
                raise

    def look(self, name: str, since_s: float) -> Job | None:
        try:
            told = self.api.ask("GET", f"{self.jobs}/{name}")
        except Answered as refusal:
            if refusal.status == 404:
                return None
            raise
        return job_of(name, told, queued=bool(QUEUE in told["metadata"].get("labels", {})))

    def cancel(self, name: str) -> None:
        """The job's name stays taken until its pods are gone: nobody may believe it over before."""
        try:
            self.api.ask("DELETE", f"{self.jobs}/{name}", {"propagationPolicy": "Foreground"})
        except Answered as refusal:
            if refusal.status != 404:
                raise

    def hold(self, job: Job) -> None:
        self._suspend(job, suspended=True)

    def release(self, job: Job) -> None:
        self._suspend(job, suspended=False)

    def _suspend(self, job: Job, *, suspended: bool) -> None:
        self.api.merge(f"{self.jobs}/{job.id}", {"spec": {"suspend": suspended}})


def manifest(name: str, task: Task, site: KubernetesSettings) -> dict[str, Any]:
    """A Job that is tried once: another attempt is ours to make."""
    own = of_work(KubernetesWork, KubernetesEngine.name, task.options)
    queue, labels = own.queue or site.queue, own.labels or site.labels
    needs: dict[str, str] = {"cpu": f"{task.cpus * task.width:g}"}
    if task.memory_bytes:
        needs["memory"] = str(task.memory_bytes)
    limits: dict[str, str] = {}
    if task.devices:
        limits[site.device] = str(task.devices * task.width)
    if site.power_resource and task.power_w is not None:
        limits[site.power_resource] = str(math.ceil(task.power_w * task.width))
    volume = (
        {"persistentVolumeClaim": {"claimName": site.claim}} if site.claim else {"hostPath": {"path": site.host_path}}
    )
    marks = pairs(own.marks or site.marks, "marks") | {"app.kubernetes.io/managed-by": "heliotrope"}
    marks |= {QUEUE: queue} if queue else {}
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "nodeSelector": pairs(labels, "labels"),
        "volumes": [{"name": "home", **volume}],
        "containers": [
            {
                "name": "work",
                "image": own.image or site.image,
                "command": [site.python, "-m", "heliotrope.run.engines.keeper", task.handle],
                "resources": {"requests": needs | limits, "limits": limits},
                "volumeMounts": [{"name": "home", "mountPath": site.mount}],
            }
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": marks},
        "spec": {"backoffLimit": 0, "suspend": bool(queue), "template": {"metadata": {"labels": marks}, "spec": pod}},
    }


def job_of(name: str, told: dict[str, Any], *, queued: bool) -> Job:
    """A job that is being deleted is alive as long as it is there. Suspended in a queue, it waits for Kueue, not us."""
    status, spec = told.get("status", {}), told["spec"]
    for condition in status.get("conditions", []):
        if condition["status"] == "True" and condition["type"] in {"Complete", "Failed"}:
            reason = condition.get("reason") or condition["type"]
            return Job(name, Phase.ENDED, reason, by_hand=reason == "DeadlineExceeded")
    if status.get("ready") or "deletionTimestamp" in told["metadata"]:
        return Job(name, Phase.ACTIVE, "running")
    if spec.get("suspend"):
        return Job(name, Phase.QUEUED, "waits for Kueue") if queued else Job(name, Phase.HELD, "suspended")
    return Job(name, Phase.QUEUED, "no pod of it is ready")
