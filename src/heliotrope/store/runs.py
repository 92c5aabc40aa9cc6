"""Workloads, plans, runs and their events: structs in, structs out."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TypeVar

import msgspec

from heliotrope.model import Estimate, Footprint, Measurement, Plan, Run, RunState, Site, Workload
from heliotrope.store.database import Transaction

T = TypeVar("T")
_LIVE = tuple(state.value for state in RunState if not state.ended)
_MARKS = ",".join("?" * len(_LIVE))
_NEXT = "(SELECT coalesce(max(seq), 0) + 1 FROM run)"


class Event(msgspec.Struct, frozen=True):
    """`at_s`: the run's own clock."""

    at_s: float
    name: str
    text: str = ""


class Strip(msgspec.Struct, frozen=True):
    """A site's signal as it stood when its plan was made; epoch seconds, g/kWh."""

    site: str
    zone: str
    start_s: int
    step_s: int
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    unit: str = "g/kWh"
    quality: str = ""
    source: str = ""


class Account(msgspec.Struct, frozen=True):
    footprint: Footprint
    measurement: Measurement
    run_now_g: Estimate
    run_now_operational_g: Estimate


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def add_workload(
    tx: Transaction, workload: Workload, factor: float, origin_s: float, home: str, sites: tuple[Site, ...]
) -> None:
    tx.execute(
        "INSERT INTO workload (id, organisation, top, submitted_s, command, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            workload.id,
            workload.organisation,
            workload.organisation.partition("/")[0],
            workload.submitted_at.timestamp(),
            _text(workload.command),
            _text(workload),
        ),
    )
    tx.execute(
        "INSERT INTO submission (workload, factor, origin_s, home, sites) VALUES (?, ?, ?, ?, ?)",
        (workload.id, factor, origin_s, home, _kept(tx, sites)),
    )


def _kept(tx: Transaction, sites: tuple[Site, ...]) -> str:
    """What is known of a thousand sites is long: it is stored once, not with each that is submitted."""
    digest, body = _written(sites)
    if tx.one("SELECT 1 FROM fleet WHERE digest = ?", (digest,)) is None:
        tx.execute("INSERT INTO fleet (digest, body) VALUES (?, ?)", (digest, body))
    return digest


_last: list[tuple[tuple[Site, ...], tuple[str, str]]] = []  # the very sites that were written out last


def _written(sites: tuple[Site, ...]) -> tuple[str, str]:
    for known, form in _last:
        if known is sites:
            return form
    body = _text(sites)
    _last[:] = [(sites, (hashlib.sha256(body.encode()).hexdigest(), body))]
    return _last[0][1]


def workload(tx: Transaction, name: str) -> Workload | None:
    row = tx.one("SELECT body FROM workload WHERE id = ?", (name,))
    return msgspec.json.decode(row[0], type=Workload) if row else None


def clock(tx: Transaction, name: str) -> tuple[float, float]:
    row = tx.one("SELECT factor, origin_s FROM submission WHERE workload = ?", (name,))
    return (float(row[0]), float(row[1])) if row else (1.0, 0.0)


def home(tx: Transaction, name: str) -> str:
    """The site at which it was submitted."""
    row = tx.one("SELECT home FROM submission WHERE workload = ?", (name,))
    return str(row[0]) if row else ""


def sites(tx: Transaction, name: str) -> tuple[Site, ...]:
    """Those of the fleet that it was submitted to."""
    row = tx.one("SELECT sites FROM submission WHERE workload = ?", (name,))
    return _sites(tx, str(row[0])) if row else ()


def _sites(tx: Transaction, kept: str) -> tuple[Site, ...]:
    if kept.startswith("["):
        return _decoded_sites(kept)  # as it was stored before fleets were
    found = tx.one("SELECT body FROM fleet WHERE digest = ?", (kept,))
    return _decoded_sites(str(found[0])) if found else ()


@lru_cache(maxsize=16)
def _decoded_sites(body: str) -> tuple[Site, ...]:
    return msgspec.json.decode(body, type=tuple[Site, ...])


def add_plan(tx: Transaction, plan: Plan) -> None:
    tx.execute(
        "INSERT INTO plan (workload, made_s, body) VALUES (?, ?, ?)",
        (plan.workload, plan.made_at.timestamp(), _text(plan)),
    )
    _touch(tx, plan.workload)


def newest_plan(tx: Transaction, name: str) -> Plan | None:
    row = tx.one("SELECT body FROM plan WHERE workload = ? ORDER BY id DESC LIMIT 1", (name,))
    return msgspec.json.decode(row[0], type=Plan) if row else None


