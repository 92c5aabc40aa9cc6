"""Agents, their tokens and their errands: structs in, structs out."""

from __future__ import annotations

import msgspec

from heliotrope.model import Device
from heliotrope.store.database import Transaction


class Agent(msgspec.Struct, frozen=True):
    site: str
    key: str
    devices: tuple[Device, ...]
    lease_s: float
    number: int
    heard_s: float


class Errand(msgspec.Struct, frozen=True):
    """`task` as JSON; `seen` as its agent last said, None for not yet."""

    name: str
    site: str
    task: str
    wish: str
    sent_s: float | None
    seen: str | None
    why: str
    over: bool


_FIELDS = "name, site, task, wish, sent_s, seen, why, over"


def add_token(tx: Transaction, digest: bytes, site: str, expires_s: float) -> None:
    tx.execute("INSERT INTO agent_token (hash, site, expires_s) VALUES (?, ?, ?)", (digest, site, expires_s))


def use_token(tx: Transaction, digest: bytes, now_s: float) -> str | None:
    """The site it was for; None for one that is unknown, late, or used before."""
    row = tx.one("SELECT site FROM agent_token WHERE hash = ? AND expires_s > ? AND used_s IS NULL", (digest, now_s))
    if row is None:
        return None
    tx.execute("UPDATE agent_token SET used_s = ? WHERE hash = ?", (now_s, digest))
    return str(row[0])


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


def forget(tx: Transaction, site: str) -> bool:
    return tx.execute("DELETE FROM agent WHERE site = ?", (site,)) > 0


def heard(tx: Transaction, site: str, number: int, at_s: float) -> None:
    tx.execute(
        "UPDATE agent SET number = max(number, ?), heard_s = max(heard_s, ?) WHERE site = ?", (number, at_s, site)
    )


def add_errand(tx: Transaction, name: str, site: str, task: str, wish: str) -> None:
    """One that is there already stays as it is."""
    tx.execute(
        "INSERT INTO errand (name, site, task, wish) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, site, task, wish),
    )


def errand(tx: Transaction, name: str) -> Errand | None:
    row = tx.one(f"SELECT {_FIELDS} FROM errand WHERE name = ?", (name,))
    return _errand(tuple(row)) if row else None


def errands(tx: Transaction, site: str) -> tuple[Errand, ...]:
    """What the site has to do, or may not know to be over."""
    rows = tx.all(f"SELECT {_FIELDS} FROM errand WHERE site = ? AND over = 0 ORDER BY name", (site,))
    return tuple(_errand(tuple(row)) for row in rows)


def _errand(row: tuple[str, str, str, str, float | None, str | None, str, int]) -> Errand:
    name, site, task, wish, sent_s, seen, why, over = row
    return Errand(name, site, task, wish, sent_s, seen, why, bool(over))


def wish(tx: Transaction, name: str, wish: str) -> None:
    tx.execute("UPDATE errand SET wish = ? WHERE name = ? AND over = 0 AND wish <> ?", (wish, name, wish))


def sent(tx: Transaction, names: list[str], at_s: float) -> None:
    for name in names:
        tx.execute("UPDATE errand SET sent_s = ? WHERE name = ? AND sent_s IS NULL", (at_s, name))


def report(tx: Transaction, name: str, seen: str, why: str, *, over: bool) -> None:
    tx.execute("UPDATE errand SET seen = ?, why = ?, over = ? WHERE name = ?", (seen, why, int(over), name))


def take_back(tx: Transaction, name: str) -> bool:
    """True where no agent was told of it yet: then none will be."""
    return tx.execute("UPDATE errand SET over = 1 WHERE name = ? AND sent_s IS NULL", (name,)) > 0
