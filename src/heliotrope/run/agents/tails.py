"""Output that somebody asked to see: cut from its end at the site, laid beside the run's other files here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from heliotrope.errors import InvalidInput
from heliotrope.run.agents.wire import Tail, Wanted
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.logs import ASKED_FOR_S, CHUNK_BYTES, Mirrored
from heliotrope.store import Transaction, agents

BEHIND_BYTES = 1 << 20  # what lies further back than that is left out, and said to be
KEPT_BYTES = 32 << 20  # of one attempt, here
NOTED_S = 2.0  # that a site had nothing new is written down that often


def folder_at(runs: Path, name: str) -> Folder:
    """By an errand's name, RUN/SLOT; the other side chose it, and it may lead nowhere else."""
    run, _, slot = name.partition("/")
    if not (run and slot) or "/" in slot or {run, slot} & {".", ".."} or "\0" in name:
        raise InvalidInput("not an errand's name", field="name", found=name, allowed="RUN/SLOT")
    return Folder(runs / run / slot)


# At the site


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


# At the office


def wanted(tx: Transaction, runs: Path, site: str, now_s: float) -> tuple[Wanted, ...]:
    names = agents.outputs_asked(tx, site, now_s - ASKED_FOR_S)
    return tuple(Wanted(name, mirrored.next if (mirrored := _mirrored(runs, name)) else 0) for name in names)


def lay(runs: Path, tails: Sequence[Tail], asked: frozenset[str], now_s: float) -> None:
    """What nobody asked for is not kept; what comes twice or late changes nothing."""
    for tail in tails:
        if tail.name in asked:
            _lay(folder_at(runs, tail.name), tail, now_s)


def _lay(folder: Folder, tail: Tail, now_s: float) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    before = folder.read("tail", Mirrored) or Mirrored(0, 0, 0, 0.0)
    fresh = tail.said[:CHUNK_BYTES][max(0, before.next - tail.start) :]
    if not fresh:
        if tail.size > before.size or now_s - before.at_s >= NOTED_S:
            folder.write("tail", Mirrored(before.next, max(tail.size, before.next), before.kept, now_s))
        return
    start = max(tail.start, before.next)
    gap = start - before.next
    text = (f"\n[{gap} bytes left out]\n".encode() if gap else b"") + fresh
    if before.kept + len(text) > KEPT_BYTES:
        text = b""
    with folder.out.open("ab") as file:
        # Whatever a crash left behind what was noted was not noted.
        file.truncate(before.kept)
        file.write(text)
    after = start + len(fresh)
    folder.write("tail", Mirrored(after, max(tail.size, after), before.kept + len(text), now_s))


def _mirrored(runs: Path, name: str) -> Mirrored | None:
    return folder_at(runs, name).read("tail", Mirrored)
