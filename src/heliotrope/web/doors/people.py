"""The doors: pages are for the home's owner, `/api/v1/` for members of organisations, who show a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from heliotrope.errors import (
    HelioError,
    Infeasible,
    InvalidInput,
    NotAllowed,
    QuotaReached,
    SignInRefused,
    StoreError,
    UnknownName,
)
from heliotrope.run.people.reception import Reception
from heliotrope.run.people.wire import MOST_BYTES
from heliotrope.web.doors import bodies, memberpages
from heliotrope.web.doors.memberapi import DOORS, HOME, Door, description
from heliotrope.web.doors.neighbour import NAMES, is_owner

AGENTS = "/agent/"
OPEN = (HOME, AGENTS, f"{memberpages.ROOT}/", "/static/")  # these ask who it is themselves, or say the same to all
UNASKED_BYTES = 4096  # a body that no door asked for
STATUS = (
    (SignInRefused, 401),
    (NotAllowed, 403),
    (UnknownName, 404),
    (InvalidInput, 400),
    (Infeasible, 422),
    (QuotaReached, 429),
    (StoreError, 503),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, reception: Reception) -> None:
    for door in DOORS:
        app.router.add_route(door.method, door.path, _answer(reception, door))
    app.router.add_get(HOME, _describe)
    memberpages.add_routes(app, reception)
    app.on_cleanup.append(lambda _: asyncio.to_thread(reception.refusals.flush))


@web.middleware
async def doors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Agents sign, members show a token, and everything else is for the owner of the home on this machine."""
    if not request.path.startswith(OPEN):
        way, host = request.transport, request.host.rsplit(":", 1)[0].strip("[]")
        ends = (way.get_extra_info("peername"), way.get_extra_info("sockname")) if way else (None, None)
        # A page elsewhere that rebinds its name to loopback asks under its own name.
        if host not in NAMES or not await asyncio.to_thread(is_owner, *ends):
            raise SignInRefused(
                "these pages are for the owner of this home, on this machine",
                hint="from elsewhere: ssh -L 8550:127.0.0.1:8550 OWNER@MACHINE, or /api/v1/ with a member's token",
            )
    return await handler(request)


def _answer(reception: Reception, door: Door) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        # Strangers are turned away before anything of theirs is read.
        visit = await asyncio.to_thread(reception.enter, _token(request), request.remote or "")
        body = await bodies.whole(request, MOST_BYTES if door.takes else UNASKED_BYTES)
        words = {**request.query, **request.match_info}
        found = await asyncio.to_thread(door.ask, reception, visit, words, body)
        return _sent(found)

    return handle


async def _describe(_: web.Request) -> web.StreamResponse:
    return _sent(description())


def _sent(found: object) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=msgspec.json.encode(found), content_type="application/json", headers=headers)


def status_of(error: HelioError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRefused("no token was shown", hint="Authorization: Bearer TOKEN, from `helio member add`")
    return token.strip()
