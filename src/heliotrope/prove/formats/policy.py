"""C2SP tlog-policy: groups of witnesses, of whom some must have cosigned, and groups of groups."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec

from heliotrope.errors import InvalidInput

NONE = "none"
_WORDS = {"any", "all"}


class Group(msgspec.Struct, frozen=True):
    """`needed` of `members` must be satisfied: witnesses by their key's place in the file, or groups."""

    name: str
    needed: int
    members: tuple[Group | int, ...]

    def met(self, signed: AbstractSet[int]) -> bool:
        held = sum(member in signed if isinstance(member, int) else member.met(signed) for member in self.members)
        return held >= self.needed


class Rules:
    """Reads `group` and `quorum` lines as they come: a name must be there before it is used, and is used once."""

    def __init__(self, file: str) -> None:
        self.quorum: Group | None = None
        self._file = file
        self._named: dict[str, Group | int] = {}
        self._taken: set[str] = set()
        self._quorum_said = False

    def witness(self, name: str, place: int, line: int) -> None:
        self._define(name, place, line)

    def group(self, words: list[str], line: int) -> None:
        """`group NAME K|any|all MEMBER…`"""
        if len(words) < 4:
            raise self._fault("a group needs a name, how many, and members", line, " ".join(words))
        _, name, needed, *members = words
        for member in members:
            if member not in self._named or member in self._taken:
                raise self._fault("no such witness or group above, or it is in a group already", line, member)
            self._taken.add(member)
        self._define(name, Group(name, self._needed(needed, len(members), line), self._all(members)), line)

    def set_quorum(self, words: list[str], line: int) -> None:
        """`quorum NAME`, once; `quorum none` asks for no witness."""
        if len(words) != 2 or self._quorum_said:
            raise self._fault("one quorum line names one group or witness, or none", line, " ".join(words))
        self._quorum_said = True
        name = words[1]
        if name == NONE:
            return
        if name not in self._named:
            raise self._fault("no such witness or group above", line, name)
        self.quorum = Group(name, 1, self._all([name]))

    def _all(self, names: list[str]) -> tuple[Group | int, ...]:
        return tuple(self._named[name] for name in names)

    def _needed(self, text: str, members: int, line: int) -> int:
        if text in _WORDS:
            return 1 if text == "any" else members
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= members):
            raise self._fault("a group that can never be met, or always is", line, text, f"1 to {members}, any, all")
        return int(text)

    def _define(self, name: str, what: Group | int, line: int) -> None:
        if name == NONE or name in self._named:
            raise self._fault("a name that is taken", line, name)
        self._named[name] = what

    def _fault(self, what: str, line: int, found: str, allowed: str = "") -> InvalidInput:
        return InvalidInput(what, file=self._file, line=line, found=found, allowed=allowed)
