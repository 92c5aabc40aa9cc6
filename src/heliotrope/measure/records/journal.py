"""The journal: one JSON line a sample, written before anything else is done with it; readable after a SIGKILL.

A sample is a `lap` (what every domain drew, and for whom), or, where all domains are straight lines of work that the
head tells, a `note` of the work; what the others worked meanwhile follows for many notes at once, as `others`.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from heliotrope.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from heliotrope.measure.sampling.recorder import Sample
    from heliotrope.measure.share.straight import Beat, Straight

VERSION = 1
GAP = "samples are missing in the journal"
SYNC_S = 5.0  # the disk is told at most this often; the kernel holds every line at once, whoever is killed


class Journal:
    """Appends whole lines with one write each, so that a kill leaves at most one torn line, the last."""

    def __init__(
        self, path: Path, name: str, start_s: float, interval_s: float, straight: Straight | None = None
    ) -> None:
        from json.encoder import encode_basestring  # a C function; all else of a line is numbers

        self.path = path
        self._text = encode_basestring
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_EXCL, 0o644)
        except FileExistsError:
            raise InvalidInput(
                "a journal of another measurement is there already",
                file=str(path),
                hint=f"read it with `helio measure --recover {path}`, then move it or name another file",
            ) from None
        except OSError as error:
            raise InvalidInput("the journal cannot be written", file=str(path), cause=str(error)) from error
        self._n = self._bytes = 0
        self._gap = False  # whether lines are missing that no flag has told of yet
        self._synced = time.monotonic()
        self._heads: dict[tuple[str, str, str, bool], str] = {}
        self._write_text(
            f'{{"line":"head","version":{VERSION},"name":{self._text(name)},"start_s":{start_s!r},'
            f'"interval_s":{float(interval_s)!r}{"" if straight is None else self._straight(straight)}}}\n'
        )

    def _write(self, data: bytes) -> None:
        """Whole or not at all: what a full disk took a part of is taken back."""
        try:
            written = os.write(self._fd, data)
        except OSError:
            self._gap = True
            raise
        if written != len(data):
            self._gap = True
            os.ftruncate(self._fd, self._bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._bytes += len(data)

    def _write_text(self, line: str) -> None:
        self._write(line.encode("utf-8", "replace"))

    def lap(self, start_s: float, end_s: float, samples: tuple[Sample, ...], flags: tuple[str, ...]) -> None:
        """Numbers are written so that they read back as they were."""
        n = self._n + 1
        body = ",".join([self._flat(sample) for sample in samples])
        tail = self._flagged(flags)
        self._write_text(f'{{"line":"lap","n":{n},"start_s":{start_s!r},"end_s":{end_s!r},"samples":[{body}]{tail}}}\n')
        self._n = n
        self._settled()

    def note(self, beat: Beat) -> None:
        """Work since the sample before: written in a hurry, ten times a second."""
        self._write(b'{"line":"note","end_s":%r,"tree_s":%r,"tree_bytes":%d}\n' % beat)

    def others(self, others_s: float, flags: tuple[str, ...]) -> None:
        """CPU-seconds of everybody else over all notes since the last time."""
        self._write_text(f'{{"line":"others","others_s":{others_s!r}{self._flagged(flags)}}}\n')
        self._settled()

    def _flagged(self, flags: tuple[str, ...]) -> str:
        """What could not be written is told as soon as something can."""
        flags = (*flags, GAP) if self._gap else flags
        return f',"flags":{self._texts(flags)}' if flags else ""

    def _settled(self) -> None:
        self._gap = False
        now_s = time.monotonic()
        if now_s - self._synced >= SYNC_S:
            self._synced = now_s
            os.fdatasync(self._fd)

    def _straight(self, straight: Straight) -> str:
        lines = [
            f'[{self._text(meter)},{self._text(line.domain)},"{provenance}",{list(line.busy_w)!r},{line.idle_w!r},'
            f"{list(line.w_per_gb)!r},{self._texts(line.flags)}]"
            for meter, provenance, line in straight.lines
        ]
        return f',"cpus":{straight.cpus},"lines":[{",".join(lines)}]'

    def _flat(self, sample: Sample) -> str:
        meter, domain, provenance, counted, part, flags = sample
        key = (meter, domain, provenance, counted)
        head = self._heads.get(key)
        if head is None:
            head = f'{self._text(meter)},{self._text(domain)},"{provenance}",{"true" if counted else "false"}'
            self._heads[key] = head
        mine_j, low_j, high_j, others_j, idle_j = part
        return (
            f"[{head},{mine_j!r},{low_j!r},{high_j!r},{others_j!r},{idle_j!r},{self._texts(flags) if flags else '[]'}]"
        )

    def _texts(self, texts: tuple[str, ...]) -> str:
        return f"[{','.join(map(self._text, texts))}]"

    def close(self, end_s: float, energy_j: float) -> None:
        try:
            self._write_text(f'{{"line":"tail","end_s":{end_s!r},"energy_j":{float(energy_j)!r}}}\n')
            os.fdatasync(self._fd)
        finally:
            os.close(self._fd)
