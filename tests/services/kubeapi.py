"""A stateful mock of the part of a Kubernetes API server that Jobs need, and of the kubelet: pods are processes here.

No registry that we reach ships a kube-apiserver with `suspend` (Debian's is 1.20), so this stands in for one: tokens,
names taken once, quotas, suspend, foreground deletion, grace, and statuses as the documentation has them.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = secrets.token_hex(16)
JOBS = "/apis/batch/v1/namespaces/team-a/jobs"
KUEUE = "/apis/kueue.x-k8s.io/v1beta1"


class KubeService:
    def __init__(self) -> None:
        self.jobs: dict[str, dict] = {}
        self.workloads: dict[str, dict] = {}
        self.pods: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.RLock()
        self.quota = 1000
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.going = True
        self.threads = [threading.Thread(target=self.server.serve_forever), threading.Thread(target=self._kubelet)]

    def options(self) -> dict[str, str]:
        return {
            "url": f"http://127.0.0.1:{self.server.server_port}",
            "namespace": "team-a",
            "image": "heliotrope",
            "host_path": "/",
            "mount": "/",
            "python": sys.executable,
        }

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.going = False
        self.server.shutdown()
        self.server.server_close()
        for thread in self.threads:
            thread.join()
        for pod in self.pods.values():
            if pod.poll() is None:
                pod.kill()
            pod.wait()

    def _kubelet(self) -> None:
        while self.going:
            with self.lock:
                for name, job in list(self.jobs.items()):
                    self._tend(name, job)
            time.sleep(0.05)

    def _tend(self, name: str, job: dict) -> None:
        pod, doomed = self.pods.get(name), "deletionTimestamp" in job["metadata"]
        if pod is None:
            if doomed:
                del self.jobs[name]
            elif not job["spec"]["suspend"] and "conditions" not in job.get("status", {}):
                self.pods[name] = self._begin(job)
                job["status"] = {"active": 1, "ready": 1}
        elif pod.poll() is None:
            if (doomed or job["spec"]["suspend"]) and not job.get("asked"):
                job["asked"] = True
                pod.send_signal(signal.SIGTERM)
        else:
            del self.pods[name]
            kind, reason = ("Complete", "") if pod.returncode == 0 else ("Failed", "BackoffLimitExceeded")
            job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
            if doomed:
                del self.jobs[name]

    def _begin(self, job: dict) -> subprocess.Popen[bytes]:
        container = job["spec"]["template"]["spec"]["containers"][0]
        environment = {"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
        return subprocess.Popen(
            container["command"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def handler(kube: KubeService):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            """Quiet."""

        def answer(self, status: int, body: dict) -> None:
            told = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def refuse(self, status: int, reason: str, message: str) -> None:
            self.answer(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message})

        def told(self) -> dict:
            return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

        def serve(self) -> None:
            body = self.told()
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.refuse(401, "Unauthorized", "Unauthorized")
                return
            with kube.lock:
                if self.path.startswith(KUEUE):
                    self.on_workloads(body)
                    return
                name = self.path.removeprefix(JOBS).strip("/")
                getattr(self, f"on_{self.command.lower()}")(name, body)

        def on_workloads(self, body: dict) -> None:
            """MultiKueue's manager: a list for its dispatcher, and one field of the status that is the dispatcher's."""
            if self.command == "GET":
                self.answer(200, {"kind": "WorkloadList", "items": list(kube.workloads.values())})
                return
            assert (self.command, self.headers["Content-Type"]) == ("PATCH", "application/merge-patch+json")
            _, _, namespace, _, name, part = self.path.removeprefix(KUEUE).split("/")
            one = kube.workloads.get(f"{namespace}/{name}")
            if one is None or part != "status":
                self.refuse(404, "NotFound", f'workloads "{name}" not found')
                return
            assert list(body["status"]) == ["nominatedClusterNames"]
            assert len(body["status"]["nominatedClusterNames"]) <= 10
            one["status"] |= body["status"]
            self.answer(200, one)

        def on_post(self, _: str, body: dict) -> None:
            name = body["metadata"]["name"]
            if name in kube.jobs:
                self.refuse(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
            elif len(kube.jobs) >= kube.quota:
                self.refuse(403, "Forbidden", f'jobs.batch "{name}" is forbidden: exceeded quota: jobs')
            else:
                kube.jobs[name] = {**body, "status": {}}
                self.answer(201, kube.jobs[name])

        def on_get(self, name: str, _: dict) -> None:
            if name in kube.jobs:
                self.answer(200, kube.jobs[name])
            else:
                self.refuse(404, "NotFound", f'jobs.batch "{name}" not found')

        def on_patch(self, name: str, body: dict) -> None:
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            kube.jobs[name]["spec"] |= body["spec"]
            self.answer(200, kube.jobs[name])

        def on_delete(self, name: str, body: dict) -> None:
            if name not in kube.jobs:
                self.refuse(404, "NotFound", f'jobs.batch "{name}" not found')
                return
            assert body["propagationPolicy"] == "Foreground"
            kube.jobs[name]["metadata"]["deletionTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.answer(200, kube.jobs[name])

    for verb in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.serve)
    return Handler
