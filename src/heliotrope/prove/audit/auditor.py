"""The auditor: remembers what it saw, judges each new entry once, and signs its opinion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from heliotrope.errors import HelioError, ProofError, ProviderError, UsageError
from heliotrope.files import write_whole
from heliotrope.prove import halt
from heliotrope.prove.audit import follow, recompute
from heliotrope.prove.audit.attestation import Attestation, one_line
from heliotrope.prove.audit.retrain import Retrain
from heliotrope.prove.audit.source import Revealed, Source
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Note, SecretKey
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records import evidence, record
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.prove.records.statements import Training
from heliotrope.store import Store


class Round(msgspec.Struct, frozen=True):
    """What one look at the log brought. `unseen`: entries whose record is erased or withheld, so nothing is said."""

    origin: str
    size: int
    judged: int
    agreed: int
    unseen: int
    disagreements: tuple[Attestation, ...]


class Auditor:
    """Its home keeps its key, its memory and its signed attestations, one file an entry."""

    def __init__(
        self,
        home: Path,
        secret: SecretKey,
        trust: Trust,
        own_signal: recompute.OwnSignal,
        retrain: Retrain | None = None,
    ) -> None:
        self.home = home
        self.retrain = retrain
        self.secret = secret
        self.trust = trust
        self.own_signal = own_signal
        self.store = Store.at(home)

    def look(self, source: Source, *, time_s: int) -> Round:
        """Follows the log to its newest checkpoint and judges what is new, and what was `Revealed` since."""
        halt.refuse_if_stopped(self.home)
        last, start = self._memory()
        note = follow.advance(source, self.trust, last, self.home)
        tree = Checkpoint.parse(note.text)
        self._remember(tree, note, start)
        opinions: list[Attestation] = []
        unseen = 0
        for index in self._opened_since(source, start):
            _, entry = next(follow.entries(source, tree, index))
            late = self._judge(source, tree, index, entry, time_s)
            if late is not None:
                self._sign(late)
                opinions.append(late)
        for index, entry in follow.entries(source, tree, start):
            opinion = self._judge(source, tree, index, entry, time_s)
            if opinion is None:
                unseen += 1
            else:
                self._sign(opinion)
                opinions.append(opinion)
            self._remember(tree, note, index + 1)
        against = tuple(opinion for opinion in opinions if not opinion.agrees)
        return Round(tree.origin, tree.size, tree.size - start, len(opinions) - len(against), unseen, against)

    def unreported(self) -> list[Path]:
        """Signed opinions that the log has not taken yet."""
        folder = self.home / "attestations"
        done = folder / "reported"
        return [path for path in sorted(folder.glob("*.note")) if not (done / path.name).exists()]

    def reported(self, path: Path) -> None:
        write_whole(path.parent / "reported" / path.name, b"")

    def _opened_since(self, source: Source, start: int) -> list[int]:
        """Entries passed over before, since nobody showed their records."""
        if not isinstance(source, Revealed):
            return []
        return [index for index in source.indices() if index < start and not self._note_of(index).exists()]

    def _judge(self, source: Source, tree: Checkpoint, index: int, entry: bytes, time_s: int) -> Attestation | None:
        """None where there is nothing to say: no record is shown, or not of a kind that can be computed."""
        (raw,) = source.fetch([f"record/{index}"])
        if raw is None:
            return None
        try:
            kept = RecordFile.parse(raw)
            if kept.entry != entry:
                raise ProofError("the record shown is of another entry than the log's")
            opened = kept.open()
            if opened is None:
                return None
            reasons = self._reasons(source, tree, index, opened)
        except (ProviderError, UsageError):
            # The wire, or this machine: nothing that the record could be blamed for. It is judged next time.
            raise
        except HelioError as error:
            reasons = [error.what]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # The predicate is its signer's to shape; what does not read like a record cannot be agreed with.
            reasons = [f"the record lacks what every such record has: {error}"]
        if reasons is None:
            return None
        lines = tuple(one_line(reason) for reason in reasons)
        return Attestation(tree.origin, index, merkle.leaf_hash(entry), not lines, time_s, lines)

    def _reasons(self, source: Source, tree: Checkpoint, index: int, opened: record.Opened) -> list[str] | None:
        if opened.kind == "plan":
            return self._note_plan(tree, index, opened)
        if opened.kind != "run":
            return None
        said = opened.body["predicate"]
        replayed = self._replayed(tree, index, str(said["run"]["id"]))
        reasons = recompute.plan_reasons(said, self._plan_index(tree, said), index)
        if not said.get("evidence"):
            return [*reasons, *replayed, "the record names no evidence to compute it from"]
        (raw,) = source.fetch([f"evidence/{said['evidence']}"])
        if raw is None:
            return [*reasons, *replayed, "the evidence it names is not to be had"]
        if record.digest(raw) != said["evidence"]:
            return [*reasons, *replayed, "the evidence shown is not the one it names"]
        reasons += recompute.reasons_against(said, evidence.decode(raw), self.own_signal)
        if self.retrain is not None and said.get("training"):
            reasons += self.retrain.reasons_against(msgspec.convert(said["training"], Training))
        return reasons + replayed

    def _note_plan(self, tree: Checkpoint, index: int, opened: record.Opened) -> list[str]:
        said = opened.body["predicate"]
        found = record.digest(record.canonical(said["plan"]))
        if found != opened.body["subject"][0]["digest"]["sha256"]:
            return ["the plan does not have the digest that it is recorded under"]
        with self.store.write() as tx:
            tx.execute(
                "INSERT INTO audit_plan (origin, workload, digest, idx) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (tree.origin, opened.subject, found, index),
            )
        return []

    def _replayed(self, tree: Checkpoint, index: int, run: str) -> list[str]:
        with self.store.write() as tx:
            tx.execute(
                "INSERT INTO audit_run (origin, run, idx) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (tree.origin, run, index),
            )
            row = tx.one("SELECT idx FROM audit_run WHERE origin = ? AND run = ?", (tree.origin, run))
        first = index if row is None else int(row[0])
        return [] if first == index else [f"run {run} was recorded already, as entry {first}"]

    def _plan_index(self, tree: Checkpoint, said: dict[str, Any]) -> int | None:
        with self.store.read() as tx:
            row = tx.one(
                "SELECT idx FROM audit_plan WHERE origin = ? AND workload = ? AND digest = ?",
                (tree.origin, said["workload"]["id"], said["plan"]["digest"]),
            )
        return None if row is None else int(row[0])

    def _sign(self, opinion: Attestation) -> None:
        write_whole(self._note_of(opinion.index), str(opinion.signed(self.secret)).encode())

    def _note_of(self, index: int) -> Path:
        return self.home / "attestations" / f"{index:012d}.note"

    def _memory(self) -> tuple[Note | None, int]:
        with self.store.read() as tx:
            row = tx.one("SELECT note, judged FROM audit_head LIMIT 1")
        return (None, 0) if row is None else (Note.parse(row[0].encode()), int(row[1]))

    def _remember(self, tree: Checkpoint, note: Note, judged: int) -> None:
        with self.store.write() as tx:
            tx.execute(
                "INSERT INTO audit_head (origin, note, judged) VALUES (?, ?, ?)"
                " ON CONFLICT (origin) DO UPDATE SET note = excluded.note, judged = excluded.judged",
                (tree.origin, str(note), judged),
            )
