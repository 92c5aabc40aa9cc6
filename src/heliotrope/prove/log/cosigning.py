"""Brings a checkpoint to the witnesses and its cosignatures into the store; stops everything on two histories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from heliotrope.prove import halt
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note
from heliotrope.prove.log import sequencer
from heliotrope.prove.witness import client
from heliotrope.prove.witness.client import Peer, Reply
from heliotrope.store import Store


def cosign(store: Store, home: Path, note: Note, peers: Sequence[Peer], log_keys: Sequence[Key], quorum: int) -> None:
    """Asks those who have not signed yet, unless enough have."""
    signed = set(note.verified([peer.key for peer in peers]))
    lacking = [peer for peer in peers if peer.key not in signed]

    def enough(fresh: AbstractSet[Key]) -> bool:
        return 0 < quorum <= whole(peers, signed | fresh)

    if not lacking or enough(frozenset()):
        return
    tree = Checkpoint.parse(note.text)
    with store.read() as tx:
        rows = tx.all("SELECT vkey, size FROM log_witness")
        known = {row[0]: min(int(row[1]), tree.size) for row in rows}
        node = sequencer.node(tx, tree.size)
        replies = client.collect(
            note,
            lacking,
            [known.get(str(peer.key), 0) for peer in lacking],
            lambda old: merkle.consistency(old, tree.size, node),
            log_keys,
            enough=enough if quorum else None,
        )
    signed |= {reply.peer.key for reply in replies if reply.signature is not None}
    _keep(store, tree, note, replies, whole(peers, signed))
    for reply in replies:
        if reply.ahead is not None:
            raise halt.stop(
                home, f"{reply.peer.key.name} holds a checkpoint of this log that is not ours", note, reply.ahead
            )


def whole(peers: Iterable[Peer], signed: AbstractSet[Key]) -> int:
    """How many witnesses have signed: each is a name, and has when every key that is asked for under it has."""
    peers = list(peers)
    return len({peer.key.name for peer in peers} - {peer.key.name for peer in peers if peer.key not in signed})


def _keep(store: Store, tree: Checkpoint, note: Note, replies: Sequence[Reply], witnesses: int) -> None:
    fresh = [reply.signature for reply in replies if reply.signature is not None]
    with store.write() as tx:
        if fresh:
            tx.execute(
                "UPDATE log_checkpoint SET note = ?, witnesses = ? WHERE size = ?",
                (str(note.with_signatures(fresh)), witnesses, tree.size),
            )
        tx.execute_many(
            "INSERT INTO log_witness (vkey, url, size, fault) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (vkey) DO UPDATE SET url = excluded.url, fault = excluded.fault,"
            " size = coalesce(nullif(excluded.size, 0), log_witness.size)",
            [(str(reply.peer.key), reply.peer.url, reply.size or 0, reply.fault) for reply in replies],
        )
