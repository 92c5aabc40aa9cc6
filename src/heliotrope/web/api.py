"""The JSON API: what the pages show, as structs; its description is generated from those structs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from heliotrope import __version__
from heliotrope.errors import InvalidInput
from heliotrope.fleet import Fleet
from heliotrope.run.views import JobRow, RunView
from heliotrope.web.gather import jobs, ledger_state, view
from heliotrope.web.house import Curve, Here, House
from heliotrope.web.pages.screens import LedgerState


class Now(msgspec.Struct, frozen=True):
    """Every site with its hours, the work, and how the log stands."""

    sites: tuple[Here, ...]
    jobs: tuple[JobRow, ...]
    ledger: LedgerState


class Fault(msgspec.Struct, frozen=True):
    """What every answer that is not 200 says."""

    error: str
    cause: str = ""
    hint: str = ""


class Route(msgspec.Struct, frozen=True):
    """`path` has `{name}` where the caller's word goes; `gives` is the type of the answer."""

    path: str
    title: str
    gives: Any
    ask: Callable[[House, dict[str, str]], Any]


def _now(house: House, _: dict[str, str]) -> Now:
    return Now(house.sites(), jobs(house, limit=50), ledger_state(house))


def _runs(house: House, words: dict[str, str]) -> tuple[JobRow, ...]:
    try:
        limit = int(words.get("limit", "200"))
    except ValueError:
        raise InvalidInput("not a number", field="limit", found=words["limit"], allowed="1 to 5000") from None
    return jobs(house, limit=min(max(limit, 1), 5000))


ROUTES = (
    Route("/api/now", "Everything on the first page", Now, _now),
    Route("/api/runs", "Jobs, the newest first (?limit=)", tuple[JobRow, ...], _runs),
    Route("/api/runs/{name}", "All about one run or job", RunView, lambda house, words: view(house, words["name"])),
    Route("/api/grid/{zone}", "A zone's hours", Curve, lambda house, words: house.curve(words["zone"])),
    Route("/api/fleet", "Sites and links", Fleet, lambda house, _: house.fleet),
    Route("/api/ledger", "How the log stands", LedgerState, lambda house, _: ledger_state(house)),
)


def description() -> dict[str, Any]:
    """OpenAPI 3.1, from the routes and the types they give."""
    types = [route.gives for route in ROUTES] + [Fault]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    fault = {"description": "What, why, and what to do", "content": {"application/json": {"schema": schemas[-1]}}}
    paths = {
        route.path: {
            "get": {
                "summary": route.title,
                "parameters": [
                    {"name": word, "in": "path", "required": True, "schema": {"type": "string"}}
                    for word in ("name", "zone")
                    if f"{{{word}}}" in route.path
                ],
                "responses": {
                    "200": {"description": route.title, "content": {"application/json": {"schema": schema}}},
                    "4XX": fault,
                },
            }
        }
        for route, schema in zip(ROUTES, schemas, strict=False)
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heliotrope", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }
