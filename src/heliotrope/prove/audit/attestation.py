"""What an auditor signs about one entry: agree or disagree, and why."""

from __future__ import annotations

import msgspec

from heliotrope.errors import BadNote
from heliotrope.prove.formats.merkle import HASH_BYTES
from heliotrope.prove.formats.note import Key, Note, SecretKey
from heliotrope.prove.formats.text import decimal, decode, encode

HEADER = "heliotrope audit v1"


class Attestation(msgspec.Struct, frozen=True):
    """`leaf` is the entry's hash, so that an opinion cannot be moved to another entry. Reasons: one a line."""

    origin: str
    index: int
    leaf: bytes
    agrees: bool
    at_s: int
    reasons: tuple[str, ...] = ()

    def text(self) -> str:
        opinion = "agree" if self.agrees else "disagree"
        head = (HEADER, self.origin, str(self.index), encode(self.leaf), opinion, f"time {self.at_s}")
        return "".join(f"{line}\n" for line in (*head, *self.reasons))

    @classmethod
    def parse(cls, text: str) -> Attestation:
        lines = text.split("\n")
        if len(lines) < 7 or lines[0] != HEADER or lines[-1] or lines[4] not in {"agree", "disagree"}:
            raise BadNote("not an attestation")
        if not lines[5].startswith("time "):
            raise BadNote("an attestation needs its time")
        leaf = decode(lines[3])
        if len(leaf) != HASH_BYTES:
            raise BadNote("an attestation of something that is not a leaf's hash")
        agrees = lines[4] == "agree"
        at_s = decimal(lines[5].removeprefix("time "))
        reasons = tuple(lines[6:-1])
        if not agrees and not any(reasons):
            raise BadNote("a disagreement without a reason")
        return cls(lines[1], decimal(lines[2]), leaf, agrees, at_s, reasons)

    def signed(self, secret: SecretKey) -> Note:
        text = self.text()
        return Note(text, (secret.sign(text),))


class Opinion(msgspec.Struct, frozen=True):
    """An attestation as it is shown: whose, what, why, when; `note` is the signed text."""

    auditor: str
    agrees: bool
    reasons: tuple[str, ...]
    at_s: int
    note: str


def verify(raw: bytes, auditors: tuple[Key, ...]) -> tuple[Attestation, Key]:
    """The attestation and which of the known auditors signed it."""
    signed = Note.parse(raw)
    signers = signed.verified(auditors)
    if not signers:
        raise BadNote("an attestation by no auditor that is known here", hint="name its key in prove.auditors")
    return Attestation.parse(signed.text), next(iter(signers))


def one_line(text: str) -> str:
    """A reason as one line of a note: no control characters, not too long."""
    return " ".join("".join(max(char, " ") for char in text).split())[:500]
