"""What a run said, wherever it runs: read here, or fetched by its site's agent because somebody asked."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Sequence

import msgspec

from heliotrope.errors import UnknownName
from heliotrope.run.working import segments
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.segments import Elsewhere
from heliotrope.store import Store, reports, runs
from heliotrope.store.reports import Segment

CHUNK_BYTES = 256 * 1024
LAST_BYTES = 64 * 1024
LOOK_S = 0.25  # of the wall, between two looks at output that may grow
ASK_AGAIN_S = 10.0
ASKED_FOR_S = 30.0  # an agent sends what was asked for within that


class Said(msgspec.Struct, frozen=True):
    """A piece of a run's output. `start`, `next` and `size` count bytes of what there is here.

    `age_s`: since its site told of it; 0 where it is read where it is written, None where nothing was told yet.
    `complete`: by then its site had no more.
    """

    run: str
    state: str
    site: str
    text: str
    start: int
    next: int
    size: int
    over: bool
    complete: bool
    age_s: float | None


def read(store: Store, name: str, after: int | None = None) -> Said:
    """From byte `after` on, else the end of it; by a run's name or its job's, whose newest attempt is meant.

    Where an agent has it, this asks it for more.
    """
    now_s = time.time()
    with store.read() as tx:
        run = runs.run(tx, name) or next(reversed(runs.attempts(tx, name)), None)
        if run is None:
            raise UnknownName(f"no job or run is called {name}", hint="helio jobs lists them")
    pieces = segments.of(store, run.id)
    elsewhere = [one.told for one in pieces if isinstance(one, Elsewhere) and one.told.sent_s is not None]
    _ask(store, elsewhere, now_s)
    size = sum(piece.size for piece in pieces)
    start = max(0, size - LAST_BYTES) if after is None else min(max(after, 0), size)
    raw = _bytes(pieces, start)
    text, used = _whole(raw, ends=run.state.ended and start + len(raw) == size)
    told_s, complete = _told(elsewhere)
    return Said(
        run=run.id,
        state=run.state.value,
        site=run.site,
        text=text,
        start=start,
        next=start + used,
        size=size,
        over=run.state.ended,
        complete=complete,
        age_s=0.0 if not elsewhere else None if told_s is None else max(0.0, now_s - told_s),
    )


def _ask(store: Store, elsewhere: Sequence[Segment], now_s: float) -> None:
    unasked = [one for one in elsewhere if one.asked_s < now_s - ASK_AGAIN_S]
    if unasked:
        with store.write() as tx:
            for one in unasked:
                reports.ask_output(tx, one, now_s)


def _told(elsewhere: Sequence[Segment]) -> tuple[float | None, bool]:
    """When the site last told of all of it, and whether that was everything it had."""
    told = [one.output for one in elsewhere if one.output is not None]
    if len(told) < len(elsewhere):
        return None, False
    return min((one.at_s for one in told), default=None), all(one.next == one.size for one in told)


def _bytes(pieces: Sequence[Folder], start: int) -> bytes:
    """A chunk of them as if they were one file."""
    raw = b""
    for piece in pieces:
        size = piece.size
        if start < size and len(raw) < CHUNK_BYTES:
            raw += piece.said(start, min(size - start, CHUNK_BYTES - len(raw)))
        start = max(0, start - size)
    return raw


def _whole(raw: bytes, *, ends: bool) -> tuple[str, int]:
    """As text, up to the last whole character, and how many bytes that is."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(raw, final=ends)
    return text, len(raw) - len(decoder.getstate()[0])


def follow(
    ask: Callable[[int | None], Said], show: Callable[[Said], None], *, to_its_end: bool, patience_s: float
) -> Said:
    """Shows each new piece until nothing more comes: all that there is, or, `to_its_end`, all that there will be.

    A site that does not answer for `patience_s` is waited for no longer, but where the run may still go on.
    """
    after: int | None = None
    asked = heard = time.monotonic()
    while True:
        said = ask(after)
        if said.text:
            show(said)
        more, after = said.next < said.size and bool(said.text), said.next
        done = said.over or not to_its_end
        fresh = said.complete and said.age_s is not None and said.age_s <= time.monotonic() - asked
        if fresh:
            heard = time.monotonic()
        if done and not more and (fresh or time.monotonic() - heard > patience_s):
            return said
        if fresh:
            # What the site said before now may lack what came since.
            asked = time.monotonic()
        if not more:
            time.sleep(LOOK_S)
