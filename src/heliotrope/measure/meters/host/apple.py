"""Macs with Apple's chips: joules of CPU, GPU and neural engine as powermetrics tells them, one plist an interval."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Draw, Opening, Probe, Usage
from heliotrope.model import Provenance

NAME = "apple"
EVERY_MS = 500
ASK = ("powermetrics", "--format", "plist", "--samplers", "cpu_power,gpu_power,ane_power", "-i", str(EVERY_MS))
DOMAINS = (("cpu", "cpu_energy", "cpu_power"), ("gpu", "gpu_energy", "gpu_power"), ("ane", "ane_energy", "ane_power"))
ERROR = 0.15  # Apple calls these figures estimates, and says not how good they are: assumed
LONGEST_BYTES = 4_000_000


class Plists:
    """Whole plists out of a stream that sets a NUL between them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        import plistlib

        *whole, self._rest = (self._rest + data).split(b"</plist>")
        self._rest = self._rest[-LONGEST_BYTES:]
        found = []
        for part in whole:
            try:
                tree = plistlib.loads(part.lstrip(b"\0\n ") + b"</plist>")
            except (ValueError, plistlib.InvalidFileException):
                continue  # what `read` misses is flagged there by its silence
            if isinstance(tree, dict):
                found.append(tree)
        return found


def joules(tree: dict[str, Any]) -> dict[str, float]:
    """Of one interval: millijoules where told, else milliwatts over the interval."""
    elapsed_s = float(tree.get("elapsed_ns") or 0) / 1e9
    processor = tree.get("processor")
    told = processor if isinstance(processor, dict) else {}
    found = {}
    for domain, energy, power in DOMAINS:
        if isinstance(told.get(energy), int | float):
            found[domain] = float(told[energy]) / 1e3
        elif isinstance(told.get(power), int | float):
            found[domain] = float(told[power]) / 1e3 * elapsed_s
    return found


class AppleMeter:
    """The program runs as long as the meter, and is read without waiting. What is under way comes with its plist."""

    name = NAME
    provenance = Provenance.MODELLED  # of Apple's making: powermetrics says that its figures are estimates
    covers = frozenset({"cpu", "gpu"})
    resolution_s = EVERY_MS / 1e3

    def __init__(self) -> None:
        self._program = subprocess.Popen(ASK, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._program.stdout is not None
        self._fd = self._program.stdout.fileno()
        os.set_blocking(self._fd, False)
        self._plists = Plists()
        self._silent_s = 0.0

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        sums: dict[str, float] = {}
        for tree in self._plists.feed(self._available()):
            for domain, energy_j in joules(tree).items():
                sums[domain] = sums.get(domain, 0.0) + energy_j
        self._silent_s = 0.0 if sums else self._silent_s + usage.elapsed_s
        if usage.elapsed_s == 0:
            return ()
        if self._silent_s > 4 * self.resolution_s:
            return (Draw(NAME, 0.0, 0.0, 0.0, flags=("apple: powermetrics is silent",)),)
        return tuple(
            Draw(domain, energy_j, energy_j * (1 - ERROR), energy_j * (1 + ERROR)) for domain, energy_j in sums.items()
        )

    def _available(self) -> bytes:
        parts = []
        while True:
            try:
                part = os.read(self._fd, 65536)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        self._program.terminate()
        self._program.wait()
        assert self._program.stdout is not None
        self._program.stdout.close()


def probe(_system: System) -> Probe:
    if shutil.which(ASK[0]) is None:
        return Probe(NAME, False, (), "not a Mac: there is no powermetrics", "run it on the Mac itself")
    if os.geteuid() != 0:
        return Probe(
            NAME, False, ("cpu", "gpu", "ane"), "powermetrics wants root", "sudo helio meter serve --meter apple"
        )
    return Probe(NAME, True, ("cpu", "gpu", "ane"))


def open_meter(opening: Opening) -> AppleMeter | None:
    return AppleMeter() if probe(opening.system).available else None
