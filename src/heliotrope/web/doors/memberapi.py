"""What members may ask, as one table: what is served and what is described come from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from heliotrope import __version__
from heliotrope.errors import InvalidInput
from heliotrope.run.people.reception import Reception, Visit
from heliotrope.run.people.wire import JOBS, ME, Accepted, Cancelled, Receipt, Submission, Whoami
from heliotrope.run.views import JobRow, RunView
from heliotrope.run.working.logs import Said
from heliotrope.web.api import Fault

HOME = "/api/v1/"
Words = Mapping[str, str]


class Door(msgspec.Struct, frozen=True):
    """`queries`: words that may follow the path, each a whole number. `takes`: the type of the body, if any."""

    method: str
    path: str
    title: str
    gives: Any
    ask: Callable[[Reception, Visit, Words, bytes], Any]
    queries: tuple[str, ...] = ()
    takes: Any = None


def _number(words: Words, name: str, default: Any, most: int) -> Any:
    text = words.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > most:
        raise InvalidInput("not a number", field=name, found=text[:40], allowed=f"0 to {most}")
    return int(text)


def _me(_: Reception, visit: Visit, __: Words, ___: bytes) -> Whoami:
    return Whoami(visit.who.name, visit.who.organisation, visit.who.role)


def _submit(there: Reception, visit: Visit, _: Words, body: bytes) -> Accepted:
    return there.submit(visit, body)


def _jobs(there: Reception, visit: Visit, words: Words, _: bytes) -> tuple[JobRow, ...]:
    return there.jobs(visit, _number(words, "limit", 200, 5000))


def _show(there: Reception, visit: Visit, words: Words, _: bytes) -> RunView:
    return there.show(visit, words["name"])


def _log(there: Reception, visit: Visit, words: Words, _: bytes) -> Said:
    return there.log(visit, words["name"], _number(words, "after", None, 1 << 62))


def _receipt(there: Reception, visit: Visit, words: Words, _: bytes) -> Receipt:
    return there.receipt(visit, words["name"])


def _cancel(there: Reception, visit: Visit, words: Words, _: bytes) -> Cancelled:
    return Cancelled(there.cancel(visit, words["name"]))


ONE = f"{JOBS}/{{name}}"
DOORS = (
    Door("get", ME, "Who the token says one is", Whoami, _me),
    Door("post", JOBS, "Submit work: acknowledged when this answers", Accepted, _submit, takes=Submission),
    Door("get", JOBS, "The organisation's jobs, the newest first", tuple[JobRow, ...], _jobs, ("limit",)),
    Door("get", ONE, "All about one job or run, without its environment", RunView, _show),
    Door("get", f"{ONE}/log", "A piece of its output, from byte `after` on, else its end", Said, _log, ("after",)),
    Door("get", f"{ONE}/receipt", "Its record and the proof of it", Receipt, _receipt),
    Door("post", f"{ONE}/cancel", "Wish for its end", Cancelled, _cancel),
)


def description() -> dict[str, Any]:
    """OpenAPI 3.1."""
    types = [door.gives for door in DOORS] + [Fault, Submission]
    (*gives, fault, submission), components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for door, schema in zip(DOORS, gives, strict=True):
        paths.setdefault(door.path, {})[door.method] = {
            "summary": door.title,
            "parameters": [
                *([_parameter("name", "path", "string")] if "{name}" in door.path else []),
                *(_parameter(query, "query", "integer") for query in door.queries),
            ],
            **({"requestBody": {"required": True, **_json(submission)}} if door.takes else {}),
            "responses": {
                "200": {"description": door.title, **_json(schema)},
                "4XX": {"description": "What, why, and what to do", **_json(fault)},
            },
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heliotrope, for members of organisations", "version": __version__},
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _parameter(name: str, where: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": kind}}


def _json(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
