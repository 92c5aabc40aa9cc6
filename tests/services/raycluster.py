"""A real Ray cluster of two nodes on loopback, with its Jobs API behind a token; ended by the pids that it began."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from services.slurm import WITH_US, free_ports

# Of its own, so that whatever else of Ray runs on this machine is not met. 127.0.0.1 Ray would replace.
HEAD, WORKER = "127.0.71.2", "127.0.71.3"


def missing() -> str:
    try:
        import opencensus  # noqa: F401
        import ray.dashboard  # noqa: F401
    except ImportError as error:
        return f"Ray's Jobs API is not here: {error} (pip install 'ray[default]')"
    return ""


class RayService:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="helio-ray-"))
        self.port, dashboard = free_ports(2)
        self.url = f"http://127.0.0.1:{dashboard}"
        self.token_file = self.folder / "token"
        self.token_file.write_text(secrets.token_hex(32))
        self.nodes: list[subprocess.Popen[bytes]] = []

    def options(self) -> dict[str, str]:
        return {"url": self.url, "token_file": str(self.token_file), "power_resource": "watts"}

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        common = ("--num-cpus=4", "--object-store-memory=80000000", "--disable-usage-stats", "--block")
        self._run(
            "--head",
            f"--node-ip-address={HEAD}",
            f"--port={self.port}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.url.rpartition(':')[2]}",
            f"--temp-dir={self.folder}/ray",
            "--num-gpus=2",
            '--resources={"watts":1000}',
            "--labels=site=north,tier=central",
            *common,
        )
        self._until(lambda: self._nodes() == 1)
        self._run(
            f"--address={HEAD}:{self.port}",
            f"--node-ip-address={WORKER}",
            "--num-gpus=0",
            "--labels=site=edge,tier=edge",
            *common,
        )
        self._until(lambda: self._nodes() == 2)
        self._until(self._takes_jobs)

    def _run(self, *words: str) -> None:
        # Ports of their own: another Ray on this machine has the ones that Ray would take.
        agent, metrics = free_ports(2)
        words = (*words, f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}")
        environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
        }
        with (self.folder / "log").open("ab") as log:
            self.nodes.append(
                subprocess.Popen(
                    (*WITH_US, str(Path(sys.executable).with_name("ray")), "start", *words),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            )

    def _nodes(self) -> int:
        import json

        request = urllib.request.Request(
            f"{self.url}/nodes?view=summary", headers={"Authorization": f"Bearer {self.token_file.read_text()}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                told = json.load(answer)
        except (urllib.error.URLError, OSError):
            return 0
        return sum(node["raylet"].get("state") == "ALIVE" for node in told["data"]["summary"])

    def _takes_jobs(self) -> bool:
        """A node is alive some seconds before its agent takes jobs."""
        request = urllib.request.Request(
            f"{self.url}/api/jobs/",
            b'{"entrypoint": "true"}',
            {"Authorization": f"Bearer {self.token_file.read_text()}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _until(self, holds, within_s: float = 150.0) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Ray did not come up: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.3)

    def stop(self) -> None:
        """Each node led a session of its own; whatever of it is left goes with that."""
        for node in reversed(self.nodes):
            node.send_signal(signal.SIGTERM)
        for node in reversed(self.nodes):
            try:
                node.wait(15)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(node.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            node.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
