"""Where agents of sites elsewhere ask for work: two calls, each judged by the office."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from heliotrope.errors import BadSignature, InvalidInput, StaleRequest, StoreError
from heliotrope.run.agents import wire
from heliotrope.run.agents.office import Office

Said = Callable[[bytes, web.Request], msgspec.Struct]


def add_routes(app: web.Application, office: Office) -> None:
    app.router.add_post(wire.JOIN, _answer(lambda body, request: office.join(body, time.time(), request.remote or "")))
    app.router.add_post(
        wire.SYNC,
        _answer(
            lambda body, request: office.sync(
                body, request.headers.get(wire.SIGNATURE, ""), time.time(), request.remote or ""
            )
        ),
    )


def _answer(say: Said) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            said = await asyncio.to_thread(say, body, request)
        except BadSignature as error:
            return web.Response(status=403, text=str(error))
        except StaleRequest as error:
            return web.Response(status=409, text=str(error), headers={wire.LAST: str(error.last)})
        except InvalidInput as error:
            return web.Response(status=400, text=str(error))
        except (StoreError, OSError) as error:
            # No room, or a store that does not answer: the agent goes on, and says it again.
            return web.Response(status=503, text=f"this house cannot take it now: {error}")
        return web.Response(body=msgspec.json.encode(said), content_type="application/json")

    return handle
