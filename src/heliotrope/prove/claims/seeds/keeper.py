"""An auditor's seeds: a hash chain a programme, each link given out once, for an epoch that the log shows closed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from heliotrope.errors import BadProof, BadSignature, InvalidInput
from heliotrope.prove import keys
from heliotrope.prove.claims.draw import seed_chain
from heliotrope.prove.claims.history import Close
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.formats import merkle
from heliotrope.prove.formats.proof import Proof
from heliotrope.prove.formats.trust import Trust
from heliotrope.prove.records.receipt import RecordFile
from heliotrope.store import Store

EPOCHS = 16_384  # draws a programme: as many jobs may be entered one by one
_CHAIN = b"heliotrope/seeds/v1\0"


class Closing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The receipt of a closing record: a tlog-proof, and the record that it proves."""

    proof: str
    record: RecordFile

    @classmethod
    def parse(cls, raw: bytes) -> Closing:
        try:
            return msgspec.json.decode(bounded(raw), type=cls)
        except UNREADABLE as error:
            raise BadProof("not the receipt of a closing record", cause=str(error)) from error

    def verify(self, trust: Trust) -> tuple[Close, bytes]:
        """What was closed, and the record's leaf hash: under a checkpoint as `trust` asks, by a site it knows."""
        proof = Proof.parse(self.proof.encode())
        proof.verify(self.record.entry)
        trust.check(proof.checkpoint)
        opened = self.record.open()
        if opened is None or opened.kind != "close":
            raise BadProof("a receipt of something that closes no epoch")
        if trust.sites and opened.key not in trust.sites:
            raise BadSignature("an epoch closed by an unknown site", cause=str(opened.key))
        try:
            return msgspec.convert(opened.body["predicate"], Close), merkle.leaf_hash(self.record.entry)
        except (msgspec.ValidationError, KeyError) as error:
            raise BadProof("a closing record that cannot be read", cause=str(error)) from error


class Keeper:
    """One home's seeds; its key `draw` is the secret that all of its chains come from."""

    def __init__(self, home: Path, *, name: str = "") -> None:
        self._secret = keys.load_or_make(home, "draw", name or keys.default_name("draw")).current
        self._store = Store.at(home)
        self.name = self._secret.name
        if name and self.name != name:
            raise InvalidInput(f"this home's seeds are kept by {self.name}", found=name, hint="use another --home")

    def commitment(self, programme: str) -> bytes:
        return self._chain(programme)[0]

    def seed(self, programme: str, epoch: int, leaf: bytes) -> bytes:
        """Asked again for the same close it says the same again; for another close of that epoch, nothing.

        Remembered before it is said: a crash between the two costs nothing, and never tells two stories.
        """
        if not 0 <= epoch < EPOCHS:
            raise InvalidInput("no seed was committed to for this epoch", found=epoch, allowed=f"0 to {EPOCHS - 1}")
        with self._store.write() as tx:
            tx.execute(
                "INSERT INTO draw_given (programme, epoch, leaf) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (programme, epoch, leaf),
            )
            row = tx.one("SELECT leaf FROM draw_given WHERE programme = ? AND epoch = ?", (programme, epoch))
        if row is None or bytes(row[0]) != leaf:
            raise BadProof(
                f"the seed of epoch {epoch} was given for another close",
                hint="an epoch that is closed twice would let the operator choose its draw",
            )
        return self._chain(programme)[1][epoch]

    def _chain(self, programme: str) -> tuple[bytes, tuple[bytes, ...]]:
        return seed_chain(sha256(_CHAIN + self._secret.seed + programme.encode()).digest(), EPOCHS)
