"""The one rule of who may do what with whose work. Pure: every read and every act asks it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Within an organisation: does its own work, also stops others', or reads what was used and nothing else."""

    MEMBER = "member"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Act(StrEnum):
    """What can be asked. `see`: that it exists, how it stands, what it used. `read_log`: what it said."""

    SUBMIT = "submit"
    SEE = "see"
    READ_LOG = "read_log"
    CANCEL = "cancel"


class Person(msgspec.Struct, frozen=True):
    """Somebody who showed a token that holds. `organisation` may be one project, as in `lab/vision`."""

    name: str
    organisation: str
    role: Role


class Work(msgspec.Struct, frozen=True):
    """`submitter`: a member's name, empty for the home's owner."""

    organisation: str
    submitter: str


_ANY_OF_THEIRS = {
    Role.MEMBER: frozenset({Act.SUBMIT, Act.SEE, Act.READ_LOG}),
    Role.OPERATOR: frozenset(Act),
    Role.AUDITOR: frozenset({Act.SEE}),
}


def may(who: Person, act: Act, work: Work) -> bool:
    """Nothing across organisations, whatever the role; a member cancels what is its own."""
    if not within(work.organisation, who.organisation):
        return False
    own = who.role is Role.MEMBER and work.submitter == who.name
    return act in _ANY_OF_THEIRS[who.role] or (own and act is Act.CANCEL)


def within(whose: str, organisation: str) -> bool:
    """`lab/vision` is within `lab`, not the other way round; `lab2` is another."""
    return whose == organisation or whose.startswith(f"{organisation}/")
