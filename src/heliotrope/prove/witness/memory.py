"""A witness's memory: the largest checkpoint it cosigned for each log, changed in one transaction with each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from heliotrope.errors import BadNote
from heliotrope.prove import halt
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note, SecretKey
from heliotrope.prove.witness.protocol import Answer, Request, decide
from heliotrope.store import Store, Transaction


class Witness:
    """Remembers before it signs: a crash between the two costs a cosignature, never a contradiction.

    It may sign with several keys, one of each type.
    """

    def __init__(self, home: Path, secrets: Sequence[SecretKey], logs: Sequence[Key]) -> None:
        self.secrets = tuple(secrets)
        self.home = home
        self._store = Store.at(home)
        grouped: dict[str, list[Key]] = {}
        for key in logs:
            grouped.setdefault(key.name, []).append(key)
        self._logs: Mapping[str, Sequence[Key]] = grouped

    def add_checkpoint(self, raw: bytes, *, time_s: int) -> Answer:
        try:
            request = Request.parse(raw)
            origin = Checkpoint.parse(request.checkpoint.text).origin
        except BadNote as error:
            return Answer(400, f"{error.what}\n")
        with self._store.write() as tx:
            head = _head(tx, origin)
            answer = decide(request, self._logs, Checkpoint.parse(head.text) if head else None)
            if answer.tree is not None:
                _remember(tx, answer.tree, request.checkpoint)
        if answer.conflict and head is not None:
            halt.keep_evidence(self.home / "evidence", "two roots of one size", head, request.checkpoint)
        if answer.tree is None:
            return answer
        text = request.checkpoint.text
        return Answer(200, "".join(str(secret.sign(text, time_s=time_s)) for secret in self.secrets))

    def head(self, origin: str) -> Note | None:
        with self._store.read() as tx:
            return _head(tx, origin)

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(self._logs)


def _head(tx: Transaction, origin: str) -> Note | None:
    row = tx.one("SELECT note FROM witness_head WHERE origin = ?", (origin,))
    return None if row is None else Note.parse(row[0].encode())


def _remember(tx: Transaction, tree: Checkpoint, note: Note) -> None:
    tx.execute(
        "INSERT INTO witness_head (origin, size, root, note) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
        (tree.origin, tree.size, tree.root, str(note)),
    )