def put_run(tx: Transaction, run: Run) -> None:
    tx.execute(
        "INSERT INTO run (id, workload, attempt, state, created_s, ended_s, reason, clock_factor, body, open_for, seq)"
        f" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT top FROM workload WHERE id = ?), {_NEXT})"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_s = excluded.ended_s,"
        " reason = excluded.reason, body = excluded.body, open_for = excluded.open_for, seq = excluded.seq",
        (
            run.id,
            run.workload,
            run.attempt,
            run.state.value,
            run.created_at.timestamp(),
            run.ended_at.timestamp() if run.ended_at else None,
            run.reason,
            run.clock_factor,
            _text(run),
            None if run.state.ended else run.workload,
        ),
    )
    if run.receipt:
        tx.execute("UPDATE footprint SET owed = 0 WHERE run = ? AND owed = 1", (run.id,))


def open_jobs(tx: Transaction, organisation: str) -> int:
    """Not over yet; of an organisation all, of one of its projects, ORGANISATION/PROJECT, that project's."""
    top, _, project = organisation.partition("/")
    within = " JOIN workload ON workload.id = run.workload AND organisation = ?" if project else ""
    values = (organisation, top) if project else (top,)
    row = tx.one(f"SELECT count(*) FROM run{within} WHERE open_for = ?", values)
    return int(row[0]) if row else 0


def _touch(tx: Transaction, workload_id: str) -> None:
    tx.execute(f"UPDATE run SET seq = {_NEXT} WHERE workload = ? AND state IN ({_MARKS})", (workload_id, *_LIVE))


def run(tx: Transaction, name: str) -> Run | None:
    row = tx.one("SELECT body FROM run WHERE id = ?", (name,))
    return msgspec.json.decode(row[0], type=Run) if row else None


def attempts(tx: Transaction, workload_id: str) -> tuple[Run, ...]:
    rows = tx.all("SELECT body FROM run WHERE workload = ? ORDER BY attempt", (workload_id,))
    return tuple(msgspec.json.decode(row[0], type=Run) for row in rows)


def faults(tx: Transaction, workload_id: str, *, but: str) -> int:
    """Attempts that were lost, for any reason but one."""
    row = tx.one(
        "SELECT count(*) FROM run WHERE workload = ? AND state = 'lost' AND reason <> ?",
        (workload_id, but),
    )
    return int(row[0]) if row else 0


def live(tx: Transaction) -> tuple[Run, ...]:
    rows = tx.all(f"SELECT body FROM run WHERE state IN ({_MARKS}) ORDER BY created_s, id", _LIVE)
    return tuple(msgspec.json.decode(row[0], type=Run) for row in rows)


def newest(tx: Transaction, limit: int) -> tuple[Run, ...]:
    """The last attempt of each workload, newest first."""
    rows = tx.all(
        "SELECT body FROM run AS r WHERE attempt = (SELECT max(attempt) FROM run WHERE workload = r.workload)"
        " ORDER BY created_s DESC, id DESC LIMIT ?",
        (limit,),
    )
    return tuple(msgspec.json.decode(row[0], type=Run) for row in rows)


def newest_within(tx: Transaction, organisation: str, limit: int) -> tuple[Run, ...]:
    """The same, of an organisation and its projects, ORGANISATION/PROJECT, letter by letter in any database's order."""
    project = f"{organisation}/"
    rows = tx.all(
        "SELECT r.body FROM run AS r JOIN workload ON workload.id = r.workload"
        " WHERE (organisation = ? OR substr(organisation, 1, ?) = ?)"
        " AND attempt = (SELECT max(attempt) FROM run WHERE workload = r.workload)"
        " ORDER BY created_s DESC, r.id DESC LIMIT ?",
        (organisation, len(project), project, limit),
    )
    return tuple(msgspec.json.decode(row[0], type=Run) for row in rows)


def add_event(tx: Transaction, run_id: str, at_s: float, name: str, body: str = "") -> None:
    tx.execute("INSERT INTO event (run, at_s, name, body) VALUES (?, ?, ?, ?)", (run_id, at_s, name, body))


def events(tx: Transaction, workload_id: str) -> tuple[Event, ...]:
    rows = tx.all(
        "SELECT at_s, name, event.body FROM event JOIN run ON run.id = event.run WHERE workload = ? ORDER BY event.id",
        (workload_id,),
    )
    return tuple(Event(row[0], row[1], row[2]) for row in rows)


def put_account(tx: Transaction, run_id: str, account: Account) -> None:
    tx.execute(
        "INSERT INTO footprint (run, energy_j, carbon_g, owed, body, measurement, run_now, run_now_operational)"
        " VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
        (
            run_id,
            account.footprint.energy_j.value,
            account.footprint.carbon_operational_g.value,
            _text(account.footprint),
            _text(account.measurement),
            _text(account.run_now_g),
            _text(account.run_now_operational_g),
        ),
    )


