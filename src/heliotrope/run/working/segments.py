"""The pieces of an attempt, wherever they ran: from this home's folders, or from what agents told the store."""

from __future__ import annotations

import msgspec

from heliotrope.model import Measurement
from heliotrope.run.working.folder import Exit, Folder, folders_of, numbered
from heliotrope.store import Store, reports
from heliotrope.store.reports import Segment


class Elsewhere(Folder):
    """One that ran behind an agent: any controller of the store knows as much of it as any other."""

    def __init__(self, store: Store, told: Segment) -> None:
        super().__init__(store.home / "runs" / told.name)
        self._store = store
        self.told = told

    @property
    def exit(self) -> Exit | None:
        ended = self.told.ending.exit
        return msgspec.json.decode(ended, type=Exit) if ended else None

    @property
    def measurement(self) -> Measurement | None:
        measured = self.told.ending.measurement
        return msgspec.json.decode(measured, type=Measurement) if measured else None

    @property
    def refused(self) -> str:
        return self.told.ending.refused

    @property
    def width(self) -> int:
        return msgspec.json.decode(self.told.task, type=_Width).width

    @property
    def size(self) -> int:
        return self.told.output.kept if self.told.output else 0

    def said(self, start: int, most: int) -> bytes:
        with self._store.read() as tx:
            return reports.said(tx, self.told.name, start, most)


class _Width(msgspec.Struct):
    """All that is asked of a task here."""

    width: int = 1


def of(store: Store, run_id: str) -> list[Folder]:
    """In the order of their numbers; each behind what its cluster took back of it."""
    elsewhere = _elsewhere(store, run_id)
    if not elsewhere:
        return folders_of(store.home / "runs", run_id)
    here = {int(one.path.name): [*one.earlier(), one] for one in numbered(store.home / "runs" / run_id)}
    found = here | {number: [one] for number, one in elsewhere.items()}
    return [one for number in sorted(found) for one in found[number]]


def next_number(store: Store, run_id: str) -> int:
    """Numbered as they come: a plan that was made anew counts its slots from 0 again."""
    here = (int(one.path.name) for one in numbered(store.home / "runs" / run_id))
    return 1 + max((*here, *_elsewhere(store, run_id)), default=-1)


def _elsewhere(store: Store, run_id: str) -> dict[int, Elsewhere]:
    with store.read() as tx:
        told = reports.segments(tx, run_id)
    return {int(number): Elsewhere(store, one) for one in told if (number := one.name.rpartition("/")[2]).isdigit()}
