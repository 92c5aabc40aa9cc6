"""The ledger: what the other rooms hold. Adds records within their transactions, publishes, and hands out receipts."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from heliotrope.config import ProveSettings
from heliotrope.errors import BadNote, ConfigError, ProofError, UnknownName
from heliotrope.files import held, write_whole
from heliotrope.prove import halt, keys
from heliotrope.prove.audit import attestation
from heliotrope.prove.audit.attestation import Attestation, Opinion
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.formats import merkle, trust
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note
from heliotrope.prove.formats.proof import Proof
from heliotrope.prove.formats.schemes import Algorithm
from heliotrope.prove.log import cosigning, publisher, sequencer
from heliotrope.prove.records import receipt, record
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.prove.records.record import Sealed, Sealer, Statement
from heliotrope.prove.witness.client import Peer
from heliotrope.store import Store, Transaction

# Where the log signs with keys of two types, the second's.
_SECOND = keys.file_of("log", Algorithm.ML_DSA_44)


class Ledger:
    """The one writer of a home's log. Keys are made at first use, under `home/keys`, for their owner alone."""

    def __init__(self, store: Store, home: Path, settings: ProveSettings) -> None:
        self.store = store
        self.home = home
        self.settings = settings
        self.folder = home / "log"
        self.take_keys()
        if self._log.current.name != settings.origin:
            raise ProofError(
                f"this home's log is {self._log.current.name}, not {settings.origin}",
                hint="set prove.origin back, or use another --home for another log",
            )
        self.auditors = tuple(Key.parse(text) for text in settings.auditors)
        self._peers = tuple(Peer.parse(text) for text in settings.witnesses)
        named = len({peer.key.name for peer in self._peers})
        if settings.quorum > named:
            raise ConfigError(
                f"prove.quorum is {settings.quorum}, but {named} witnesses are named",
                hint="name more in prove.witnesses, or ask for fewer",
            )
        self.remember_keys()

    def add(self, tx: Transaction, statement: Statement) -> int:
        """Signs, salts and numbers a record; it is in the log exactly when the caller's transaction commits."""
        self._follow_rotation()
        sealed = self.sealer.seal(record.canonical(statement.body))
        return self.add_sealed(tx, [(statement, sealed)])

    def add_sealed(self, tx: Transaction, records: Sequence[tuple[Statement, Sealed]]) -> int:
        """The index of the first of consecutive records."""
        halt.refuse_if_stopped(self.home)
        first = sequencer.append(tx, [sealed.leaf for _, sealed in records])
        evidence = {record.digest(s.evidence): s.evidence for s, _ in records if s.evidence is not None}
        if evidence:
            tx.execute_many(
                "INSERT INTO log_evidence (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
                [(name, zlib.compress(body)) for name, body in evidence.items()],
            )
        tx.execute_many(
            "INSERT INTO log_record (idx, kind, subject, salt, envelope, evidence) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (index, s.kind, s.subject, sealed.salt, sealed.envelope, s.evidence and record.digest(s.evidence))
                for index, (s, sealed) in enumerate(records, start=first)
            ],
        )
        return first

    def append(self, tx: Transaction, entries: Sequence[bytes]) -> int:
        """Raw leaves, for entries that define their own bytes; the index of the first."""
        return sequencer.append(tx, entries)

    def publish(self) -> Note:
        """Brings the static files up to the store; safe to call at any time, from any process, as often as wanted.

        With a quorum of witnesses to meet, the checkpoint that the world sees is the newest that met it.
        """
        halt.refuse_if_stopped(self.home)
        self._follow_rotation()
        self.remember_keys()
        with held(self.folder / ".lock"):
            note = publisher.prepare(
                self.store, self.folder, self.settings.origin, self._signing, time_s=int(time.time())
            )
            if self._peers:
                cosigning.cosign(self.store, self.home, note, self._peers, self.log_keys(), self.settings.quorum)
            seen = self.checkpoint()
            if seen is not None:
                publisher.show(self.folder, seen)
            self._write_keys()
        return seen or note

    def _write_keys(self) -> None:
        vkeys = trust.lines("log", self.log_keys()) + trust.lines("witness", self.witness_keys())
        parties = trust.lines("site", self.site_keys()) + trust.lines("auditor", self.auditors)
        for name, text in (("vkeys", vkeys), ("parties", parties)):
            path = self.folder / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_whole(path, text.encode())

    def log_keys(self) -> tuple[Key, ...]:
        """All that ever signed, the newest first."""
        return self._keys("log")

    def site_keys(self) -> tuple[Key, ...]:
        return self._keys("site")

    def witness_keys(self) -> tuple[Key, ...]:
        return self._keys("witness")

    def _keys(self, role: str) -> tuple[Key, ...]:
        with self.store.read() as tx:
            rows = tx.all("SELECT vkey FROM log_key WHERE role = ? ORDER BY n DESC", (role,))
        return tuple(Key.parse(row[0]) for row in rows)

    def take_keys(self) -> None:
        """Reads this home's keys, making them at first use; again after a rotation."""
        self._taken = self._stamp()
        self._log = keys.load_or_make(self.home, "log", self.settings.origin)
        second = keys.load(self.home, _SECOND).keys if keys.exists(self.home, _SECOND) else ()
        self._signing = (*self._log.keys, *second)
        self._site = keys.load_or_make(self.home, "site", keys.default_name("site"))
        self.secret = self._site.current
        self.sealer = Sealer(self.secret)

    def _follow_rotation(self) -> None:
        """Whoever rotates may be another process: its keys are ours from the next record on."""
        if self._stamp() != self._taken:
            self.take_keys()

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        return keys.stamp(self.home, "log", "site", _SECOND)

    def remember_keys(self) -> None:
        """Old signatures must stay checkable after a rotation."""
        own = [("log", secret.key) for secret in reversed(self._signing)]
        own += [("site", secret.key) for secret in reversed(self._site.keys)]
        own += [("witness", peer.key) for peer in self._peers]
        known = {*self._keys("log"), *self._keys("site"), *self._keys("witness")}
        fresh = [(str(key), role) for role, key in own if key not in known]
        if fresh:
            with self.store.write() as tx:
                tx.execute_many(
                    "INSERT INTO log_key (vkey, role, n) VALUES (?, ?, (SELECT count(*) FROM log_key))"
                    " ON CONFLICT (vkey) DO NOTHING",
                    fresh,
                )

    def witnesses(self) -> list[dict[str, Any]]:
        """Each one's name, address, the size it has seen, and what was wrong with its last answer, if anything."""
        with self.store.read() as tx:
            rows = {row[0]: row for row in tx.all("SELECT vkey, url, size, fault FROM log_witness")}
        return [
            {
                "name": peer.key.name,
                "url": peer.url,
                "size": rows[str(peer.key)][2] if str(peer.key) in rows else 0,
                "fault": rows[str(peer.key)][3] if str(peer.key) in rows else "never asked",
            }
            for peer in self._peers
        ]

    def find(self, subject: str, kind: str = "run") -> int:
        """The newest record of that kind about a run (or workload, for plans)."""
        with self.store.read() as tx:
            row = tx.one(
                "SELECT max(idx) FROM log_record WHERE subject = ? AND kind = ? AND kind <> 'entry'",
                (subject, kind),
            )
        if row is None or row[0] is None:
            raise UnknownName(f"no {kind} record of {subject} in the log", hint="`helio log show` lists them")
        return int(row[0])

    def size(self) -> int:
        with self.store.read() as tx:
            return sequencer.size(tx)

    def checkpoint(self) -> Note | None:
        """The newest that may be shown: signed, and cosigned by the quorum."""
        with self.store.read() as tx:
            return publisher.newest(tx, quorum=self.settings.quorum)

    def prove(self, index: int) -> tuple[Proof, bytes]:
        """A proof under the newest checkpoint, and the entry."""
        with self.store.read() as tx:
            note = publisher.newest(tx, quorum=self.settings.quorum)
            tree = Checkpoint.parse(note.text) if note else None
            if note is None or tree is None or index >= tree.size:
                raise ProofError(
                    f"entry {index} is under no published checkpoint",
                    cause="it was not published yet, or too few witnesses have cosigned it",
                    hint="`helio log witnesses` says who has not" if self._peers else "publish first",
                )
            path = merkle.inclusion(index, tree.size, sequencer.node(tx, tree.size))
            (entry,) = sequencer.read_entries(tx, index, index + 1)
        return Proof(index, tuple(path), note), entry

    def receipt(self, index: int, out: Path) -> Path:
        """Writes `out` (a tlog-proof) and its record beside it; publishes first where the entry is newer than that."""
        note = self.checkpoint()
        if note is None or Checkpoint.parse(note.text).size <= index:
            self.publish()
        proof, _ = self.prove(index)
        receipt.write(out, proof, self.record_file(index))
        return out

    def record_file(self, index: int) -> bytes:
        """What stands beside a receipt: the entry, and the private record behind it unless that was erased."""
        with self.store.read() as tx:
            (entry,) = sequencer.read_entries(tx, index, index + 1)
            row = tx.one("SELECT salt, envelope FROM log_record WHERE idx = ?", (index,))
        salt, envelope = (None, None) if row is None else (bytes(row[0]), bytes(row[1]))
        said = tuple(opinion.note for opinion in self.opinions(index))
        return RecordFile.of(entry, self._signer_of(entry), salt, envelope, said).encode()

    def _signer_of(self, entry: bytes) -> Key | None:
        try:
            signer = msgspec.json.decode(bounded(entry))["keyid"]
        except (*UNREADABLE, KeyError, TypeError):
            return None
        return next((key for key in self.site_keys() if record.key_id(key.public) == signer), None)

    def open(self, index: int) -> record.Opened:
        """One record, its signature and commitment checked."""
        opened = RecordFile.parse(self.record_file(index)).open()
        if opened is None:
            raise UnknownName(f"entry {index} was erased, or never was a record")
        return opened

    def evidence(self, name: str) -> bytes:
        with self.store.read() as tx:
            row = tx.one("SELECT body FROM log_evidence WHERE digest = ?", (name,))
        if row is None:
            raise UnknownName(f"no evidence {name}", hint="it was erased, or belongs to another log")
        return zlib.decompress(bytes(row[0]))

    def attest(self, raw: bytes) -> Attestation:
        """Keeps what a known auditor signed about one of this log's entries; its latest opinion counts."""
        opinion, auditor = attestation.verify(raw, self.auditors)
        with self.store.write() as tx:
            if opinion.origin != self.settings.origin or opinion.index >= sequencer.size(tx):
                raise BadNote("an attestation about no entry of this log", cause=f"{opinion.origin} {opinion.index}")
            (entry,) = sequencer.read_entries(tx, opinion.index, opinion.index + 1)
            if merkle.leaf_hash(entry) != opinion.leaf:
                raise BadNote(f"an attestation about another entry {opinion.index} than this log's")
            tx.execute(
                "INSERT INTO audit (idx, auditor, agrees, reasons, at_s, note) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (idx, auditor) DO UPDATE SET agrees = excluded.agrees, reasons = excluded.reasons,"
                " at_s = excluded.at_s, note = excluded.note WHERE excluded.at_s >= audit.at_s",
                (
                    opinion.index,
                    auditor.name,
                    opinion.agrees,
                    "\n".join(opinion.reasons),
                    opinion.at_s,
                    raw.decode(),
                ),
            )
        return opinion

    def opinions(self, index: int) -> list[Opinion]:
        """What auditors said about an entry, the disagreements first."""
        with self.store.read() as tx:
            rows = tx.all(
                "SELECT auditor, agrees, reasons, at_s, note FROM audit WHERE idx = ? ORDER BY agrees, auditor",
                (index,),
            )
        return [
            Opinion(row[0], bool(row[1]), tuple(row[2].split("\n")) if row[2] else (), int(row[3]), row[4])
            for row in rows
        ]

    def records(self, *, last: int = 50) -> list[dict[str, Any]]:
        """The newest first: index, kind, subject."""
        with self.store.read() as tx:
            rows = tx.all("SELECT idx, kind, subject FROM log_record ORDER BY idx DESC LIMIT ?", (last,))
        return [{"index": row[0], "kind": row[1], "subject": row[2]} for row in rows]
