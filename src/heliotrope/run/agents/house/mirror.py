"""Output that an agent sent because somebody asked: kept in its order in the store, whatever comes twice or late."""

from __future__ import annotations

from heliotrope.run.agents.wire import Tail
from heliotrope.run.working.logs import CHUNK_BYTES
from heliotrope.store import Transaction, reports
from heliotrope.store.reports import Output

KEPT_BYTES = 32 << 20  # of one attempt
NOTED_S = 2.0  # that a site had nothing new is written down that often


def lay(tx: Transaction, tail: Tail, now_s: float) -> None:
    before = reports.output(tx, tail.name)
    fresh = tail.said[:CHUNK_BYTES][max(0, before.next - tail.start) :]
    if not fresh:
        if tail.size > before.size or now_s - before.at_s >= NOTED_S:
            size = max(tail.size, before.next)
            reports.put_output(tx, tail.name, Output(before.next, size, before.kept, now_s))
        return
    start = max(tail.start, before.next)
    gap = start - before.next
    piece = (f"\n[{gap} bytes left out]\n".encode() if gap else b"") + fresh
    if before.kept + len(piece) > KEPT_BYTES:
        piece = b""
    after = start + len(fresh)
    reports.put_output(
        tx, tail.name, Output(after, max(tail.size, after), before.kept + len(piece), now_s), piece=piece
    )
