"""The windows of a measured program (run, epoch, step, phase) as lines of a file, for whoever started it to read.

A program that finds `HELIO_WINDOWS` in its environment appends each window that ends. `helio run` sets it, so that
the run's page can show where in a training the energy went.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Measurement, Provenance

FULL = 2000  # lines of one name; from then on two, four, eight … of its windows share a line


class Span(msgspec.Struct, frozen=True):
    """Numbers `first` to `last` of something that repeats, and the joules they used, 90 % between low and high."""

    first: int
    last: int
    start_s: float
    end_s: float
    energy_j: float
    low_j: float
    high_j: float

    @classmethod
    def of(cls, number: int, measurement: Measurement, **where: Any) -> Self:
        energy = measurement.energy_j
        return cls(
            first=number,
            last=number,
            start_s=measurement.start_s,
            end_s=measurement.end_s,
            energy_j=energy.value,
            low_j=energy.low,
            high_j=energy.high,
            **where,
        )

    def joined(self, later: Self) -> Self:
        return msgspec.structs.replace(
            self,
            last=later.last,
            end_s=later.end_s,
            energy_j=self.energy_j + later.energy_j,
            low_j=self.low_j + later.low_j,
            high_j=self.high_j + later.high_j,
        )


class Window(Span, frozen=True, forbid_unknown_fields=True):
    """Windows of one name.

    `path` says what they lie in: `train/epoch 3/step`. Inner windows are parts of outer ones, never added to them.
    """

    path: str
    pid: int
    provenance: Provenance

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Writer:
    """Appends whole lines by one write each, also beside other processes that append to the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._seen: dict[str, int] = {}  # windows of a name, so far
        self._lines: dict[str, int] = {}
        self._waiting: dict[str, Window] = {}

    def add(self, path: str, measurement: Measurement) -> None:
        name = path.rpartition("/")[2]
        n = self._seen.get(name, 0)
        self._seen[name] = n + 1
        one = Window.of(n, measurement, path=path, pid=os.getpid(), provenance=measurement.energy_j.provenance)
        before = self._waiting.pop(name, None)
        if before is not None and before.path != path:
            self._write(name, before)
        elif before is not None:
            one = before.joined(one)
        if one.last - one.first + 1 >= 2 ** (self._lines.get(name, 0) // FULL):
            self._write(name, one)
        else:
            self._waiting[name] = one

    def _write(self, name: str, window: Window) -> None:
        self._lines[name] = self._lines.get(name, 0) + 1
        os.write(self._fd, msgspec.json.encode(window) + b"\n")

    def flush(self) -> None:
        """Writes what still waits for its neighbours."""
        for name, window in self._waiting.items():
            self._write(name, window)
        self._waiting.clear()


def read(path: Path) -> list[Window]:
    """In the order they ended. A torn last line is dropped; a file that is not there holds none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")[:-1]
    decoder = msgspec.json.Decoder(Window)
    windows = []
    for number, line in enumerate(lines, start=1):
        try:
            windows.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise InvalidInput("not a window", file=str(path), line=number, cause=str(error)) from error
    return windows
