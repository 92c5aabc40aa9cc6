"""A real sshd on loopback, with keys and a configuration of its own; `ssh` on `path` reaches it, and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PLACES = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def missing() -> str:
    for need in ("sshd", "ssh", "ssh-keygen", "rsync"):
        if shutil.which(need, path=PLACES) is None:
            return f"{need} is not installed (tools/services.sh does it)"
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        return "sshd needs a folder /run/sshd (tools/services.sh makes it)"
    return ""


class SshService:
    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "bin"
        for name in ("host", "mine"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "mine.pub", folder / "authorized")
        for _ in range(20):
            self.port = _free_port()
            if self._start():
                break
        else:
            raise RuntimeError((folder / "sshd.log").read_text())
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {key}\n")
        (folder / "ssh_config").write_text(
            f"Host *\nIdentityFile {folder}/mine\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {folder}/known\nStrictHostKeyChecking yes\nKexAlgorithms curve25519-sha256\n"
        )
        self.path.mkdir()
        real = shutil.which("ssh", path=PLACES)
        (self.path / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {folder}/ssh_config "$@"\n')
        (self.path / "ssh").chmod(0o755)

    def url(self, path: Path) -> str:
        return f"ssh://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def _start(self) -> bool:
        """False where somebody took the port meanwhile."""
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\n"
        )
        with (self.folder / "sshd.log").open("ab") as log:
            # By its whole path: sshd begins itself anew for each caller.
            real = shutil.which("sshd", path=PLACES)
            self.process = subprocess.Popen(
                [real, "-D", "-e", "-f", self.folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=log
            )
        while self.process.poll() is None:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
