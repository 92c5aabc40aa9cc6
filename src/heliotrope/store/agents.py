"""Agents, their tokens and their errands: structs in, structs out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from heliotrope.model import Device
from heliotrope.store.database import Row, Transaction


class Agent(msgspec.Struct, frozen=True):
    site: str
    key: str
    devices: tuple[Device, ...]
    lease_s: float
    number: int
    heard_s: float


class Errand(msgspec.Struct, frozen=True):
    """`task` as JSON; `seen` as its agent last said, None for not yet.

    `held_s`: since when it may have been begun there. `missed_s`: since when its agent says that it has no such thing.
    """

    name: str
    site: str
    task: str
    wish: str
    sent_s: float | None
    seen: str | None
    why: str
    over: bool
    held_s: float | None = None
    missed_s: float | None = None


_FIELDS = "name, site, task, wish, sent_s, seen, why, over, held_s, missed_s"


def add_token(tx: Transaction, digest: bytes, site: str, expires_s: float) -> None:
    tx.execute("INSERT INTO agent_token (hash, site, expires_s) VALUES (?, ?, ?)", (digest, site, expires_s))


def use_token(tx: Transaction, digest: bytes, now_s: float) -> str | None:
    """The site it was for; None for one that is unknown, late, or used before."""
    row = tx.one("SELECT site FROM agent_token WHERE hash = ? AND expires_s > ? AND used_s IS NULL", (digest, now_s))
    if row is None:
        return None
    tx.execute("UPDATE agent_token SET used_s = ? WHERE hash = ?", (now_s, digest))
    return str(row[0])


def token_site(tx: Transaction, digest: bytes) -> str:
    """Whose it is or was; empty for one that was never given."""
    row = tx.one("SELECT site FROM agent_token WHERE hash = ?", (digest,))
    return str(row[0]) if row else ""


def put_agent(tx: Transaction, agent: Agent) -> None:
    """A new agent of a site takes the place of the old one, whose key means nothing from then on."""
    tx.execute(
        "INSERT INTO agent (site, key, devices, lease_s, number, heard_s) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (site) DO UPDATE SET key = excluded.key, devices = excluded.devices,"
        " lease_s = excluded.lease_s, number = excluded.number, heard_s = excluded.heard_s",
        (
            agent.site,
            agent.key,
            msgspec.json.encode(agent.devices).decode(),
            agent.lease_s,
            agent.number,
            agent.heard_s,
        ),
    )


def agents(tx: Transaction) -> dict[str, Agent]:
    rows = tx.all("SELECT site, key, devices, lease_s, number, heard_s FROM agent ORDER BY site")
    return {row[0]: _agent(tuple(row)) for row in rows}


def agent(tx: Transaction, site: str) -> Agent | None:
    row = tx.one("SELECT site, key, devices, lease_s, number, heard_s FROM agent WHERE site = ?", (site,))
    return _agent(tuple(row)) if row else None


def _agent(row: tuple[str, str, str, float, int, float]) -> Agent:
    devices = msgspec.json.decode(row[2], type=tuple[Device, ...])
    return Agent(row[0], row[1], devices, row[3], row[4], row[5])


def shut_out(tx: Transaction, site: str) -> bool:
    """No key speaks for the site; that it was heard, and when its lease is over, stays known."""
    return tx.execute("UPDATE agent SET key = '' WHERE site = ? AND key <> ''", (site,)) > 0


def advance(tx: Transaction, site: str, number: int, at_s: float) -> bool:
    """False where a number as large was heard already, by whichever of several controllers."""
    return (
        tx.execute(
            "UPDATE agent SET number = ?, heard_s = CASE WHEN heard_s < ? THEN ? ELSE heard_s END"
            " WHERE site = ? AND number < ?",
            (number, at_s, at_s, site, number),
        )
        > 0
    )


def heard_all(tx: Transaction, told: Iterable[tuple[str, int, float]]) -> None:
    """Site, number, time; what is known already is never taken back."""
    tx.execute_many(
        "UPDATE agent SET number = CASE WHEN number < ? THEN ? ELSE number END,"
        " heard_s = CASE WHEN heard_s < ? THEN ? ELSE heard_s END WHERE site = ?",
        ((number, number, at_s, at_s, site) for site, number, at_s in told),
    )


def add_errand(tx: Transaction, name: str, site: str, task: str, wish: str) -> None:
    """One that is there already stays as it is."""
    tx.execute(
        "INSERT INTO errand (name, run, site, task, wish) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, name.rpartition("/")[0], site, task, wish),
    )


def errand(tx: Transaction, name: str) -> Errand | None:
    row = tx.one(f"SELECT {_FIELDS} FROM errand WHERE name = ?", (name,))
    return _errand(row) if row else None


class Standing(msgspec.Struct, frozen=True):
    """How an errand stands, and its agent: `number` and `lease_s` as of Agent, None where nobody was let in.

    `exit`: how it ended, as JSON.
    """

    name: str
    site: str
    wish: str
    sent_s: float | None
    seen: str | None
    why: str
    over: bool
    missed_s: float | None
    exit: str | None
    number: int | None
    lease_s: float | None


def standing(tx: Transaction, name: str) -> Standing | None:
    row = tx.one(
        "SELECT errand.name, errand.site, wish, sent_s, seen, why, over, missed_s, ending.exit, number, lease_s"
        " FROM errand LEFT JOIN ending ON ending.name = errand.name LEFT JOIN agent ON agent.site = errand.site"
        " WHERE errand.name = ?",
        (name,),
    )
    return Standing(*row) if row else None


def errands(tx: Transaction, sites: Sequence[str]) -> dict[str, dict[str, Errand]]:
    """By site and name: what each has to do, or may not know to be over."""
    marks = ",".join("?" * len(sites))
    rows = tx.all(f"SELECT {_FIELDS} FROM errand WHERE site IN ({marks}) AND over = 0 ORDER BY name", sites)
    found: dict[str, dict[str, Errand]] = {site: {} for site in sites}
    for row in rows:
        one = _errand(row)
        found[one.site][one.name] = one
    return found


def _errand(row: Row) -> Errand:
    name, site, task, wish, sent_s, seen, why, over, held_s, missed_s = row
    return Errand(name, site, task, wish, sent_s, seen, why, bool(over), held_s, missed_s)


def wish(tx: Transaction, name: str, wish: str) -> None:
    tx.execute("UPDATE errand SET wish = ? WHERE name = ? AND over = 0 AND wish <> ?", (wish, name, wish))


def sent(tx: Transaction, names: Iterable[str], at_s: float) -> frozenset[str]:
    """Those that were taken back in the meantime: their agent is not to be told of them."""
    told = "UPDATE errand SET sent_s = coalesce(sent_s, ?) WHERE name = ? AND over = 0"
    return frozenset(name for name in names if not tx.execute(told, (at_s, name)))


def report(tx: Transaction, name: str, seen: str, why: str, at_s: float, *, there: bool, over: bool) -> None:
    """What is over stays so. `there`: its agent has it. One that had it and has it no more is missed from now on."""
    tx.execute(
        "UPDATE errand SET seen = ?, why = ?, over = ?,"
        + (
            " held_s = coalesce(held_s, ?), missed_s = NULL"
            if there
            else " missed_s = CASE WHEN held_s IS NULL THEN NULL ELSE coalesce(missed_s, ?) END"
        )
        + " WHERE name = ? AND over = 0",
        (seen, why, int(over), at_s, name),
    )


def hold(tx: Transaction, site: str, at_s: float) -> None:
    """Whatever an agent of the site was told of may have been begun."""
    tx.execute(
        "UPDATE errand SET held_s = ? WHERE site = ? AND over = 0 AND sent_s IS NOT NULL AND held_s IS NULL",
        (at_s, site),
    )


def take_back(tx: Transaction, name: str) -> bool:
    """True where no agent was told of it yet: then none will be."""
    return tx.execute("UPDATE errand SET over = 1 WHERE name = ? AND sent_s IS NULL", (name,)) > 0
