"""A machine elsewhere, as far as the network goes: a namespace of its own behind one cable, that can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True)


def missing() -> str:
    """Why there can be none here; nothing where there can."""
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    trial = Cable(255)
    try:
        trial.lay()
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made here: {error.stderr.strip()}"
    finally:
        trial.take_away()
    return ""


class Cable:
    """`here` and `there` are its two ends' addresses; `within` runs a command on the far side."""

    def __init__(self, number: int) -> None:
        self.name = f"helio-{os.getpid()}-{number}"
        self.ends = f"hf{os.getpid() % 10**7}a{number}", f"hf{os.getpid() % 10**7}b{number}"
        net = f"10.{71 + os.getpid() % 128}.{number}"
        self.here, self.there = f"{net}.1", f"{net}.2"

    def lay(self) -> None:
        near, far = self.ends
        ip("netns", "add", self.name)
        ip("link", "add", near, "type", "veth", "peer", "name", far)
        ip("link", "set", far, "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", far)
        ip("-n", self.name, "link", "set", far, "up")
        ip("-n", self.name, "link", "set", "lo", "up")

    def pull(self) -> None:
        ip("link", "set", self.ends[0], "down")

    def plug(self) -> None:
        ip("link", "set", self.ends[0], "up")

    def within(self, *words: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name, *words)

    def take_away(self) -> None:
        """By name, whatever of it was laid."""
        subprocess.run(("ip", "link", "del", self.ends[0]), check=False, capture_output=True)
        subprocess.run(("ip", "netns", "del", self.name), check=False, capture_output=True)
