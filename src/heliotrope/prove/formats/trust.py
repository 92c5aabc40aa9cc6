"""Whose signatures count: the `vkeys` file, and how many witnesses must have seen a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from heliotrope.errors import BadNote, BadSignature, InvalidInput
from heliotrope.prove.files import read_bytes
from heliotrope.prove.formats.checkpoint import Checkpoint
from heliotrope.prove.formats.note import Key, Note
from heliotrope.prove.formats.policy import Group, Rules
from heliotrope.prove.formats.schemes import COSIGNING, Algorithm, titles

_ROLES = {
    "log": (Algorithm.ED25519, Algorithm.ML_DSA_44),
    "witness": COSIGNING,
    "site": (Algorithm.ED25519,),
    "auditor": (Algorithm.ED25519,),
}


class Trust(msgspec.Struct, frozen=True):
    """Several log keys: old and new of a rotation. `quorum` witnesses, of those named, must have cosigned.

    A witness is a name: with keys of two types it still counts once.

    `rule`: the groups of a tlog-policy, that must be met besides.
    """

    logs: tuple[Key, ...]
    witnesses: tuple[Key, ...] = ()
    sites: tuple[Key, ...] = ()
    auditors: tuple[Key, ...] = ()
    quorum: int = 0
    rule: Group | None = None

    def __post_init__(self) -> None:
        named = len({key.name for key in self.witnesses})
        if not 0 <= self.quorum <= named:
            raise InvalidInput("a quorum that can never be met", found=self.quorum, allowed=f"0 to {named} witnesses")
        if len({key.public for key in self.witnesses}) != len(self.witnesses):
            raise InvalidInput("one witness key under two names", hint="each witness needs a key of its own")

    @classmethod
    def parse(cls, text: str, *, file: str = "", quorum: int = 0) -> Trust:
        """One key a line: `log KEY [URL]`, `witness KEY` (or `witness NAME KEY [URL]`), `site KEY`, `auditor KEY`.

        With `group` and `quorum` lines it is a C2SP tlog-policy. `#` begins a comment.
        """
        found: dict[str, list[Key]] = {role: [] for role in _ROLES}
        rules = Rules(file)
        for number, line in enumerate(text.splitlines(), start=1):
            words = [] if line.lstrip().startswith("#") else line.split()
            if not words:
                continue
            role = words[0]
            if role == "group":
                rules.group(words, number)
                continue
            if role == "quorum":
                rules.set_quorum(words, number)
                continue
            if role not in _ROLES or len(words) < 2:
                raise InvalidInput("not a key line", file=file, line=number, found=line, allowed="log KEY, witness KEY")
            written = words[2] if role == "witness" and len(words) > 2 else words[1]
            try:
                key = Key.parse(written)
            except BadNote as error:
                raise InvalidInput(error.what, file=file, line=number, field=role, cause=error.cause) from error
            if key.algorithm not in _ROLES[role]:
                raise InvalidInput(
                    f"a {role} key of the wrong type",
                    file=file,
                    line=number,
                    found=key.algorithm.title,
                    allowed=titles(_ROLES[role]),
                )
            if role == "witness" and len(words) > 2:
                if key in found[role]:
                    raise InvalidInput("one witness key under two names", file=file, line=number, found=words[1])
                rules.witness(words[1], len(found[role]), number)
            if key not in found[role]:
                found[role].append(key)
        logs, witnesses, sites, auditors = (tuple(found[role]) for role in ("log", "witness", "site", "auditor"))
        return cls(logs, witnesses, sites, auditors, quorum, rules.quorum)

    @classmethod
    def read(cls, path: Path, *, quorum: int = 0) -> Trust:
        try:
            text = read_bytes(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput("not a file of keys", file=str(path), cause=str(error)) from error
        return cls.parse(text, file=str(path), quorum=quorum)

    def check(self, note: Note) -> Seen:
        """The log's signature and the quorum of witnesses, or an error that says what is missing."""
        tree = Checkpoint.parse(note.text)
        logs = [key for key in self.logs if key.name == tree.origin]
        if not logs:
            raise BadSignature(f"no key for the log {tree.origin}", hint="its `log` line belongs in the keys file")
        signed = note.verified((*logs, *self.witnesses))
        signers = tuple(key for key in logs if key in signed)
        if not signers:
            raise BadSignature(f"{tree.origin}: the log did not sign this checkpoint with a known key")
        witnesses = {key: signed[key] for key in self.witnesses if key in signed}
        times_s = {key.name: time_s for key, time_s in witnesses.items()}
        if len(times_s) < self.quorum:
            raise BadSignature(
                f"{tree.origin}: {len(times_s)} of the {self.quorum} needed witnesses cosigned size {tree.size}",
                cause=f"cosigned by {', '.join(times_s) or 'none'}",
            )
        places = {self.witnesses.index(key) for key in witnesses}
        if self.rule is not None and not self.rule.met(places):
            raise BadSignature(
                f"{tree.origin}: size {tree.size} does not meet the quorum {self.rule.name}",
                cause=f"cosigned by {', '.join(times_s) or 'none'}",
            )
        return Seen(tree, signers, tuple(witnesses), times_s)


class Seen(msgspec.Struct, frozen=True):
    """A checkpoint whose signatures hold; `times_s`: when each witness, by name, says that it signed."""

    tree: Checkpoint
    logs: tuple[Key, ...]
    witnesses: tuple[Key, ...]
    times_s: dict[str, int]


def lines(role: str, keys: Iterable[Key]) -> str:
    return "".join(f"{role} {key}\n" for key in keys)
