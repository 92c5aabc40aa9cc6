"""Members, whose work is whose, and who was turned away: structs in, structs out."""

from __future__ import annotations

import msgspec

from heliotrope.store.database import Transaction


class Member(msgspec.Struct, frozen=True):
    """`revoked_s`: since when it may ask no more, None where it may."""

    name: str
    organisation: str
    role: str
    added_s: float
    expires_s: float
    revoked_s: float | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Alike attempts are one. `who` empty: nobody known. `object`: what it was about, `address`: where it came from."""

    who: str
    address: str
    act: str
    object: str
    why: str
    times: int
    first_s: float
    last_s: float


_MEMBER = "name, organisation, role, added_s, expires_s, revoked_s"
_REFUSAL = "who, address, act, object, why, times, first_s, last_s"


def add(tx: Transaction, member: Member, digest: str) -> None:
    tx.execute(
        "INSERT INTO member (name, organisation, role, hash, added_s, expires_s, revoked_s)"
        " VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (member.name, member.organisation, member.role, digest, member.added_s, member.expires_s),
    )


def renew(tx: Transaction, member: Member, digest: str) -> None:
    """Its old token means nothing from then on."""
    tx.execute(
        "UPDATE member SET hash = ?, role = ?, expires_s = ?, revoked_s = NULL WHERE name = ?",
        (digest, member.role, member.expires_s, member.name),
    )


def revoke(tx: Transaction, name: str, now_s: float) -> bool:
    return tx.execute("UPDATE member SET revoked_s = ? WHERE name = ? AND revoked_s IS NULL", (now_s, name)) > 0


def member(tx: Transaction, name: str) -> Member | None:
    row = tx.one(f"SELECT {_MEMBER} FROM member WHERE name = ?", (name,))
    return Member(*row) if row else None


def by_digest(tx: Transaction, digest: str) -> Member | None:
    row = tx.one(f"SELECT {_MEMBER} FROM member WHERE hash = ?", (digest,))
    return Member(*row) if row else None


def members(tx: Transaction) -> tuple[Member, ...]:
    return tuple(Member(*row) for row in tx.all(f"SELECT {_MEMBER} FROM member ORDER BY organisation, name"))


def put_submitter(tx: Transaction, workload: str, member: str, key: str | None) -> None:
    tx.execute("INSERT INTO submitter (workload, member, key) VALUES (?, ?, ?)", (workload, member, key))


def submitter(tx: Transaction, workload: str) -> str:
    """Empty where it was the home's owner."""
    row = tx.one("SELECT member FROM submitter WHERE workload = ?", (workload,))
    return str(row[0]) if row else ""


def by_key(tx: Transaction, member: str, key: str) -> str | None:
    """What this member submitted under this key."""
    row = tx.one("SELECT workload FROM submitter WHERE member = ? AND key = ?", (member, key))
    return str(row[0]) if row else None


def note_refusal(tx: Transaction, refusal: Refusal) -> None:
    tx.execute(
        f"INSERT INTO refusal ({_REFUSAL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (who, address, act, object, why)"
        " DO UPDATE SET times = refusal.times + excluded.times, last_s = excluded.last_s",
        msgspec.structs.astuple(refusal),
    )


def keep_refusals(tx: Transaction, most: int) -> None:
    """Those that happened last."""
    row = tx.one("SELECT last_s FROM refusal ORDER BY last_s DESC LIMIT 1 OFFSET ?", (most,))
    if row is not None:
        tx.execute("DELETE FROM refusal WHERE last_s <= ?", (row[0],))


def refusals(tx: Transaction, limit: int) -> tuple[Refusal, ...]:
    """The last first."""
    rows = tx.all(f"SELECT {_REFUSAL} FROM refusal ORDER BY last_s DESC, who, act, object LIMIT ?", (limit,))
    return tuple(Refusal(*row) for row in rows)
