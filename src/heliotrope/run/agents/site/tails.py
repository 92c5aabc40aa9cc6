"""Output that somebody asked to see, cut from its end at the site."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.run.agents.wire import Tail, Wanted
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.logs import CHUNK_BYTES

BEHIND_BYTES = 1 << 20  # what lies further back than that is left out, and said to be


def folder_at(runs: Path, name: str) -> Folder:
    """By an errand's name, RUN/SLOT; the other side chose it, and it may lead nowhere else."""
    run, _, slot = name.partition("/")
    if not (run and slot) or "/" in slot or {run, slot} & {".", ".."} or "\0" in name:
        raise InvalidInput("not an errand's name", field="name", found=name, allowed="RUN/SLOT")
    return Folder(runs / run / slot)


def cut(runs: Path, wanted: Iterable[Wanted]) -> tuple[Tail, ...]:
    return tuple(_cut(folder_at(runs, one.name), one) for one in wanted)


def _cut(folder: Folder, wanted: Wanted) -> Tail:
    if not folder.out.exists():
        return Tail(wanted.name, 0, 0, b"")
    with folder.out.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = min(max(wanted.after, size - BEHIND_BYTES), size)
        file.seek(start)
        said = file.read(CHUNK_BYTES)
    return Tail(wanted.name, start, max(size, start + len(said)), said)
