"""The doors: pages are for the home's owner, `/api/v1/` for members of organisations, who show a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from heliotrope.errors import HelioError, InvalidInput, NotAllowed, SignInRefused, UnknownName
from heliotrope.run.people.reception import Reception, Visit
from heliotrope.run.people.wire import JOBS, ME, MOST_BYTES, Cancelled, Whoami
from heliotrope.web.neighbour import NAMES, is_owner

MEMBERS, AGENTS = "/api/v1/", "/agent/"
STATUS = ((SignInRefused, 401), (NotAllowed, 403), (UnknownName, 404), (InvalidInput, 400))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[[Visit, web.Request, bytes], Any]


def add_routes(app: web.Application, reception: Reception) -> None:
    def named(request: web.Request) -> str:
        return request.match_info["name"]

    def answer(ask: Ask) -> Handler:
        return _answer(reception, ask)

    app.router.add_get(ME, answer(lambda visit, _, __: _whoami(visit)))
    app.router.add_post(JOBS, answer(lambda visit, _, body: reception.submit(visit, body)))
    app.router.add_get(JOBS, answer(lambda visit, asked, _: reception.jobs(visit, _number(asked, "limit", 200, 5000))))
    app.router.add_get(f"{JOBS}/{{name}}", answer(lambda visit, asked, _: reception.show(visit, named(asked))))
    app.router.add_get(
        f"{JOBS}/{{name}}/log",
        answer(lambda visit, asked, _: reception.log(visit, named(asked), _number(asked, "after", None, 1 << 62))),
    )
    app.router.add_get(
        f"{JOBS}/{{name}}/receipt", answer(lambda visit, asked, _: reception.receipt(visit, named(asked)))
    )
    app.router.add_post(
        f"{JOBS}/{{name}}/cancel", answer(lambda visit, asked, _: Cancelled(reception.cancel(visit, named(asked))))
    )
    app.on_cleanup.append(lambda _: asyncio.to_thread(reception.refusals.flush))


@web.middleware
async def doors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Agents sign, members show a token, and everything else is for the owner of the home on this machine."""
    if not request.path.startswith((MEMBERS, AGENTS)):
        way, host = request.transport, request.host.rsplit(":", 1)[0].strip("[]")
        ends = (way.get_extra_info("peername"), way.get_extra_info("sockname")) if way else (None, None)
        # A page elsewhere that rebinds its name to loopback asks under its own name.
        if host not in NAMES or not await asyncio.to_thread(is_owner, *ends):
            raise SignInRefused(
                "these pages are for the owner of this home, on this machine",
                hint="from elsewhere: ssh -L 8550:127.0.0.1:8550 OWNER@MACHINE, or /api/v1/ with a member's token",
            )
    return await handler(request)


def _answer(reception: Reception, ask: Ask) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        # Strangers are turned away before anything of theirs is read.
        visit = await asyncio.to_thread(reception.enter, _token(request), request.remote or "")
        if (request.content_length or 0) > MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
        found = await asyncio.to_thread(ask, visit, request, await request.read())
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    return handle


def status_of(error: HelioError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRefused("no token was shown", hint="Authorization: Bearer TOKEN, from `helio member add`")
    return token.strip()


def _whoami(visit: Visit) -> Whoami:
    return Whoami(visit.who.name, visit.who.organisation, visit.who.role)


def _number(request: web.Request, word: str, default: Any, most: int) -> Any:
    text = request.query.get(word)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > most:
        raise InvalidInput("not a number", field=word, found=text[:40], allowed=f"0 to {most}")
    return int(text)