def account(tx: Transaction, run_id: str) -> Account | None:
    row = tx.one("SELECT body, measurement, run_now, run_now_operational FROM footprint WHERE run = ?", (run_id,))
    if row is None:
        return None
    return Account(
        msgspec.json.decode(row[0], type=Footprint),
        msgspec.json.decode(row[1], type=Measurement),
        msgspec.json.decode(row[2], type=Estimate),
        msgspec.json.decode(row[3], type=Estimate),
    )


def without_receipt(tx: Transaction) -> tuple[Run, ...]:
    """Over and in the log, but nobody wrote its receipt yet."""
    rows = tx.all(
        "SELECT run.body FROM run JOIN footprint ON footprint.run = run.id WHERE footprint.owed = 1 ORDER BY run.id"
    )
    return tuple(msgspec.json.decode(row[0], type=Run) for row in rows)


def put_strip(tx: Transaction, workload_id: str, strip: Strip) -> None:
    tx.execute(
        "INSERT INTO signal (workload, site, body) VALUES (?, ?, ?)"
        " ON CONFLICT (workload, site) DO UPDATE SET body = excluded.body",
        (workload_id, strip.site, _text(strip)),
    )


def strips(tx: Transaction, workload_id: str) -> tuple[Strip, ...]:
    rows = tx.all("SELECT body FROM signal WHERE workload = ? ORDER BY rowid", (workload_id,))
    return tuple(msgspec.json.decode(row[0], type=Strip) for row in rows)


def wish_cancel(tx: Transaction, workload_id: str, at_s: float) -> None:
    tx.execute(
        "INSERT INTO wish (workload, cancel_s) VALUES (?, ?) ON CONFLICT (workload) DO NOTHING", (workload_id, at_s)
    )
    _touch(tx, workload_id)


def cancel_wished_s(tx: Transaction, workload_id: str) -> float | None:
    """Since when, on the run's own clock."""
    row = tx.one("SELECT cancel_s FROM wish WHERE workload = ?", (workload_id,))
    return float(row[0]) if row else None


def past_length_s(tx: Transaction, command: tuple[str, ...], factor: float) -> float | None:
    """How long the same command's last finished run took on a clock that was as fast."""
    row = tx.one(
        "SELECT run.body FROM run JOIN workload ON workload.id = run.workload"
        " WHERE substr(command, 1, 200) = substr(?, 1, 200) AND command = ?"
        " AND run.state = 'done' AND run.clock_factor = ? ORDER BY created_s DESC LIMIT 1",
        (_text(command), _text(command), factor),
    )
    if row is None:
        return None
    done = msgspec.json.decode(row[0], type=Run)
    if done.started_at is None or done.ended_at is None:
        return None
    return max(1e-3, (done.ended_at - done.started_at).total_seconds())


class Glance(msgspec.Struct, frozen=True):
    """One that is not over, its bodies still closed: most are looked at without being opened."""

    run: str
    seq: int
    state: str
    run_body: str
    workload_body: str
    plan_body: str
    factor: float
    origin_s: float
    cancel_s: float | None


def newest_seq(tx: Transaction) -> int:
    row = tx.one("SELECT coalesce(max(seq), 0) FROM run")
    return int(row[0]) if row else 0


def glances(tx: Transaction, since: int, limit: int) -> list[Glance]:
    """Those not over that changed since then, the oldest change first."""
    # As an expression, so that no index on the state is taken: it would sort all of them for each page.
    live = f"CASE WHEN run.state IN ({_MARKS}) THEN 1 ELSE 0 END = 1"
    rows = tx.all(
        "SELECT run.id, run.seq, run.state, run.body, workload.body, plan.body, factor, origin_s, cancel_s FROM run"
        " JOIN workload ON workload.id = run.workload JOIN submission ON submission.workload = run.workload"
        " JOIN plan ON plan.id = (SELECT max(id) FROM plan AS newest WHERE newest.workload = run.workload)"
        " LEFT JOIN wish ON wish.workload = run.workload"
        f" WHERE run.seq > ? AND {live} ORDER BY run.seq LIMIT ?",
        (since, *_LIVE, limit),
    )
    return [Glance(*row) for row in rows]


def ended_since(tx: Transaction, seq: int) -> list[str]:
    rows = tx.all(f"SELECT id FROM run WHERE seq > ? AND state NOT IN ({_MARKS})", (seq, *_LIVE))
    return [str(row[0]) for row in rows]
