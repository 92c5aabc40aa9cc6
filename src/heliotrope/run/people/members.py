"""Members of organisations: each with a token that is shown once, expires, and can be taken back."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NoReturn

from heliotrope.errors import InvalidInput, SignInRefused, UnknownName, nearest
from heliotrope.run.people.policy import Person, Role
from heliotrope.store import Store, Transaction, people
from heliotrope.store.people import Member

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
ORGANISATION = re.compile(r"[^\s/][^/\n]{0,63}(/[^\s/][^/\n]{0,63})?")


class Members:
    """One home's. A name is given once: whoever bears it in a list of last year is who bears it now."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, name: str, organisation: str, role: Role, *, valid_s: float, now_s: float) -> str:
        """Its token; the store keeps what it hashes to (it is 256 random bits: nothing slower is needed)."""
        _check("name", name, NAME, "letters, digits and . _ @ -")
        _check("organisation", organisation, ORGANISATION, "a name, or ORGANISATION/PROJECT")
        token = _token()
        with self.store.write() as tx:
            if people.member(tx, name) is not None:
                raise InvalidInput(
                    "somebody has this name",
                    field="name",
                    found=name,
                    hint=f"helio member renew {name} gives them a new token",
                )
            people.add(tx, Member(name, organisation, role.value, now_s, now_s + valid_s), _digest(token))
        return token

    def renew(self, name: str, role: Role | None, *, valid_s: float, now_s: float) -> tuple[str, Member]:
        """A new token; the old one means nothing from here on."""
        token = _token()
        with self.store.write() as tx:
            old = people.member(tx, name) or _unknown(tx, name)
            new = Member(name, old.organisation, role.value if role else old.role, old.added_s, now_s + valid_s)
            people.renew(tx, new, _digest(token))
        return token, new

    def revoke(self, name: str, *, now_s: float) -> Member:
        """At once: the next request with its token is refused. Twice is no error."""
        with self.store.write() as tx:
            people.revoke(tx, name, now_s)
            return people.member(tx, name) or _unknown(tx, name)

    def all(self) -> tuple[Member, ...]:
        with self.store.read() as tx:
            return people.members(tx)

    def known(self, token: str, now_s: float) -> Person:
        """Whoever shows this token; why it does not hold is told only where it once did."""
        with self.store.read() as tx:
            member = people.by_digest(tx, _digest(token))
        if member is None:
            raise SignInRefused("this token is nobody's", hint="ask whoever keeps this house: helio member add NAME")
        if member.revoked_s is not None or member.expires_s <= now_s:
            raise SignInRefused(
                f"the token of {member.name} does not hold any more",
                cause="it was taken back" if member.revoked_s is not None else "it is too old",
                hint=f"ask whoever keeps this house: helio member renew {member.name}",
            )
        return Person(member.name, member.organisation, Role(member.role))


def _unknown(tx: Transaction, name: str) -> NoReturn:
    names = [member.name for member in people.members(tx)]
    raise UnknownName("no such member", field="name", found=name, hint=nearest(name, names))


def _check(field: str, text: str, form: re.Pattern[str], allowed: str) -> None:
    if not form.fullmatch(text):
        raise InvalidInput("not a name", field=field, found=text, allowed=allowed)


def _token() -> str:
    return f"helio-{secrets.token_urlsafe(32)}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
